#include "faults/scenarios.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "directory/latest.h"
#include "directory/listing.h"
#include "draft/items.h"
#include <fcntl.h>
#include <stdio.h>

/* --- drafts -------------------------------------------------------------------------------------------- */

static void nothing(struct trial *t)
{
	(void)t;
}

static void draft(struct trial *t)
{
	struct err e = {0};

	must(trial_draft(t, &e), &e);
}

static int act_begin(struct trial *t, struct err *e)
{
	return trial_draft(t, e);
}

static int act_create(struct trial *t, struct err *e)
{
	const struct draft_owner owner = {getuid(), getgid(), 0644};
	struct draft_item *i;
	int r = draft_create(t->d, item(t, "hidden")->index, "new.npy", &owner, false, &i, e);

	if (r == 0)
		draft_item_unref(t->d, i);
	return r;
}

static void created(struct trial *t)
{
	struct err e = {0};

	draft(t);
	must(act_create(t, &e), &e);
}

/* A write can fail with some of its bytes written; there is one call here. */
static int act_write(struct trial *t, struct err *e)
{
	return write_item(t, item(t, "hidden/new.npy"), make_npy(SMALL), 0, false, e);
}

static int act_copy_up(struct trial *t, struct err *e)
{
	return write_item(t, item(t, "hidden/weights.npy"), bytes_of("\1\2\3\4", 4), 128, false, e);
}

/* A write that fails may have made the variable a file with the same bytes. */
static int act_write_nothing(struct trial *t, struct err *e)
{
	return write_item(t, item(t, "hidden/weights.npy"), bytes_of("", 0), 0, false, e);
}

static int act_truncate(struct trial *t, struct err *e)
{
	struct draft_item *i;
	int r = draft_open(t->d, item(t, "hidden/weights.npy")->index, true, false, &i, e);

	if (r < 0)
		return r;
	r = draft_truncate(t->d, i, NULL, 0, e);
	draft_close(t->d, i, true);
	return r;
}

static int act_refer(struct trial *t, struct err *e)
{
	const struct draft_item *w = item(t, "hidden/weights.npy");
	const struct draft_source from = {
		.step = t->base,
		.dirfd = t->top,
		.what = DRAFT_VAR,
		.number = w->number,
		.size = npy_file_size(t->base, draft_var(t->d, w), t->top)};
	int64_t n = draft_refer(t->d, item(t, "hidden/new.npy"), &from, 0, from.size, e);

	return n < 0 ? (int)n : n == (int64_t)from.size ? 0 : -EAGAIN;
}

static int act_rename(struct trial *t, struct err *e)
{
	return draft_rename(t->d, item(t, "hidden")->index, "biases.npy", item(t, "output")->index,
			    "moved.npy", 0, e);
}

static int act_rename_over(struct trial *t, struct err *e)
{
	return draft_rename(t->d, item(t, "hidden")->index, "biases.npy", item(t, "hidden")->index,
			    "new.npy", 0, e);
}

static int act_rename_folder(struct trial *t, struct err *e)
{
	return draft_rename(t->d, t->d->root->index, "output", t->d->root->index, "out", 0, e);
}

static int act_exchange(struct trial *t, struct err *e)
{
	return draft_rename(t->d, item(t, "hidden")->index, "biases.npy", item(t, "output")->index,
			    "biases.npy", RENAME_EXCHANGE, e);
}

static int act_unlink(struct trial *t, struct err *e)
{
	return draft_unlink(t->d, item(t, "hidden")->index, "biases.npy", e);
}

static int act_unlink_new(struct trial *t, struct err *e)
{
	return draft_unlink(t->d, item(t, "hidden")->index, "new.npy", e);
}

static void emptied(struct trial *t)
{
	struct err e = {0};

	draft(t);
	must(draft_unlink(t->d, item(t, "hidden")->index, "biases.npy", &e), &e);
	must(draft_unlink(t->d, item(t, "hidden")->index, "weights.npy", &e), &e);
}

static int act_rmdir(struct trial *t, struct err *e)
{
	return draft_rmdir(t->d, t->d->root->index, "hidden", e);
}

static int act_mkdir(struct trial *t, struct err *e)
{
	struct draft_item *i;
	int r = draft_mkdir(t->d, item(t, "hidden")->index, "deeper", &i, e);

	if (r == 0)
		draft_item_unref(t->d, i);
	return r;
}

static void written(struct trial *t)
{
	struct err e = {0};

	draft(t);
	must(create_file(t, "hidden", "new.npy", make_npy(t->own ? LARGE : SMALL), &e), &e);
}

static int act_set_attr(struct trial *t, struct err *e)
{
	const struct stat st = {.st_mode = 0600};

	return draft_set_attr(t->d, item(t, "hidden/new.npy")->index, DRAFT_MODE, &st, e);
}

/* --- commits ------------------------------------------------------------------------------------------- */

static void edited(struct trial *t)
{
	struct err e = {0};

	written(t);
	must(act_copy_up(t, &e), &e);
	must(act_rename(t, &e), &e);
	must(act_rename_folder(t, &e), &e);
	must(draft_unlink(t->d, item(t, "out")->index, "biases.npy", &e), &e);
}

static int act_patch(struct trial *t, struct err *e)
{
	return write_item(t, item(t, "hidden/new.npy"), bytes_of("\1\2\3\4", 4), 128, false, e);
}

static int act_patch_nothing(struct trial *t, struct err *e)
{
	return write_item(t, item(t, "hidden/new.npy"), bytes_of("", 0), 0, false, e);
}

/* What was written is a step, and the draft has gone on. */
static void gone_on(struct trial *t)
{
	struct err e = {0};

	edited(t);
	must(trial_publish(t, &e), &e);
}

static void changed_again(struct trial *t)
{
	struct err e = {0};

	gone_on(t);
	must(act_patch(t, &e), &e);
}

static int act_discard(struct trial *t, struct err *e)
{
	return draft_discard(t->d, e);
}

/* The draft as a later process finds it. */
static int act_take_up(struct trial *t, struct err *e)
{
	const struct draft_config c = trial_config(t);
	struct draft *d;
	int r = draft_take_up(&c, BASE, &d, e);

	if (r == 0)
		draft_unref(d);
	return r;
}

/* A file of it is open for writing, and stays so. */
static void held(struct trial *t)
{
	struct err e = {0};

	edited(t);
	must(draft_open(t->d, item(t, "hidden/weights.npy")->index, true, false, &t->open, &e), &e);
}

/* --- what a process leaves that is gone ---------------------------------------------------------------- */

/* A commit whose calls fail from number N on is as good as killed there. */
unsigned long killed_at;

static void kill_in(struct trial *t, act_fn act)
{
	fault_arm(FAULT_CALLS, killed_at, true);
	act(t, NULL);
	fault_disarm();
	draft_unref(t->d);
	t->d = NULL;
}

static void killed(struct trial *t)
{
	edited(t);
	kill_in(t, trial_commit);
}

static void killed_going_on(struct trial *t)
{
	edited(t);
	kill_in(t, trial_publish);
}

static void killed_going_on_again(struct trial *t)
{
	changed_again(t);
	kill_in(t, trial_publish);
}

static int act_recover(struct trial *t, struct err *e)
{
	return trial_recover(t, e);
}

/* --- steps --------------------------------------------------------------------------------------------- */

static const struct step_place base_place = {.name = (char *)BASE, .file = (char *)BASE ".index"};

static struct step_files step_files_of(const struct trial *t)
{
	return (struct step_files){.top = t->top, .state_name = "checkpoint", .meta = "meta"};
}

static void own_folder(struct trial *t)
{
	struct err e = {0};

	must(io_make_folder(t->top, ".ckptfs", 0777, &e), &e);
}

static int act_step_rename(struct trial *t, struct err *e)
{
	const struct step_files f = step_files_of(t);

	return step_rename(&f, &base_place, "best", e);
}

/* Out of sight of the trial's folder, for that has no others. */
#define OTHER_FOLDER ".ckptfs/other"

static void two_folders(struct trial *t)
{
	struct err e = {0};

	own_folder(t);
	must(io_make_folder(t->top, OTHER_FOLDER, 0777, &e), &e);
	must(io_make_folder(t->top, OTHER_FOLDER "/.ckptfs", 0777, &e), &e);
}

static int act_step_move(struct trial *t, struct err *e)
{
	const struct step_files f = step_files_of(t);
	CLEANUP(closep) int other = dir_fd(t->top, OTHER_FOLDER, e);

	return other < 0 ? other : step_move(&f, &base_place, other, BASE, e);
}

static int act_step_remove(struct trial *t, struct err *e)
{
	const struct step_files f = step_files_of(t);
	int r = step_remove(&f, &base_place, e);

	if (r == 0)
		step_remove_end(&f);
	return r;
}

/* A step was committed, and the trainer has saved another one over it. */
static void overwritten(struct trial *t)
{
	static const char *const suffixes[] = {"index", "data-00000-of-00001", "meta"};
	struct err e = {0};

	edited(t);
	must(trial_commit(t, &e), &e);
	draft_unref(t->d);
	t->d = NULL;
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		char from[64], to[64];
		CLEANUP(closep) int fd = -1;

		snprintf(from, sizeof from, BASE ".%s", suffixes[i]);
		snprintf(to, sizeof to, BASE "-1.%s", suffixes[i]);
		fd = openat(t->top, from, O_RDONLY | O_CLOEXEC);
		must(io_copy(fd, t->top, "saved", &e), &e);
		must(io_move(t->top, "saved", t->top, to, &e), &e);
	}
}

static int act_restore(struct trial *t, struct err *e)
{
	int r = rescue_restore(&t->rescue, t->top, "meta", e);

	return r < 0 ? r : 0;
}

bool is_killed_at(unsigned long n)
{
	struct trial t = {.own = true};
	bool hit;

	fault_lack(LACKS_NOTHING);
	trial_begin(&t);
	edited(&t);
	fault_arm(FAULT_CALLS, n, true);
	trial_publish(&t, NULL); /* which takes some calls more than the others */
	hit = fault_disarm();
	trial_end(&t);
	return hit;
}

/* --- afterwards ---------------------------------------------------------------------------------------- */

void same(const char *what, const char *have, const char *want)
{
	if (strcmp(have, want) != 0)
		fail("%s is\n%sand not\n%s", what, have, want);
}

static void again(struct trial *t, const struct scenario *s)
{
	struct err e = {0};

	if (s->act ==
	    act_refer) { /* only a file that is new can become a reference, and it was looked at */
		must(act_unlink_new(t, &e), &e);
		must(act_create(t, &e), &e);
	}
	must(s->act(t, &e), &e);
}

/* A change is made as a whole or not at all, in memory as on disk; it can then be made, and committed. */
static void settle_change(struct trial *t, const struct scenario *s, int r)
{
	struct err e = {0};

	if (t->d) {
		CLEANUP(freep) char *have = dump_draft(t->d);
		CLEANUP(freep) char *disk = dump_disk(t);

		bool whole = !strcmp(have, s->after);
		bool none = !strcmp(have, s->before) || (s->partly && !strcmp(have, s->partly));

		same("what is on disk", disk, have);
		if (r == 0 || !none)
			same("the draft", have, s->after);
		if (!whole)
			again(t, s);
	} else {
		CLEANUP(freep) char *disk = dump_disk(t);

		same("what is on disk", disk, "");
		must(s->act(t, &e), &e);
	}
	if (s->act == act_begin || s->act == act_create || s->act == act_truncate)
		return; /* nothing that could be committed */
	must(trial_commit(t, &e), &e);
}

/* What is still there of a draft is found by the next process, which commits it. */
static void go_on(struct trial *t)
{
	struct err e = {0};

	draft_unref(t->d);
	t->d = NULL;
	must(trial_recover(t, &e), &e);
	if (!t->d)
		return;
	must(trial_commit(t, &e), &e);
	draft_unref(t->d);
	t->d = NULL;
	must(trial_recover(t, &e), &e);
	if (t->d)
		fail("the draft is there again");
}

static void settle_commit(struct trial *t, const struct scenario *s, int r)
{
	struct err e = {0};

	if (t->d->ended || t->d->published) {
		CLEANUP(freep) char *steps = dump_steps(t);

		same("the directory", steps, s->steps);
	} else {
		CLEANUP(freep) char *have = dump_draft(t->d);

		if (r == 0)
			fail("it went on");
		same("the draft", have, s->before);
	}
	if (r < 0 && !t->d->ended)
		must(trial_commit(t, &e), &e);
	go_on(t);
}

/* Whatever came of it, the draft is there as it was; and what it holds is published once. */
static void settle_publish(struct trial *t, const struct scenario *s, int r)
{
	CLEANUP(freep) char *have = dump_draft(t->d);
	CLEANUP(freep) char *disk = dump_disk(t);
	struct err e = {0};

	if (t->d->ended)
		fail("the draft has ended");
	same("the draft", have, s->before);
	same("what is on disk", disk, s->before);
	if (r < 0)
		must(trial_publish(t, &e), &e);
	must(trial_publish(t, &e), &e);
	must(trial_commit(t, &e), &e);
	if (!t->d->ended)
		fail("the draft has not ended");
	go_on(t);
}

/* The same, but the next process finds it so. */
static void settle_publish_later(struct trial *t, const struct scenario *s, int r)
{
	struct err e = {0};

	(void)r;
	draft_unref(t->d);
	t->d = NULL;
	must(trial_recover(t, &e), &e);
	if (!t->d)
		fail("the draft has ended");
	settle_publish(t, s, 0);
}

static const struct bytes later = {(const uint8_t *)"\5\6\7\10", 4};

/* The draft could not go on: what the file's number stands for in the next one is written. */
static void write_in_next(struct trial *t)
{
	struct err e = {0};

	if (draft_write(t->d, t->open, NULL, later, 128, &e) != -ESTALE)
		fail("the file can be written to");
	draft_close(t->d, t->open, true);
	draft_unref(t->d);
	draft(t);
	must(write_item(t, item(t, "hidden/weights.npy"), later, 128, false, &e), &e);
}

/* The draft goes on with the open file alone, which is then written, closed and committed too. */
static void settle_held(struct trial *t, const struct scenario *s, int r)
{
	CLEANUP(freep) char *first = NULL;
	CLEANUP(freep) char *have = NULL;
	CLEANUP(freep) char *disk = NULL;
	struct err e = {0};

	if (r < 0 && !t->d->published) {
		first = dump_draft(t->d);
		same("the draft", first, s->before);
	}
	if (r < 0)
		must(trial_commit(t, &e), &e);
	if (t->d->ended) {
		write_in_next(t);
	} else {
		have = dump_draft(t->d);
		disk = dump_disk(t);
		same("what is on disk", disk, have);
		must(draft_write(t->d, t->open, NULL, later, 128, &e), &e);
		draft_close(t->d, t->open, true);
	}
	t->open = NULL;
	go_on(t);
}

static void settle_recovery(struct trial *t, const struct scenario *s, int r)
{
	(void)s;
	(void)r;
	go_on(t);
}

static void settle_discard(struct trial *t, const struct scenario *s, int r)
{
	CLEANUP(freep) char *disk = dump_disk(t);
	struct err e = {0};

	if (r == 0 || strcmp(disk, s->before) != 0)
		same("what is on disk", disk, "");
	else if (t->d->ended)
		fail("it is there, and has ended");
	else
		must(draft_discard(t->d, &e), &e);
}

static void settle_nothing(struct trial *t, const struct scenario *s, int r)
{
	CLEANUP(freep) char *disk = dump_disk(t);

	(void)r;
	same("what is on disk", disk, s->before);
}

/* The step that the state file calls the latest is there. */
static void check_latest(const struct trial *t)
{
	CLEANUP(listing_release) struct listing l = {0};
	struct state state = {0};
	struct err e = {0};
	int r = latest_read(t->top, "checkpoint", &state, &e);

	if (r == -ENOENT)
		return;
	must(r, &e);
	must(listing_read(t->top, "checkpoint", &l, &e), &e);
	if (!latest_resolve(&l, state.latest))
		fail("the latest is %s", state.latest);
	state_release(&state);
}

/* The next process takes up what is to be done; if that was to take it back it is done again. */
static void settle_step(struct trial *t, const struct scenario *s, int r)
{
	struct err e = {0};
	char *steps;

	(void)r;
	must(trial_recover(t, &e), &e);
	check_latest(t);
	steps = dump_steps(t);
	if (strcmp(steps, s->steps) != 0)
		must(s->act(t, &e), &e);
	check_latest(t);
	free(steps);
}

/* The step is in one of the folders, whole, and no file of it is in the other. */
static void settle_move(struct trial *t, const struct scenario *s, int r)
{
	static const char *const suffixes[] = {".index", ".data-00000-of-00001", ".meta"};
	CLEANUP(closep) int other = dir_fd(t->top, OTHER_FOLDER, NULL);
	CLEANUP(buf_release) struct buf done = {0};
	struct err e = {0};
	unsigned there = 0;

	must(trial_recover(t, &e), &e);
	must(step_files_resume(other, "checkpoint", &done, &e), &e);
	if (r < 0 && faccessat(t->top, BASE ".index", F_OK, 0) == 0)
		must(s->act(t, &e), &e);
	free(dump_steps(t)); /* ends the program if a file is left */
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		char name[64];

		snprintf(name, sizeof name, BASE "%s", suffixes[i]);
		there += faccessat(other, name, F_OK, 0) == 0;
	}
	if (there != sizeof suffixes / sizeof *suffixes)
		fail("%u files are in the other folder", there);
}

static void settle_kept(struct trial *t, const struct scenario *s, int r)
{
	struct err e = {0};

	if (r < 0)
		free(dump_steps(t)); /* nothing is left behind, and all steps are whole */
	must(s->act(t, &e), &e);
}

struct scenario scenarios[] = {
	{.name = "begin", .prepare = nothing, .act = act_begin, .settle = settle_change},
	{.name = "create", .prepare = draft, .act = act_create, .settle = settle_change},
	{.name = "write", .prepare = created, .act = act_write, .settle = settle_change},
	{.name = "copy up",
	 .prepare = draft,
	 .act = act_copy_up,
	 .settle = settle_change,
	 .half = act_write_nothing},
	{.name = "truncate", .prepare = draft, .act = act_truncate, .settle = settle_change},
	{.name = "refer", .prepare = created, .act = act_refer, .settle = settle_change},
	{.name = "rename", .prepare = draft, .act = act_rename, .settle = settle_change},
	{.name = "rename a written file",
	 .prepare = written,
	 .act = act_rename,
	 .settle = settle_change},
	{.name = "rename over a file",
	 .prepare = written,
	 .act = act_rename_over,
	 .settle = settle_change},
	{.name = "rename a folder",
	 .prepare = draft,
	 .act = act_rename_folder,
	 .settle = settle_change},
	{.name = "exchange", .prepare = draft, .act = act_exchange, .settle = settle_change},
	{.name = "unlink", .prepare = draft, .act = act_unlink, .settle = settle_change},
	{.name = "rmdir", .prepare = emptied, .act = act_rmdir, .settle = settle_change},
	{.name = "mkdir", .prepare = draft, .act = act_mkdir, .settle = settle_change},
	{.name = "set attributes",
	 .prepare = written,
	 .act = act_set_attr,
	 .settle = settle_change},
	{.name = "discard", .prepare = edited, .act = act_discard, .settle = settle_discard},
	{.name = "take up", .prepare = edited, .act = act_take_up, .settle = settle_nothing},
	{.name = "commit", .prepare = edited, .act = trial_commit, .settle = settle_commit},
	{.name = "commit a shard",
	 .prepare = edited,
	 .act = trial_commit,
	 .settle = settle_commit,
	 .own = true},
	{.name = "publish", .prepare = edited, .act = trial_publish, .settle = settle_publish},
	{.name = "publish a shard",
	 .prepare = edited,
	 .act = trial_publish,
	 .settle = settle_publish,
	 .own = true},
	{.name = "publish again",
	 .prepare = changed_again,
	 .act = trial_publish,
	 .settle = settle_publish,
	 .own = true},
	{.name = "publish what is published",
	 .prepare = gone_on,
	 .act = trial_publish,
	 .settle = settle_publish,
	 .own = true},
	{.name = "publish and leave",
	 .prepare = edited,
	 .act = trial_publish,
	 .settle = settle_publish_later,
	 .own = true},
	{.name = "publish again and leave",
	 .prepare = changed_again,
	 .act = trial_publish,
	 .settle = settle_publish_later,
	 .own = true},
	{.name = "change a shard",
	 .prepare = gone_on,
	 .act = act_patch,
	 .settle = settle_change,
	 .half = act_patch_nothing,
	 .own = true},
	{.name = "set attributes of a shard",
	 .prepare = gone_on,
	 .act = act_set_attr,
	 .settle = settle_change,
	 .own = true},
	{.name = "commit what is published",
	 .prepare = gone_on,
	 .act = trial_commit,
	 .settle = settle_commit,
	 .own = true},
	{.name = "commit sharded",
	 .prepare = edited,
	 .act = trial_commit,
	 .settle = settle_commit,
	 .sharded = true},
	{.name = "commit a V1 file",
	 .prepare = edited,
	 .act = trial_commit,
	 .settle = settle_commit,
	 .v1 = true},
	{.name = "publish a V1 file",
	 .prepare = edited,
	 .act = trial_publish,
	 .settle = settle_publish,
	 .v1 = true},
	{.name = "publish a V1 file again",
	 .prepare = changed_again,
	 .act = trial_publish,
	 .settle = settle_publish,
	 .v1 = true},
	{.name = "publish a V1 file that is published",
	 .prepare = gone_on,
	 .act = trial_publish,
	 .settle = settle_publish,
	 .v1 = true},
	{.name = "commit a V1 file that is published",
	 .prepare = gone_on,
	 .act = trial_commit,
	 .settle = settle_commit,
	 .v1 = true},
	{.name = "restore a kept V1 file",
	 .prepare = overwritten,
	 .act = act_restore,
	 .settle = settle_kept,
	 .v1 = true},
	{.name = "rename a step",
	 .prepare = own_folder,
	 .act = act_step_rename,
	 .settle = settle_step},
	{.name = "remove a step",
	 .prepare = own_folder,
	 .act = act_step_remove,
	 .settle = settle_step},
	{.name = "move a step",
	 .prepare = two_folders,
	 .act = act_step_move,
	 .settle = settle_move},
	{.name = "restore a kept step",
	 .prepare = overwritten,
	 .act = act_restore,
	 .settle = settle_kept},
	{.name = "begin without links",
	 .prepare = nothing,
	 .act = act_begin,
	 .settle = settle_change,
	 .lacks = LACKS_LINKS},
	{.name = "begin without links and flags",
	 .prepare = nothing,
	 .act = act_begin,
	 .settle = settle_change,
	 .lacks = LACKS_LINKS_AND_FLAGS},
	{.name = "commit a shard without links",
	 .prepare = edited,
	 .act = trial_commit,
	 .settle = settle_commit,
	 .lacks = LACKS_LINKS,
	 .own = true},
	{.name = "commit a shard without links and flags",
	 .prepare = edited,
	 .act = trial_commit,
	 .settle = settle_commit,
	 .lacks = LACKS_LINKS_AND_FLAGS,
	 .own = true},
	{.name = "publish a shard without links",
	 .prepare = edited,
	 .act = trial_publish,
	 .settle = settle_publish,
	 .lacks = LACKS_LINKS,
	 .own = true},
	{.name = "publish without links and flags and leave",
	 .prepare = edited,
	 .act = trial_publish,
	 .settle = settle_publish_later,
	 .lacks = LACKS_LINKS_AND_FLAGS,
	 .own = true},
	{.name = "rename a step without links",
	 .prepare = own_folder,
	 .act = act_step_rename,
	 .settle = settle_step,
	 .lacks = LACKS_LINKS},
	{.name = "rename a step without links and flags",
	 .prepare = own_folder,
	 .act = act_step_rename,
	 .settle = settle_step,
	 .lacks = LACKS_LINKS_AND_FLAGS},
	{.name = "remove a step without links",
	 .prepare = own_folder,
	 .act = act_step_remove,
	 .settle = settle_step,
	 .lacks = LACKS_LINKS},
	{.name = "remove a step without links and flags",
	 .prepare = own_folder,
	 .act = act_step_remove,
	 .settle = settle_step,
	 .lacks = LACKS_LINKS_AND_FLAGS},
	{.name = "restore a kept step without links",
	 .prepare = overwritten,
	 .act = act_restore,
	 .settle = settle_kept,
	 .lacks = LACKS_LINKS},
	{.name = "restore a kept step without links and flags",
	 .prepare = overwritten,
	 .act = act_restore,
	 .settle = settle_kept,
	 .lacks = LACKS_LINKS_AND_FLAGS},
	{.name = "go on", .prepare = held, .act = trial_commit, .settle = settle_held},
};

const unsigned n_scenarios = sizeof scenarios / sizeof *scenarios;

struct scenario recoveries[] = {
	{.name = "recover",
	 .prepare = killed,
	 .act = act_recover,
	 .settle = settle_recovery,
	 .own = true},
	{.name = "recover without links",
	 .prepare = killed,
	 .act = act_recover,
	 .settle = settle_recovery,
	 .own = true,
	 .lacks = LACKS_LINKS_AND_FLAGS},
	{.name = "recover what goes on",
	 .prepare = killed_going_on,
	 .act = act_recover,
	 .settle = settle_recovery,
	 .own = true},
	{.name = "recover what has gone on",
	 .prepare = killed_going_on_again,
	 .act = act_recover,
	 .settle = settle_recovery,
	 .own = true},
	{.name = "recover what goes on without links",
	 .prepare = killed_going_on,
	 .act = act_recover,
	 .settle = settle_recovery,
	 .own = true,
	 .lacks = LACKS_LINKS_AND_FLAGS},
};

const unsigned n_recoveries = sizeof recoveries / sizeof *recoveries;
