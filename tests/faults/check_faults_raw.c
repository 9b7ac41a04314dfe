/* Fails the n-th allocation, and the n-th call that opens or changes a file, for n = 1, 2, ... until none is left, in
 * each call on files of the directory (src/raw).
 *
 * Each time it succeeds, or there is an error with its code and a sentence, and the directory is as before; then, when
 * nothing fails any more, the call does what it should. No call is made under the lock of src/raw, and what was given out
 * is given back.
 *
 *   check_faults_raw [SCENARIO...] */
#include "base/cleanup.h"
#include "base/dir.h"
#include "faults/faults.h"
#include "faults/mounted.h"
#include "raw/raw.h"
#include <fcntl.h>
#include <stdio.h>

static const struct draft_owner owner = {0, 0, 0644};

struct rig {
	struct mounted m;
	struct raw raw;
	uint64_t held; /* looked up by the call, or 0 */
};

struct scenario {
	const char *name;
	int (*act)(struct rig *g, struct err *e);
	bool halves; /* what was written before the failure is there */
	char *before, *after;
};

/* --- what is done ------------------------------------------------------------------------------------------------------- */

static int keep(struct rig *g, int r, const struct view_entry *entry)
{
	if (r == 0)
		g->held = entry->id;
	return r;
}

static int act_look_up(struct rig *g, struct err *e)
{
	struct view_entry entry;

	return keep(g, raw_lookup(&g->raw, NODE_ROOT_ID, "plain", 0, &entry, e), &entry);
}

static void answered(void *arg)
{
	(void)arg;
}

static int write_all(struct raw_file *f, struct err *e)
{
	int r = raw_write(f, bytes_of("bytes", 5), 0, answered, NULL, e);

	return r == 0 ? raw_flush(f, e) : r;
}

static int act_create(struct rig *g, struct err *e)
{
	struct view_entry entry;
	struct raw_cache cache;
	struct raw_file *f;
	int r = raw_create(&g->raw, NODE_ROOT_ID, "new", O_RDWR, &owner, &entry, &f, &cache, e);

	if (r == -EEXIST) { /* it was not written to the first time */
		r = raw_lookup(&g->raw, NODE_ROOT_ID, "new", 0, &entry, e);
		if (r == 0)
			r = raw_open(&g->raw, entry.id, O_WRONLY | O_TRUNC, &f, &cache, e);
	}
	if (r < 0)
		return r;
	r = write_all(f, e);
	raw_close(f);
	if (r < 0)
		raw_forget(&g->raw, entry.id, 1);
	return keep(g, r, &entry);
}

static int act_mknod(struct rig *g, struct err *e)
{
	struct view_entry entry;

	return keep(g, raw_create(&g->raw, NODE_ROOT_ID, "new", 0, &owner, &entry, NULL, NULL, e),
		    &entry);
}

static int act_read(struct rig *g, struct err *e)
{
	struct view_entry entry;
	struct raw_cache cache;
	struct raw_file *f;
	uint8_t bytes[8];
	int64_t n;
	int r = raw_lookup(&g->raw, NODE_ROOT_ID, "plain", 0, &entry, e);

	if (r < 0)
		return r;
	r = raw_open(&g->raw, entry.id, O_RDONLY, &f, &cache, e);
	if (r == 0) {
		n = raw_read(f, 0, sizeof bytes, bytes, e);
		if (n >= 0 && (n != 5 || memcmp(bytes, "plain", 5) != 0))
			fail("the bytes are others");
		r = n < 0 ? (int)n : 0;
		raw_close(f);
	}
	raw_forget(&g->raw, entry.id, 1);
	return r;
}

static int act_mkdir(struct rig *g, struct err *e)
{
	struct view_entry entry;

	return keep(g, raw_mkdir(&g->raw, NODE_ROOT_ID, "new_temp", &owner, &entry, e), &entry);
}

static int act_symlink(struct rig *g, struct err *e)
{
	struct view_entry entry;

	return keep(g, raw_symlink(&g->raw, NODE_ROOT_ID, "new", "nowhere", &owner, &entry, e),
		    &entry);
}

static int act_unlink(struct rig *g, struct err *e)
{
	return raw_unlink(&g->raw, NODE_ROOT_ID, "plain", e);
}

static int act_rmdir(struct rig *g, struct err *e)
{
	struct buf changes = {0};
	int r = raw_rmdir(&g->raw, NODE_ROOT_ID, "old_temp", &changes, e);

	buf_release(&changes);
	return r;
}

static int rename_to(struct rig *g, const char *from, const char *to, struct err *e)
{
	struct buf changes = {0};
	int r = raw_rename(&g->raw, NODE_ROOT_ID, from, NODE_ROOT_ID, to, 0, &changes, e);

	buf_release(&changes);
	return r;
}

static int act_rename(struct rig *g, struct err *e)
{
	return rename_to(g, "plain", "renamed", e);
}

static int act_replace(struct rig *g, struct err *e)
{
	return rename_to(g, "plain", "other", e);
}

static int act_rename_folder(struct rig *g, struct err *e)
{
	return rename_to(g, "old_temp", "new_temp", e);
}

static int act_set(struct rig *g, struct err *e)
{
	const struct stat st = {.st_size = 2};
	struct view_entry entry;
	int r = raw_lookup(&g->raw, NODE_ROOT_ID, "plain", 0, &entry, e);

	if (r == 0) {
		r = raw_setattr(&g->raw, entry.id, NULL, VIEW_SIZE, &st, &entry, e);
		raw_forget(&g->raw, entry.id, 1);
	}
	return r;
}

static int act_list(struct rig *g, struct err *e)
{
	struct view_dirent de = {0};
	struct raw_dir *d;
	unsigned n = 0;
	bool stable;
	int r = raw_opendir(&g->raw, NODE_ROOT_ID, 1, &d, &stable, e);

	if (r < 0)
		return r;
	while ((r = raw_readdir(d, de.next, &de, e)) > 0)
		n += !strcmp(de.name, "plain") || !strcmp(de.name, BASE) ||
		     !strcmp(de.name, BASE ".index") || !strcmp(de.name, "old_temp");
	raw_closedir(d);
	if (r == 0 && n != 4)
		fail("%u of 4 names are listed", n);
	return r;
}

static struct scenario scenarios[] = {
	{.name = "look_up", .act = act_look_up},
	{.name = "create", .act = act_create, .halves = true},
	{.name = "mknod", .act = act_mknod},
	{.name = "read", .act = act_read},
	{.name = "mkdir", .act = act_mkdir},
	{.name = "symlink", .act = act_symlink},
	{.name = "unlink", .act = act_unlink},
	{.name = "rmdir", .act = act_rmdir},
	{.name = "rename", .act = act_rename},
	{.name = "replace", .act = act_replace},
	{.name = "rename_folder", .act = act_rename_folder},
	{.name = "set", .act = act_set, .halves = true}, /* attributes can't be asked for */
	{.name = "list", .act = act_list},
};

/* --- trials --------------------------------------------------------------------------------------------------------------- */

static void make_file(int top, const char *name)
{
	CLEANUP(closep) int fd = openat(top, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, name, strlen(name)) < 0)
		fail("%s can't be made", name);
}

static void begin(struct rig *g)
{
	*g = (struct rig){0};
	mounted_begin(&g->m, (struct mounted_options){0});
	make_file(g->m.t.top, "plain");
	make_file(g->m.t.top, "other");
	if (mkdirat(g->m.t.top, "old_temp", 0755) < 0)
		fail("old_temp can't be made");
	raw_init(&g->raw, &g->m.v, true);
	fault_guard(&g->raw.lock);
}

/* What was made is taken away, for mounted_end looks at what is left. */
static void end(struct rig *g)
{
	static const char *const files[] = {"plain", "other", "new", "renamed"};

	if (g->held)
		raw_forget(&g->raw, g->held, 1);
	if (g->raw.n_nodes)
		fail("%u nodes are left", g->raw.n_nodes);
	fault_guard(NULL);
	raw_release(&g->raw);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlinkat(g->m.t.top, files[i], 0);
	unlinkat(g->m.t.top, "old_temp", AT_REMOVEDIR);
	unlinkat(g->m.t.top, "new_temp", AT_REMOVEDIR);
	g->m.warning.code = 0; /* what the first look at the folder met */
	mounted_end(&g->m);
	trial_end(&g->m.t);
}

/* Each name in the directory, with type, mode and size, sorted. */
static char *dump(const struct rig *g)
{
	CLEANUP(dir_closep) DIR *d = dir_open(g->m.t.top, ".");
	const struct dirent *de;
	struct buf text = {0};
	struct stat st;

	while ((de = dir_next(d))) {
		if (fstatat(g->m.t.top, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			fail("%s can't be looked at", de->d_name);
		buf_printf(&text, "%s %o %ld\n", de->d_name, st.st_mode,
			   S_ISDIR(st.st_mode) ? 0 : (long)st.st_size);
	}
	return sorted(&text);
}

static void note(struct scenario *s)
{
	struct err e = {0};
	struct rig g;

	snprintf(context, sizeof context, "%s", s->name);
	begin(&g);
	s->before = dump(&g);
	must(s->act(&g, &e), &e);
	s->after = dump(&g);
	end(&g);
}

static void is_either(const struct scenario *s, const struct rig *g, int r)
{
	char *have = dump(g);

	if (strcmp(have, s->after) != 0 && (r == 0 || (strcmp(have, s->before) != 0 && !s->halves)))
		fail("the directory is\n%sand not\n%s", have, r ? s->before : s->after);
	if (r < 0 && strcmp(have, s->before) != 0 && !s->halves)
		fail("it failed, and has changed the directory:\n%s", have);
	free(have);
}

/* False: there are no N calls of that kind. */
static bool try(const void *scenario, enum fault f, unsigned long n)
{
	const struct scenario *s = scenario;
	struct err e = {0};
	struct rig g;
	bool hit;
	int r;

	snprintf(context, sizeof context, "%s, %s %lu", s->name, fault_names[f], n);
	begin(&g);
	fault_arm(f, n, false);
	r = s->act(&g, &e);
	hit = fault_disarm();
	if (r < 0 && (!hit || r != fault_error(f) || (f != FAULT_MEMORY && !e.code)))
		fail("%d %s", r, e.text);
	is_either(s, &g, r);
	if (r < 0)
		must(s->act(&g, &e), &e);
	is_either(s, &g, 0);
	end(&g);
	return hit;
}

static void run(struct scenario *s)
{
	note(s);
	try_each(try, s, true);
	freep(&s->before);
	freep(&s->after);
}

int main(int argc, char *argv[])
{
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
		if (is_named(argc, argv, scenarios[i].name))
			run(&scenarios[i]);
	return EXIT_SUCCESS;
}
