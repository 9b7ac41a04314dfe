#include "directory/drafts_list.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "step/name.h"
#include <stdio.h>
#include <string.h>

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

/* With OLD those that have ended or are not whole, else the others. */
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

int drafts_list(int top, struct buf *names, struct err *e)
{
	CLEANUP(closep) int drafts = drafts_open(top);
	int r = drafts < 0 ? drafts : list_folders(drafts, false, names);

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
		r = io_remove_all(drafts, n, e);
	return r;
}

/* What has such a name is only to be removed, so another one will do as well. */
int drafts_retire(int top, const char *folder, char old[DRAFTS_OLD_SIZE], struct err *e)
{
	CLEANUP(closep) int drafts = drafts_open(top);
	int r = drafts < 0 ? err_sys(e, drafts, DRAFTS) : -EEXIST;

	for (unsigned i = 0; r == -EEXIST; i++) {
		snprintf(old, DRAFTS_OLD_SIZE, "%s%u", DRAFT_OLD, i);
		r = io_move_new(drafts, folder, drafts, old, e);
	}
	return r;
}

int drafts_sweep(int top, const char *old, struct err *e)
{
	CLEANUP(closep) int drafts = drafts_open(top);

	return drafts < 0 ? err_sys(e, drafts, DRAFTS) : io_remove_all(drafts, old, e);
}

void drafts_tidy(int top)
{
	io_remove_folder(top, DRAFTS, NULL);
}
