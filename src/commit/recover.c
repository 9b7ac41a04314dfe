#include "commit/recover.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "directory/file_stamp.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "directory/step_files.h"
#include "step/name.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* --- a commit that was under way --------------------------------------------------------------------------- */

/* The files of a draft's folder. */
struct inodes {
	struct buf
		ids; /* struct file_id, of which only dev and ino count: while it is there no other file can have them */
};

static int gather_inodes(int parent, const char *name, struct inodes *out)
{
	CLEANUP(dir_closep) DIR *s = dir_open(parent, name);
	const struct dirent *de;
	struct stat st;
	int r = s ? 0 : -errno;

	while (r == 0 && (de = dir_read(s, &r))) {
		if (fstatat(dirfd(s), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = errno == ENOENT ? 0 : -errno;
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			r = gather_inodes(dirfd(s), de->d_name, out);
		} else if (S_ISREG(st.st_mode)) {
			struct file_id id = file_id_of(&st);

			r = buf_add(&out->ids, &id, sizeof id);
		}
	}
	return r;
}

static int is_one_of(const void *inodes, int dirfd, const char *name, struct err *e)
{
	const struct inodes *in = inodes;
	const struct file_id *ids = (const struct file_id *)in->ids.p;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", name);
	for (size_t i = 0; i < in->ids.n / sizeof *ids; i++)
		if (ids[i].dev == st.st_dev && ids[i].ino == st.st_ino)
			return 1;
	return 0;
}

/* Does FILE of TOP belong to the step NAME, as a shard or beside it? */
static bool belongs(const char *file, const char *name)
{
	size_t n = strlen(name), stem = sidecar_stem(name), prefix;
	uint32_t of;

	if (name_is_data(file, &prefix, &of))
		return prefix == n && !strncmp(file, name, n);
	return !strncmp(file, name, stem) && file[stem] == '.' &&
	       strcmp(file + stem, ".index") != 0;
}

struct moved {
	int traces;
	const char *name;
};

/* Was FILE moved there, or is it what its name was kept with? */
static int is_moved(const void *moved, int dirfd, const char *file, struct err *e)
{
	const struct moved *m = moved;
	int r = trace_fits(m->traces, m->name, dirfd, file, e);

	return r == 0 ? io_is_mark(dirfd, file, e) : r;
}

/* Takes back what a commit that did not reach its end has moved there, as there were no hard links. */
static int take_back_moved(int top, int draft, struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(draft, "commit/moved");
	const struct dirent *de;
	int r = s || errno == ENOENT ? 0 : err_sys(e, -errno, "commit/moved"), n = 0;

	while (s && r >= 0 && (de = dir_read(s, &r))) {
		const struct moved m = {dirfd(s), de->d_name};

		r = placed_remove_if(top, de->d_name, is_moved, &m, e);
		n += r > 0;
	}
	return r < 0 ? r : n;
}

/* Takes back the links that a commit has made which did not reach its end: those to files of the draft. How many. */
static int take_back(int top, int draft, const char *name, struct err *e)
{
	struct inodes in = {{0}};
	CLEANUP(dir_closep) DIR *s = dir_open(top, ".");
	const struct dirent *de;
	int r = s ? gather_inodes(draft, ".", &in) : -errno, n = 0, moved;

	if (r < 0)
		err_sys(e, r, "what a commit of %s had begun", name);
	while (r >= 0 && (de = dir_read(s, &r)))
		if (belongs(de->d_name, name)) {
			r = placed_remove_if(top, de->d_name, is_one_of, &in, e);
			n += r > 0;
		}
	buf_release(&in.ids);
	moved = r < 0 ? r : take_back_moved(top, draft, e);
	return moved < 0 ? moved : n + moved;
}

/* Whether the step's index is there, and ours: 1, 0, or why that can't be known. */
static int is_published(int top, int draft, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	CLEANUP(closep) int moved = -1;
	struct stat ours, there;

	if (step_index_name(name, &file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (fstatat(top, (char *)file.p, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", (char *)file.p);
	if (fstatat(draft, "commit/index", &ours, AT_SYMLINK_NOFOLLOW) == 0)
		return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
	if (errno != ENOENT)
		return err_sys(e, -errno, "commit/index");
	moved = dir_fd(draft, "commit/moved", NULL); /* where there are no hard links */
	if (moved < 0)
		return errno == ENOENT ? 0 : err_sys(e, moved, "commit/moved");
	return trace_fits(moved, (char *)file.p, top, (char *)file.p, e);
}

/* --- one draft --------------------------------------------------------------------------------------------- */

struct context {
	const struct draft_config *c;
	const struct commit_config *commit;
	const struct recovery *r;
	int drafts;
};

static void say(const struct context *x, const char *fmt, const char *a, const char *b)
{
	struct err text;

	err_set(&text, 0, fmt, a, b);
	x->r->say(x->r->arg, text.text);
}

/* The prefix of the step whose draft the folder is. */
static int prefix_of(const char *folder, struct buf *out)
{
	bool clash;
	int r = name_to_entry(bytes_str(folder), out, &clash);

	return r < 0 ? r : buf_add_byte(out, 0);
}

/* PUBLISHED: the step that it has become already, or NULL; it becomes the draft's, which then can't be changed. */
static void take_up(const struct context *x, const char *folder, const char *prefix,
		    char *published)
{
	struct draft_config c = *x->c;
	struct draft *d;
	struct err why = {0};

	c.name = prefix;
	c.first_dynamic = DRAFT_DYNAMIC;
	if (draft_take_up(&c, folder, &d, &why) < 0) {
		say(x, "a draft can't be taken up, and stays as it is: %s%s", why.text, "");
		free(published);
		return;
	}
	if (!published)
		say(x, "%s%s: its draft is taken up", prefix, "");
	d->published = published;
	x->r->found(x->r->arg, d);
}

/* What the commit under way would call its step. 0: there is none. */
static int read_name(int draft, char name[NAME_MAX + 1], struct err *e)
{
	ssize_t n = readlinkat(draft, "commit/name", name, NAME_MAX);

	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "commit/name");
	name[n] = 0;
	if (!strcmp(name, "."))
		name[0] = 0;
	return 1;
}

int recover_links(int top, int draft, struct err *e)
{
	char name[NAME_MAX + 1];
	int r = read_name(draft, name, e);

	return r == 1 ? take_back(top, draft, name, e) : r;
}

/* The step is there, of which the draft still says that it is to be. PUBLISHED gets its name if that could not
 * be settled. */
static int finish(const struct context *x, int draft, const char *folder, const char *prefix,
		  const char *name, char **published)
{
	struct draft d = {.top = x->c->top, .fd = draft, .folder = (char *)folder};
	struct err why = {0};
	struct stat st;
	int r = commit_finish(&d, x->commit, name, &why);

	if (r == 0) {
		say(x, "%s: a commit of %s that was interrupted is finished", name, prefix);
		return 1;
	}
	say(x, "%s: its commit was interrupted, and can't be finished yet: %s", name, why.text);
	if (fstatat(x->drafts, folder, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 1; /* what is left has another name, and goes with the next mount */
	*published = strdup(name);
	return *published ? 0 : -ENOMEM;
}

/* What was under way when it was interrupted. 1: the draft was committed, and is gone; 0: it is there; else it
 * stays as it is. */
static int resume(const struct context *x, int draft, const char *folder, const char *prefix,
		  char **published)
{
	char name[NAME_MAX + 1];
	struct err why = {0};
	int r = read_name(draft, name, &why);

	if (r == 0) {
		commit_forget(draft, NULL);
		return 0;
	}
	if (r == 1)
		r = is_published(x->c->top, draft, name, &why);
	if (r == 1)
		return finish(x, draft, folder, prefix, name, published);
	if (r < 0) {
		say(x, "whether the draft of %s is committed can't be known, it stays as it is: %s",
		    prefix, why.text);
		return r;
	}
	r = take_back(x->c->top, draft, name, &why);
	if (r > 0)
		say(x, "%s: what an interrupted commit of %s had begun is taken back", name,
		    prefix);
	if (r < 0) /* the draft's next commit begins with that */
		say(x, "%s: what an interrupted commit had begun can't be taken back yet: %s", name,
		    why.text);
	else
		commit_forget(draft, NULL);
	return 0;
}

static void recover_one(const struct context *x, const char *folder)
{
	CLEANUP(buf_release) struct buf prefix = {0};
	struct err why = {0};
	CLEANUP(closep) int draft = dir_fd(x->drafts, folder, &why);
	char *published = NULL;
	int r = draft < 0 ? draft : prefix_of(folder, &prefix);

	if (r == -ENOTDIR || r == -ENOENT) {
		say(x, ".ckptfs/drafts/%s%s: is no draft", folder, "");
		return;
	}
	if (r < 0) {
		say(x, "the draft .ckptfs/drafts/%s can't be taken up, and stays as it is: %s",
		    folder, draft < 0 ? why.text : "no memory");
		return;
	}
	if (resume(x, draft, folder, (char *)prefix.p, &published) == 0)
		take_up(x, folder, (char *)prefix.p, published);
}

/* --- all of them ------------------------------------------------------------------------------------------- */

static bool is_old(const char *name)
{
	return !strncmp(name, DRAFT_OLD, strlen(DRAFT_OLD)) || !strcmp(name, DRAFT_NEW);
}

/* The drafts, or what is left of such that have ended or never began. */
static int list_drafts(int drafts, bool old, struct buf *names)
{
	CLEANUP(dir_closep) DIR *s = dir_open(drafts, ".");
	const struct dirent *de;
	int r = s ? 0 : -errno;

	while (r == 0 && (de = dir_read(s, &r)))
		if (is_old(de->d_name) == old)
			r = buf_add(names, de->d_name, strlen(de->d_name) + 1);
	return r;
}

static int open_drafts(int top)
{
	CLEANUP(closep) int own = dir_fd(top, ".ckptfs", NULL);

	return own < 0 ? own : dir_fd(own, "drafts", NULL);
}

static int remove_old(int drafts, struct err *e)
{
	CLEANUP(buf_release) struct buf names = {0};
	int r = list_drafts(drafts, true, &names);

	for (const char *n = (char *)names.p; r == 0 && n && n < (char *)names.p + names.n;
	     n += strlen(n) + 1)
		r = io_remove_all(drafts, n, e);
	return r;
}

/* A step that was being renamed or removed. */
static void resume_step(const struct context *x)
{
	CLEANUP(buf_release) struct buf done = {0};
	struct err why;

	if (step_files_resume(x->c->top, x->commit->state_name, &done, &why) < 0)
		say(x, "a step that was being renamed or removed stays as it is: %s%s", why.text,
		    "");
	else if (done.n)
		x->r->say(x->r->arg, (char *)done.p);
}

int recover(const struct draft_config *c, const struct commit_config *commit,
	    const struct recovery *rec, struct err *e)
{
	CLEANUP(closep) int drafts = open_drafts(c->top);
	CLEANUP(buf_release) struct buf names = {0};
	const struct context x = {c, commit, rec, drafts};
	int r;

	r = placed_put_back(c->top, e);
	if (r < 0)
		return r;
	resume_step(&x);
	if (drafts < 0)
		return drafts == -ENOENT ? 0 : err_sys(e, drafts, ".ckptfs/drafts");
	r = remove_old(drafts, e);
	if (r == 0)
		r = list_drafts(drafts, false, &names);
	if (r < 0)
		return err_sys(e, r, ".ckptfs/drafts");
	for (const char *n = (char *)names.p; n && n < (char *)names.p + names.n;
	     n += strlen(n) + 1)
		recover_one(&x, n);
	io_remove_folder(c->top, ".ckptfs/drafts", NULL); /* if it is empty */
	return 0;
}

int recover_list(int top, struct buf *names, struct err *e)
{
	CLEANUP(closep) int drafts = open_drafts(top);
	int r = drafts < 0 ? drafts : list_drafts(drafts, false, names);

	return r == 0 || r == -ENOENT ? 0 : err_sys(e, r, ".ckptfs/drafts");
}

uint32_t recover_count(int top)
{
	CLEANUP(buf_release) struct buf names = {0};
	uint32_t n = 0;

	recover_list(top, &names, NULL);
	for (size_t i = 0; i < names.n; i++)
		n += !names.p[i];
	return n;
}
