#include "base/cleanup.h"
#include "faults/view_scenarios.h"
#include <stdio.h>

/* --- looking ------------------------------------------------------------------------------------------- */

void nothing(struct mounted *m)
{
	(void)m;
}

/* All that is asked for below was looked up. */
void looked(struct mounted *m)
{
	m->step = look_up(m, NODE_ROOT_ID, BASE);
	m->hidden = look_up(m, m->step, "hidden");
	m->output = look_up(m, m->step, "output");
	m->weights = look_up(m, m->hidden, "weights.npy");
	m->biases = look_up(m, m->hidden, "biases.npy");
}

/* Looks the path up, without what is allocated here. */
static int look(struct mounted *m, const char *const *path, uint64_t *id, struct err *e)
{
	struct view_entry entry;
	int r = 0;

	*id = NODE_ROOT_ID;
	for (; *path && r == 0; path++)
		if ((r = view_lookup(&m->v, *id, *path, &entry, e)) == 0)
			*id = hold(m, &entry);
	return r;
}

static int act_look_up(struct mounted *m, struct err *e)
{
	static const char *const path[] = {BASE, "hidden", "weights.npy", NULL};
	uint64_t id;

	return look(m, path, &id, e);
}

static int act_look_up_latest(struct mounted *m, struct err *e)
{
	static const char *const path[] = {"latest", NULL};
	uint64_t id;
	int r = look(m, path, &id, e);

	m->changes.n = 0;
	if (r == 0)
		r = view_readlink(&m->v, id, &m->changes, e);
	if (r == 0 && !bytes_eq(buf_bytes(&m->changes), bytes_str(BASE)))
		fail("latest leads elsewhere");
	m->changes.n = 0;
	return r;
}

/* All names of the folder, and their attributes; "." and ".." are not looked up. */
static int list(struct mounted *m, uint64_t id, unsigned want, struct err *e)
{
	struct view_entry entry;
	struct view_dirent de;
	unsigned n = 0;
	bool stable;
	int r = view_opendir(&m->v, id, &m->dir, &stable, e);

	if (r < 0)
		return r;
	for (uint64_t pos = 0; (r = view_readdir(m->dir, pos, &de, e)) == 1; pos = de.next) {
		if (pos < 2)
			continue;
		r = look_up_listed(m, m->dir, id, &de, &entry, e);
		if (r < 0)
			break;
		hold(m, &entry);
		n++;
	}
	view_closedir(TAKE(m->dir, NULL));
	if (r == 0 && n != want && !m->warning.code)
		fail("%u names are listed and not %u", n, want);
	return r;
}

static int act_list(struct mounted *m, struct err *e)
{
	return list(m, NODE_ROOT_ID, 4, e); /* two steps, checkpoint, latest */
}

static int act_list_step(struct mounted *m, struct err *e)
{
	return list(m, m->hidden, 2, e);
}

static int act_list_draft(struct mounted *m, struct err *e)
{
	return list(m, m->hidden, 3, e);
}

static int act_getattr(struct mounted *m, struct err *e)
{
	const uint64_t ids[] = {NODE_ROOT_ID, m->step, m->hidden, m->weights};
	struct view_entry entry;
	int r = 0;

	for (size_t i = 0; i < sizeof ids / sizeof *ids && r == 0; i++)
		r = view_getattr(&m->v, ids[i], &entry, e);
	return r;
}

static int read_all(struct mounted *m, uint64_t id, struct err *e)
{
	static uint8_t bytes[1 << 20];
	struct view_file *f;
	bool stable;
	int64_t n;
	int r = view_open(&m->v, id, &f, &stable, e);

	if (r < 0)
		return r;
	n = view_read(f, 0, sizeof bytes, bytes, e);
	view_close(f);
	if (n >= 0 && n < 128)
		fail("%ld bytes are read", (long)n);
	return n < 0 ? (int)n : 0;
}

static int act_read(struct mounted *m, struct err *e)
{
	return read_all(m, m->weights, e);
}

static void has_read(struct mounted *m)
{
	struct err e;

	looked(m);
	must(act_read(m, &e), &e);
	if (!m->v.kept.n)
		fail("no shard stays open");
}

static int act_read_new(struct mounted *m, struct err *e)
{
	return read_all(m, m->new, e);
}

/* All of a step as one file, found by its name. */
static int act_read_whole(struct mounted *m, struct err *e)
{
	static const char *const path[] = {BASE VIEW_WHOLE, NULL};
	uint64_t id;
	int r = look(m, path, &id, e);

	return r < 0 ? r : read_all(m, id, e);
}

static int act_list_wholes(struct mounted *m, struct err *e)
{
	return list(m, NODE_ROOT_ID, 7, e);
}

/* A text is made when it is opened. */
static int act_read_text(struct mounted *m, struct err *e)
{
	return read_all(m, m->new, e);
}

static void looked_text(struct mounted *m)
{
	looked(m);
	m->new = look_up(m, m->step, "meta_graph.pbtxt");
}

static int act_getxattr(struct mounted *m, struct err *e)
{
	static const char *const names[] = {"user.ckptfs.key", "user.ckptfs.shape",
					    "user.ckptfs.collections", "user.ckptfs.stats"};
	int r = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names && r == 0; i++) {
		m->changes.n = 0;
		r = view_getxattr(&m->v, m->weights, names[i], NULL, &m->changes, e);
		r = r == -ENODATA ? 0 : r;
	}
	m->changes.n = 0;
	return r == 0 ? view_getxattr(&m->v, m->step, "user.ckptfs.draft", NULL, &m->changes, e)
		      : r;
}

static int act_listxattr(struct mounted *m, struct err *e)
{
	m->changes.n = 0;
	return view_listxattr(&m->v, m->weights, &m->changes, e);
}

struct view_scenario view_reads[] = {
	{.name = "look up", .prepare = nothing, .act = act_look_up, .reads = true, .late = true},
	{.name = "look up latest",
	 .prepare = nothing,
	 .act = act_look_up_latest,
	 .reads = true,
	 .late = true},
	{.name = "list", .prepare = nothing, .act = act_list, .reads = true, .late = true},
	{.name = "list a step", .prepare = looked, .act = act_list_step, .reads = true},
	{.name = "list a draft", .prepare = written, .act = act_list_draft, .reads = true},
	{.name = "get attributes", .prepare = looked, .act = act_getattr, .reads = true},
	{.name = "get attributes in a draft",
	 .prepare = written,
	 .act = act_getattr,
	 .reads = true},
	{.name = "read", .prepare = looked, .act = act_read, .reads = true},
	{.name = "read, and its shard stays open",
	 .options = {.watched = true},
	 .prepare = looked,
	 .act = act_read,
	 .reads = true},
	{.name = "read of a shard that is open",
	 .options = {.watched = true},
	 .prepare = has_read,
	 .act = act_read,
	 .reads = true},
	{.name = "read in a draft", .prepare = written, .act = act_read, .reads = true},
	{.name = "read what was written", .prepare = written, .act = act_read_new, .reads = true},
	{.name = "read a step as a file",
	 .options = {.safetensors = true},
	 .prepare = nothing,
	 .act = act_read_whole,
	 .reads = true,
	 .late = true},
	{.name = "read a step with a draft as a file",
	 .options = {.safetensors = true},
	 .prepare = written,
	 .act = act_read_whole,
	 .reads = true},
	{.name = "list steps as files",
	 .options = {.safetensors = true},
	 .prepare = nothing,
	 .act = act_list_wholes,
	 .reads = true,
	 .late = true},
	{.name = "read a text", .prepare = looked_text, .act = act_read_text, .reads = true},
	{.name = "get extended attributes", .prepare = looked, .act = act_getxattr, .reads = true},
	{.name = "get extended attributes in a draft",
	 .prepare = written,
	 .act = act_getxattr,
	 .reads = true},
	{.name = "list extended attributes",
	 .prepare = looked,
	 .act = act_listxattr,
	 .reads = true},
};

const unsigned n_view_reads = sizeof view_reads / sizeof *view_reads;
