#include "base/cleanup.h"
#include "draft/draft.h"
#include "faults/view_scenarios.h"
#include <fcntl.h>
#include <stdio.h>

const struct draft_owner owner = {0, 0, 0644};

/* --- writing ------------------------------------------------------------------------------------------- */

/* A new file of three numbers is in the draft. */
void written(struct mounted *m)
{
	struct view_entry entry;
	struct err e = {0};

	looked(m);
	must(view_create(&m->v, m->hidden, "new.npy", &owner, &entry, &m->f, &e), &e);
	m->new = hold(m, &entry);
	must(view_write(m->f, make_npy(BIAS), 0, &e), &e);
	must(view_flush(m->f, &e), &e);
	view_close(TAKE(m->f, NULL));
}

static int act_open_to_write(struct mounted *m, struct err *e)
{
	int r = view_open_to_write(&m->v, m->weights, false, &m->f, e);

	if (r == 0)
		view_close(TAKE(m->f, NULL));
	return r;
}

int act_put(struct mounted *m, struct err *e)
{
	return put(m, m->weights, 128, bytes_of("\1\2\3\4", 4), e);
}

static int act_truncate_open(struct mounted *m, struct err *e)
{
	return view_open_to_write(&m->v, m->biases, true, &m->f, e);
}

/* It has its bytes in the end. */
static void fill(struct mounted *m)
{
	struct err e = {0};

	must(view_write(m->f, make_npy(BIAS), 0, &e), &e);
	must(view_flush(m->f, &e), &e);
}

static int act_create(struct mounted *m, struct err *e)
{
	struct view_entry entry;
	int r = view_create(&m->v, m->hidden, "new.npy", &owner, &entry, &m->f, e);

	if (r == 0)
		hold(m, &entry);
	return r;
}

/* Open, and not written to yet. */
void opened(struct mounted *m)
{
	struct err e = {0};

	looked(m);
	must(view_open_to_write(&m->v, m->weights, false, &m->f, &e), &e);
}

int act_write(struct mounted *m, struct err *e)
{
	return view_write(m->f, bytes_of("\1\2\3\4", 4), 128, e);
}

static int act_flush(struct mounted *m, struct err *e)
{
	return view_flush(m->f, e);
}

static int act_fsync(struct mounted *m, struct err *e)
{
	return view_fsync(m->f, e);
}

static void opened_written(struct mounted *m)
{
	struct err e = {0};

	opened(m);
	must(act_write(m, &e), &e);
}

static int act_allocate(struct mounted *m, struct err *e)
{
	return view_allocate(m->f, 0, 0, 64, e);
}

/* A copy of the variable, which becomes a reference. */
static void to_copy(struct mounted *m)
{
	struct err e = {0};
	bool stable;

	looked(m);
	must(act_create(m, &e), &e);
	must(view_open(&m->v, m->weights, &m->from, &stable, &e), &e);
}

static int act_copy(struct mounted *m, struct err *e)
{
	struct view_entry entry;
	int r = view_getattr(&m->v, m->weights, &entry, e);
	int64_t n =
		r == 0 ? view_copy_range(m->from, 0, m->f, 0, (uint64_t)entry.st.st_size, e) : r;

	if (n >= 0 && n != entry.st.st_size)
		fail("%ld bytes are copied", (long)n);
	return n < 0 ? (int)n : 0;
}

/* What is written is the file's own then. */
static void write_copy(struct mounted *m)
{
	struct err e = {0};

	must(act_write(m, &e), &e);
	must(view_flush(m->f, &e), &e);
}

static int set(struct mounted *m, uint64_t id, unsigned valid, const struct stat *st, struct err *e)
{
	struct view_entry entry;

	return view_setattr(&m->v, id, NULL, valid, st, &entry, e);
}

static int act_set_mode(struct mounted *m, struct err *e)
{
	return set(m, m->new, DRAFT_MODE, &(struct stat){.st_mode = 0600}, e);
}

static int act_set_size(struct mounted *m, struct err *e)
{
	return set(m, m->new, VIEW_SIZE, &(struct stat){.st_size = 132}, e);
}

static int act_set_size_of_base(struct mounted *m, struct err *e)
{
	return set(m, m->biases, VIEW_SIZE, &(struct stat){.st_size = 132}, e);
}

static void fill_new(struct mounted *m)
{
	struct err e = {0};

	must(put(m, m->new, 0, make_npy(BIAS), &e), &e);
}

static void fill_biases(struct mounted *m)
{
	struct err e = {0};

	must(put(m, m->biases, 0, make_npy(BIAS), &e), &e);
}

/* --- names --------------------------------------------------------------------------------------------- */

static int make_folder(struct mounted *m, uint64_t in, const char *name, struct err *e)
{
	struct view_entry entry;
	int r = view_mkdir(&m->v, in, name, &owner, &entry, e);

	if (r == 0)
		m->new = hold(m, &entry);
	return r;
}

static int act_mkdir(struct mounted *m, struct err *e)
{
	return make_folder(m, m->hidden, "deeper", e);
}

static int act_mkdir_step(struct mounted *m, struct err *e)
{
	return make_folder(m, NODE_ROOT_ID, "made", e);
}

/* A variable for the folder that was made. */
static void fill_folder(struct mounted *m)
{
	struct view_entry entry;
	struct err e = {0};

	must(view_create(&m->v, m->new, "new.npy", &owner, &entry, &m->f, &e), &e);
	hold(m, &entry);
	fill(m);
	view_close(TAKE(m->f, NULL));
}

void made(struct mounted *m)
{
	struct err e = {0};

	must(act_mkdir_step(m, &e), &e);
	fill_folder(m);
}

static int act_unlink(struct mounted *m, struct err *e)
{
	return view_unlink(&m->v, m->hidden, "weights.npy", e);
}

static int act_unlink_new(struct mounted *m, struct err *e)
{
	return view_unlink(&m->v, m->hidden, "new.npy", e);
}

/* The folder HIDDEN of the step has nothing in it. */
static void emptied(struct mounted *m)
{
	struct err e = {0};

	looked(m);
	must(act_unlink(m, &e), &e);
	must(view_unlink(&m->v, m->hidden, "biases.npy", &e), &e);
}

static int act_rmdir(struct mounted *m, struct err *e)
{
	return view_rmdir(&m->v, m->step, "hidden", &m->changes, e);
}

/* The step has nothing in it. */
static void remove_below(struct mounted *m, uint64_t id)
{
	CLEANUP(buf_release) struct buf names = {0};
	struct view_dirent de;
	struct err e = {0};
	bool stable;

	must(view_opendir(&m->v, id, &m->dir, &stable, &e), &e);
	for (uint64_t pos = 2; view_readdir(m->dir, pos, &de, &e) == 1; pos = de.next) {
		buf_add_byte(&names, de.type == S_IFDIR);
		buf_add(&names, de.name, strlen(de.name) + 1);
	}
	view_closedir(TAKE(m->dir, NULL));
	for (const char *n = (char *)names.p; n && n < (char *)names.p + names.n;
	     n += strlen(n) + 1) {
		bool is_dir = *n++;

		if (!is_dir)
			must(view_unlink(&m->v, id, n, &e), &e);
		else
			remove_below(m, look_up(m, id, n));
		if (is_dir)
			must(view_rmdir(&m->v, id, n, &m->changes, &e), &e);
	}
}

static void emptied_step(struct mounted *m)
{
	looked(m);
	remove_below(m, m->step);
}

static int act_rmdir_step(struct mounted *m, struct err *e)
{
	return view_rmdir(&m->v, NODE_ROOT_ID, BASE, &m->changes, e);
}

static void emptied_new_step(struct mounted *m)
{
	struct err e = {0};

	must(act_mkdir_step(m, &e), &e);
}

static int act_rmdir_new_step(struct mounted *m, struct err *e)
{
	return view_rmdir(&m->v, NODE_ROOT_ID, "made", &m->changes, e);
}

static int act_rename(struct mounted *m, struct err *e)
{
	return view_rename(&m->v, m->hidden, "biases.npy", m->output, "moved.npy", 0, &m->changes,
			   e);
}

static int act_rename_over(struct mounted *m, struct err *e)
{
	return view_rename(&m->v, m->hidden, "new.npy", m->hidden, "biases.npy", 0, &m->changes, e);
}

static int act_rename_folder(struct mounted *m, struct err *e)
{
	return view_rename(&m->v, m->step, "hidden", m->step, "in", 0, &m->changes, e);
}

static int act_exchange(struct mounted *m, struct err *e)
{
	return view_rename(&m->v, m->hidden, "biases.npy", m->hidden, "weights.npy",
			   RENAME_EXCHANGE, &m->changes, e);
}

static int act_rename_step(struct mounted *m, struct err *e)
{
	return view_rename(&m->v, NODE_ROOT_ID, BASE, NODE_ROOT_ID, "best", 0, &m->changes, e);
}

/* What could not be finished is so with the next mount. */
static int rename_step_again(struct mounted *m, struct err *e)
{
	struct view_entry entry;

	if (view_lookup(&m->v, NODE_ROOT_ID, "best", &entry, e) < 0)
		return act_rename_step(m, e);
	view_forget(&m->v, entry.id, 1);
	remount(m);
	view_look(&m->v);
	return 0;
}

static int act_rename_new_step(struct mounted *m, struct err *e)
{
	return view_rename(&m->v, NODE_ROOT_ID, "made", NODE_ROOT_ID, "best", 0, &m->changes, e);
}

static void made_empty(struct mounted *m)
{
	struct err e = {0};

	looked(m);
	must(act_mkdir_step(m, &e), &e);
}

/* The new step becomes a folder. */
static int act_move_step(struct mounted *m, struct err *e)
{
	return view_rename(&m->v, NODE_ROOT_ID, OTHER, m->new, "moved", 0, &m->changes, e);
}

static int move_step_again(struct mounted *m, struct err *e)
{
	struct view_entry entry;

	if (view_lookup(&m->v, m->new, "moved", &entry, e) < 0)
		return act_move_step(m, e);
	view_forget(&m->v, entry.id, 1);
	remount(m); /* as rename_step_again */
	view_look(&m->v);
	m->new = look_up(m, NODE_ROOT_ID, "made");
	return 0;
}

static void move_back(struct mounted *m)
{
	struct err e = {0};

	must(view_rename(&m->v, m->new, "moved", NODE_ROOT_ID, OTHER, 0, &m->changes, &e), &e);
	must(view_rmdir(&m->v, NODE_ROOT_ID, "made", &m->changes, &e), &e);
}

static int act_symlink(struct mounted *m, struct err *e)
{
	struct view_entry entry;
	int r = view_symlink(&m->v, NODE_ROOT_ID, "new", OTHER, &entry, e);

	if (r == 0)
		hold(m, &entry);
	return r;
}

static void linked(struct mounted *m)
{
	struct err e = {0};

	must(act_symlink(m, &e), &e);
}

static int act_rename_link(struct mounted *m, struct err *e)
{
	return view_rename(&m->v, NODE_ROOT_ID, "new", NODE_ROOT_ID, "latest", 0, &m->changes, e);
}

static int act_unlink_link(struct mounted *m, struct err *e)
{
	return view_unlink(&m->v, NODE_ROOT_ID, "new", e);
}

static void unlink_link(struct mounted *m)
{
	struct err e = {0};

	must(act_unlink_link(m, &e), &e);
}

static int act_symlink_latest(struct mounted *m, struct err *e)
{
	struct view_entry entry;
	int r = view_symlink(&m->v, NODE_ROOT_ID, "latest", OTHER, &entry, e);

	if (r == 0)
		hold(m, &entry);
	return r;
}

struct view_scenario view_writes[] = {
	{.name = "open to write", .prepare = looked, .act = act_open_to_write},
	{.name = "write", .prepare = looked, .act = act_put},
	{.name = "truncate when opened",
	 .prepare = looked,
	 .act = act_truncate_open,
	 .finish = fill},
	{.name = "create", .prepare = looked, .act = act_create, .finish = fill},
	{.name = "write to an open file", .prepare = opened, .act = act_write},
	{.name = "flush", .prepare = opened_written, .act = act_flush},
	{.name = "fsync", .prepare = opened_written, .act = act_fsync},
	{.name = "allocate", .prepare = opened, .act = act_allocate},
	{.name = "copy", .prepare = to_copy, .act = act_copy, .finish = write_copy},
	{.name = "set the mode", .prepare = written, .act = act_set_mode},
	{.name = "set the size", .prepare = written, .act = act_set_size, .finish = fill_new},
	{.name = "set the size of a variable",
	 .prepare = looked,
	 .act = act_set_size_of_base,
	 .finish = fill_biases},
	{.name = "mkdir", .prepare = written, .act = act_mkdir, .finish = fill_folder},
	{.name = "mkdir of a step",
	 .prepare = nothing,
	 .act = act_mkdir_step,
	 .finish = fill_folder},
	{.name = "unlink", .prepare = written, .act = act_unlink},
	{.name = "unlink a new file", .prepare = written, .act = act_unlink_new},
	{.name = "rmdir", .prepare = emptied, .act = act_rmdir},
	{.name = "rmdir of a step", .halves = true, .prepare = emptied_step, .act = act_rmdir_step},
	{.name = "rmdir of a new step", .prepare = emptied_new_step, .act = act_rmdir_new_step},
	{.name = "rename", .prepare = written, .act = act_rename},
	{.name = "rename over a file", .prepare = written, .act = act_rename_over},
	{.name = "rename a folder", .prepare = written, .act = act_rename_folder},
	{.name = "exchange", .prepare = written, .act = act_exchange},
	{.name = "rename a step",
	 .halves = true,
	 .prepare = looked,
	 .act = act_rename_step,
	 .again = rename_step_again},
	{.name = "rename a step with a draft",
	 .halves = true,
	 .prepare = written,
	 .act = act_rename_step,
	 .again = rename_step_again},
	{.name = "rename a new step", .prepare = made, .act = act_rename_new_step},
	{.name = "move a step into a new folder",
	 .halves = true,
	 .prepare = made_empty,
	 .act = act_move_step,
	 .again = move_step_again,
	 .finish = move_back},
	{.name = "symlink", .prepare = nothing, .act = act_symlink, .finish = unlink_link},
	{.name = "unlink a link", .prepare = linked, .act = act_unlink_link},
	/* The state file is changed first, and then the link is removed. */
	{.name = "rename to latest", .halves = true, .prepare = linked, .act = act_rename_link},
	{.name = "symlink latest", .prepare = nothing, .act = act_symlink_latest},
};

const unsigned n_view_writes = sizeof view_writes / sizeof *view_writes;
