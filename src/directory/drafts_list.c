#include "directory/drafts_list.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/lacks.h"
#include "step/name.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DRAFTS ".ckptfs/drafts"

int drafts_folder_name(const char *prefix, struct buf *out)
{
	int r = name_from_entry(bytes_str(prefix), false, out);

	return r < 0 ? r : buf_add_byte(out, 0);
}

int drafts_prefix(const char *folder, struct buf *out)
{
	bool clash;
	int r = name_to_entry(bytes_str(folder), out, &clash);

	return r < 0 ? r : buf_add_byte(out, 0);
}

/* Neither folder may be a symbolic link. */
int drafts_open(int top)
{
	CLEANUP(closep) int own = dir_fd(top, ".ckptfs", NULL);

	return own < 0 ? own : dir_fd(own, "drafts", NULL);
}

static bool is_old(const char *name)
{
	return !strncmp(name, DRAFT_OLD, strlen(DRAFT_OLD)) || !strcmp(name, DRAFT_NEW);
}

/* The folder that the link NAME of DRAFTS leads to, into OUT: 1; 0: it is no such link. */
static int read_mark(int drafts, const char *name, char out[NAME_MAX + 1])
{
	ssize_t n = io_read_link(drafts, name, out, NAME_MAX);

	out[n > 0 ? n : 0] = 0;
	return n > 0 && !strchr(out, '/') && strcmp(out, ".") != 0 && strcmp(out, "..") != 0;
}

/* Removes NAME, an old one's, with what it leads to first. */
static int remove_old(int drafts, const char *name, struct err *e)
{
	char folder[NAME_MAX + 1];
	int r = read_mark(drafts, name, folder) ? io_remove_all(drafts, folder, e) : 0;

	return r < 0 ? r : io_remove_all(drafts, name, e);
}

int drafts_remove_new(int drafts, struct err *e)
{
	return remove_old(drafts, DRAFT_NEW, e);
}

/* With OLD the names of those that have ended or are not whole, else those of the others. */
static int list_folders(int drafts, bool old, struct buf *names)
{
	CLEANUP(dir_closep) DIR *s = dir_open(drafts, ".");
	const struct dirent *de;
	int r = s ? 0 : -errno;

	while (r == 0 && (de = dir_read(s, &r)))
		if (is_old(de->d_name) == old)
			r = buf_add(names, de->d_name, strlen(de->d_name) + 1);
	return r;
}

/* Of the names OLD, each with its NUL: one that leads to FOLDER; NULL: none. */
static const char *find_mark(int drafts, const struct buf *old, const char *folder)
{
	char to[NAME_MAX + 1];

	for (const char *n = (char *)old->p; n && n < (char *)old->p + old->n; n += strlen(n) + 1)
		if (read_mark(drafts, n, to) && !strcmp(to, folder))
			return n;
	return NULL;
}

/* Takes the names out of NAMES to which one of OLD leads. */
static void drop_marked(int drafts, const struct buf *old, struct buf *names)
{
	size_t kept = 0;

	for (size_t at = 0, n; at < names->n; at += n) {
		n = strlen((char *)names->p + at) + 1;
		if (find_mark(drafts, old, (char *)names->p + at))
			continue;
		memmove(names->p + kept, names->p + at, n);
		kept += n;
	}
	names->n = kept;
}

/* If FOLDER is the rest of a draft that has ended, it is removed, if that can be done now. */
static void remove_marked(int drafts, const char *folder)
{
	CLEANUP(buf_release) struct buf old = {0};
	const char *mark;

	if (list_folders(drafts, true, &old) == 0 && (mark = find_mark(drafts, &old, folder)))
		remove_old(drafts, mark, NULL);
}

int drafts_begin_new(int drafts, const char *folder, struct err *e)
{
	struct stat st;

	if (!(lacks_at(drafts) & LACKS_FOLDERS))
		return 0;
	remove_marked(drafts, folder);
	if (fstatat(drafts, folder, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_sys(e, -EEXIST, "%s", folder);
	return errno == ENOENT ? io_make_link(folder, drafts, DRAFT_NEW, e)
			       : err_sys(e, -errno, "%s", folder);
}

int drafts_end_new(int drafts, const char *folder, struct err *e)
{
	return lacks_at(drafts) & LACKS_FOLDERS ? io_remove_file(drafts, DRAFT_NEW, e)
						: io_move_new(drafts, DRAFT_NEW, drafts, folder, e);
}

int drafts_list(int top, struct buf *names, struct err *e)
{
	CLEANUP(buf_release) struct buf old = {0};
	CLEANUP(closep) int drafts = drafts_open(top);
	int r = drafts < 0 ? drafts : list_folders(drafts, false, names);

	if (r == 0)
		r = list_folders(drafts, true, &old);
	if (r == 0)
		drop_marked(drafts, &old, names);
	return r == 0 || r == -ENOENT ? 0 : err_sys(e, r, DRAFTS);
}

uint32_t drafts_count(int top)
{
	CLEANUP(buf_release) struct buf names = {0};
	uint32_t n = 0;

	if (drafts_list(top, &names, NULL) < 0)
		return 0;
	for (size_t i = 0; i < names.n; i++)
		n += !names.p[i];
	return n;
}

int drafts_remove(int top, const char *prefix, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	int r = buf_add_str(&path, DRAFTS "/");

	if (r == 0)
		r = drafts_folder_name(prefix, &path);
	return r < 0 ? err_sys(e, r, "%s", prefix) : io_remove_all(top, (char *)path.p, e);
}

int drafts_remove_old(int top, struct err *e)
{
	CLEANUP(buf_release) struct buf names = {0};
	CLEANUP(closep) int drafts = drafts_open(top);
	int r = drafts < 0 ? drafts : list_folders(drafts, true, &names);

	if (r < 0)
		return r == -ENOENT ? 0 : err_sys(e, r, DRAFTS);
	for (const char *n = (char *)names.p; r == 0 && n && n < (char *)names.p + names.n;
	     n += strlen(n) + 1)
		r = remove_old(drafts, n, e);
	return r;
}

/* What has such a name is only to be removed, so another one will do as well. */
int drafts_retire(int top, const char *folder, char old[DRAFTS_OLD_SIZE], struct err *e)
{
	CLEANUP(closep) int drafts = drafts_open(top);
	bool marked = lacks_at(top) & LACKS_FOLDERS;
	int r = drafts < 0 ? err_sys(e, drafts, DRAFTS) : -EEXIST;

	for (unsigned i = 0; r == -EEXIST; i++) {
		snprintf(old, DRAFTS_OLD_SIZE, "%s%u", DRAFT_OLD, i);
		r = marked ? io_make_link(folder, drafts, old, e)
			   : io_move_new(drafts, folder, drafts, old, e);
	}
	return r;
}

int drafts_sweep(int top, const char *old, struct err *e)
{
	CLEANUP(closep) int drafts = drafts_open(top);

	return drafts < 0 ? err_sys(e, drafts, DRAFTS) : remove_old(drafts, old, e);
}

void drafts_tidy(int top)
{
	io_remove_folder(top, DRAFTS, NULL);
}
