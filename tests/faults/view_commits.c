#include "base/cleanup.h"
#include "base/io.h"
#include "faults/faults.h"
#include "faults/view_scenarios.h"
#include "message/state.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* What a draft that went on has. */
#define NOTE ".ckptfs/drafts/" BASE "/published"

/* --- commits ------------------------------------------------------------------------------------------- */

static int act_sync(struct mounted *m, struct err *e)
{
	return view_sync(&m->v, NODE_ROOT_ID, NULL, &m->changes, e);
}

static int act_set_commit(struct mounted *m, struct err *e)
{
	return view_setxattr(&m->v, m->step, "user.ckptfs.draft", bytes_str("commit"), &m->changes,
			     e);
}

static int act_discard(struct mounted *m, struct err *e)
{
	return view_setxattr(&m->v, m->step, "user.ckptfs.draft", bytes_str("discard"), &m->changes,
			     e);
}

/* What was warned of is the error. */
static int warned(struct mounted *m, struct err *e)
{
	*e = m->warning;
	m->warning.code = 0;
	return e->code;
}

/* Done unasked, it waits after a failure, and does not say that it had no memory to find what to do: it is
 * done again. */
static int act_due(struct mounted *m, struct err *e)
{
	int64_t next = view_commit_due(&m->v, &m->changes);
	bool done = !m->v.drafts || faccessat(m->t.top, NOTE, F_OK, 0) == 0;

	if (next < 0 && m->v.drafts)
		fail("the rest is not done later");
	return m->warning.code || done ? warned(m, e) : err_set(e, -ENOMEM, "later");
}

/* What went on ends, and makes nothing new. */
static int act_due_and_sync(struct mounted *m, struct err *e)
{
	int r = act_due(m, e);

	return r < 0 ? r : act_sync(m, e);
}

static int act_all(struct mounted *m, struct err *e)
{
	view_commit_all(&m->v);
	return warned(m, e);
}

static void sync_all(struct mounted *m)
{
	struct err e = {0};

	must(act_sync(m, &e), &e);
}

/* --- an open file whose draft has ended, or whose name is gone ----------------------------------------- */

static void written_opened(struct mounted *m)
{
	struct err e = {0};

	written(m);
	must(view_open_to_write(&m->v, m->weights, false, &m->f, &e), &e);
}

static void committed(struct mounted *m)
{
	written_opened(m);
	sync_all(m);
}

static void discarded(struct mounted *m)
{
	struct err e = {0};

	written_opened(m);
	must(act_discard(m, &e), &e);
}

static int act_unlink(struct mounted *m, struct err *e)
{
	return view_unlink(&m->v, m->hidden, "weights.npy", e);
}

static void removed(struct mounted *m)
{
	struct err e = {0};

	written_opened(m);
	must(act_unlink(m, &e), &e);
}

static void removed_committed(struct mounted *m)
{
	removed(m);
	sync_all(m);
}

static void write_open(struct mounted *m)
{
	struct err e = {0};

	must(act_write(m, &e), &e);
	must(view_flush(m->f, &e), &e);
}

/* Open to be read, in a draft that ends. */
static void reading(struct mounted *m)
{
	struct err e = {0};
	bool stable;

	written(m);
	must(view_open(&m->v, m->weights, &m->f, &stable, &e), &e);
	sync_all(m);
}

static int act_read(struct mounted *m, struct err *e)
{
	static uint8_t bytes[1 << 16];
	int64_t n = view_read(m->f, 0, sizeof bytes, bytes, e);

	if (n >= 0 && n < 128)
		fail("%ld bytes are read", (long)n);
	return n < 0 ? (int)n : 0;
}

/* --- what another process has left --------------------------------------------------------------------- */

/* Nobody has looked into the directory yet, in which there is a draft. */
static void left(struct mounted *m)
{
	struct err e = {0};

	must(trial_draft(&m->t, &e), &e);
	must(create_file(&m->t, "hidden", "new.npy", make_npy(BIAS), &e), &e);
	draft_unref(TAKE(m->t.d, NULL));
}

static int act_look(struct mounted *m, struct err *e)
{
	view_look(&m->v);
	m->told = m->told || m->warning.code;
	return warned(m, e);
}

/* Where it was told that the draft can't be taken up it waits for the next mount, and no other is begun before. */
static void look_again(struct mounted *m)
{
	static const char *const path[] = {BASE, "hidden", "new.npy"};
	struct view_entry entry;
	uint64_t id = NODE_ROOT_ID, parent = id;
	int r = 0;

	if (!m->told)
		return;
	for (size_t i = 0; i < sizeof path / sizeof *path && r == 0; i++) {
		parent = id;
		r = view_lookup(&m->v, id, path[i], &entry, NULL);
		id = entry.id;
	}
	if (r < 0 && view_create(&m->v, parent, "new.npy", &owner, &entry, &m->f, NULL) == 0)
		fail("there is another draft");
	remount(m);
}

/* What is in the draft is looked up, whoever takes it up. */
static int act_look_up(struct mounted *m, struct err *e)
{
	static const char *const path[] = {BASE, "hidden", "new.npy"};
	struct view_entry entry;
	uint64_t id = NODE_ROOT_ID;
	int r = 0;

	for (size_t i = 0; i < sizeof path / sizeof *path && r == 0; i++)
		if ((r = view_lookup(&m->v, id, path[i], &entry, e)) == 0)
			id = hold(m, &entry);
	m->told = m->told || m->warning.code;
	if (r == -ENOENT && m->told) /* it waits */
		r = 0;
	m->warning.code = 0;
	return r;
}

/* A trainer has saved another step over one that was committed. */
static void overwritten(struct mounted *m)
{
	static const char *const suffixes[] = {"index", "data-00000-of-00001", "meta"};
	struct err e = {0};

	written(m);
	sync_all(m);
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		char from[64], to[64];
		CLEANUP(closep) int fd = -1;

		snprintf(from, sizeof from, OTHER ".%s", suffixes[i]);
		snprintf(to, sizeof to, BASE "-1.%s", suffixes[i]);
		fd = openat(m->t.top, from, O_RDONLY | O_CLOEXEC);
		must(io_copy(fd, m->t.top, "saved", &e), &e);
		must(io_move(m->t.top, "saved", m->t.top, to, &e), &e);
	}
}

/* --- max_to_keep --------------------------------------------------------------------------------------- */

/* Only LATEST is listed. */
static void check_state(const struct mounted *m, const char *latest)
{
	CLEANUP(closep) int fd = -1;
	CLEANUP(buf_release) struct buf text = {0};
	struct state state = {0};
	struct source src;
	struct err e = {0};

	must(fd = source_open(m->t.top, "checkpoint", &src, &e), &e);
	must(source_read(&src, 0, src.size, &text, &e), &e);
	must(state_parse(buf_bytes(&text), &state, &e), &e);
	if (strcmp(state.latest, latest) != 0 || state.n_paths != 1 ||
	    strcmp(state.paths[0], latest) != 0)
		fail("the state file is\n%.*s", (int)text.n, (const char *)text.p);
	state_release(&state);
}

/* A commit, after which one step is to be removed. Whatever has failed, there are whole steps then, and with the next commit, in which
 * nothing fails, all but its own have gone. */
static int act_rotate(struct mounted *m, struct err *e)
{
	struct err later = {0};
	int r = act_sync(m, e);

	r = r < 0 ? r : warned(m, e);
	fault_disarm();
	m->warning.code = 0;
	must(act_sync(m, &later), &later); /* of the draft, if it is still there */
	use(m, BASE "-1");
	must(m->warning.code, &m->warning);
	check_state(m, BASE "-2");
	return r;
}

struct view_scenario view_commits[] = {
	{.name = "sync", .halves = true, .prepare = written, .act = act_sync},
	{.name = "sync of a new step", .halves = true, .prepare = made, .act = act_sync},
	{.name = "set commit", .halves = true, .prepare = written, .act = act_set_commit},
	{.name = "discard", .prepare = written, .act = act_discard},
	{.name = "commit due",
	 .halves = true,
	 .prepare = written,
	 .act = act_due_and_sync,
	 .again = act_sync},
	{.name = "commit all", .halves = true, .prepare = written, .act = act_all},
	{.name = "sync with an open file",
	 .halves = true,
	 .prepare = written_opened,
	 .act = act_sync,
	 .finish = write_open},
	{.name = "discard with an open file",
	 .prepare = written_opened,
	 .act = act_discard,
	 .finish = write_open},
	{.name = "unlink an open file",
	 .prepare = written_opened,
	 .act = act_unlink,
	 .finish = write_open},
	{.name = "sync with an open file that was removed",
	 .halves = true,
	 .prepare = removed,
	 .act = act_sync,
	 .finish = write_open},
	{.name = "write after a commit", .prepare = committed, .act = act_write},
	{.name = "write after a discard", .prepare = discarded, .act = act_write},
	{.name = "write after a removal", .prepare = removed, .act = act_write},
	{.name = "write after a removal and a commit",
	 .prepare = removed_committed,
	 .act = act_write},
	{.name = "read after a commit", .prepare = reading, .act = act_read, .reads = true},
	{.name = "look", .prepare = left, .act = act_look, .check = look_again, .reads = true},
	{.name = "look up what was left",
	 .prepare = left,
	 .act = act_look_up,
	 .check = look_again,
	 .reads = true},
	{.name = "max_to_keep",
	 .prepare = written,
	 .act = act_rotate,
	 .options = {.max_to_keep = 1}},
	{.name = "max_to_keep of V1 files",
	 .prepare = written,
	 .act = act_rotate,
	 .options = {.max_to_keep = 1, .write_v1 = true}},
	{.name = "restore a kept step", .prepare = overwritten, .act = act_due},
};

const unsigned n_view_commits = sizeof view_commits / sizeof *view_commits;
