/* src/cli/fsck_strays.c: what fsck.ckptfs says of files that belong to no step. */
#include "base/cleanup.h"
#include "cli/fsck.h"
#include "directory/drafts_list.h"
#include "directory/lock.h"
#include "directory/step_files.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A temporary file that is younger may be of a save that is under way. */
enum { TEMPORARY_AGE = 3600 };

static void check_temporary(struct fsck *f, int dirfd, const char *folder, const struct stray *s)
{
	CLEANUP(freep) char *path = path_in(folder, s->name);
	struct err e = {0};
	int r;

	if (!path)
		return;
	if (time(NULL) - s->changed < TEMPORARY_AGE) {
		report_note(&f->report, path, "belongs to a save that may be under way");
		return;
	}
	report_problem(&f->report, path, "was left by a save that did not end");
	if (!may_repair(f, path, "Remove it?", true))
		return;
	r = stray_remove(dirfd, s, &e);
	if (r < 0 && r != -ENOENT) {
		repair_failed(f, path, &e);
		return;
	}
	repaired(f, path, "removed", 1);
}

static void check_damaged(struct fsck *f, int dirfd, const char *folder, const struct stray *s)
{
	CLEANUP(freep) char *path = path_in(folder, s->name);
	struct err e = {0};

	if (path && stray_why(dirfd, s, &e) < 0)
		report_problem(&f->report, path, e.text);
}

/* S and those behind it, N in all, are sorted by name. Makes one note of those with the same prefix as S; how many they are. */
static size_t note_data(struct fsck *f, const char *folder, const struct stray *s, size_t n)
{
	enum { MAX_NAMES = 5 };
	CLEANUP(freep) char *prefix = strndup(s->name, s->prefix_n);
	CLEANUP(freep) char *path = prefix ? path_in(folder, prefix) : NULL;
	CLEANUP(buf_release) struct buf names = {0};
	size_t same = 0;
	struct err text;

	for (; same < n && s[same].kind == s->kind && s[same].prefix_n == s->prefix_n &&
	       !strncmp(s[same].name, s->name, s->prefix_n);
	     same++)
		if (same < MAX_NAMES)
			buf_printf(&names, "%s%s", same ? ", " : "", s[same].name);
	if (same > MAX_NAMES)
		buf_printf(&names, " and %zu more", same - MAX_NAMES);
	err_set(&text, 0, "%s: %.*s",
		s->kind == STRAY_DATA ? "data without an index"
				      : "data of another number of shards, which are not used",
		(int)names.n, (char *)names.p);
	if (path)
		report_note(&f->report, path, text.text);
	return same;
}

static void note_meta(struct fsck *f, const char *folder, const struct stray *s)
{
	CLEANUP(freep) char *path = path_in(folder, s->name);

	if (path)
		report_note(&f->report, path, "a meta graph without a checkpoint");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The strings that NAMES has, one behind another, as a sorted array of N pointers into it. NULL: no memory. */
static const char **sorted_names(const struct buf *names, size_t *n)
{
	const char **out = calloc(names->n + 1, sizeof *out);

	*n = 0;
	for (size_t at = 0; out && at < names->n; at += strlen(out[*n - 1]) + 1)
		out[(*n)++] = (char *)names->p + at;
	if (out)
		qsort(out, *n, sizeof *out, compare_names);
	return out;
}

static void note_leaving(struct fsck *f, const char *folder, bool held)
{
	CLEANUP(freep) char *path = path_in(folder, STEP_LEAVING);

	if (path)
		report_note(
			&f->report, path,
			held ? "a step that a mount is renaming or removing"
			     : "a step that was being renamed or removed; the next mount goes on");
}

/* Drafts are no problem: they wait for the next mount, or a mount is at work on them. */
static void note_drafts(struct fsck *f, int dirfd, const char *folder, const struct stray *s)
{
	CLEANUP(freep) char *path = path_in(folder, s->name);
	CLEANUP(freep) char *drafts = path ? path_in(path, "drafts") : NULL;
	CLEANUP(buf_release) struct buf names = {0};
	CLEANUP(freep) const char **sorted = NULL;
	bool held = lock_is_held(dirfd, NULL);
	bool leaving = faccessat(dirfd, STEP_LEAVING, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	struct err e = {0};
	size_t n;

	if (!drafts)
		return;
	if (leaving)
		note_leaving(f, folder, held);
	if (drafts_list(dirfd, &names, &e) < 0) {
		report_failure(&f->report, folder, &e);
		return;
	}
	if (!names.n && !held && !leaving)
		report_note(&f->report, path, "was left by a mount; there are no drafts in it");
	sorted = sorted_names(&names, &n);
	for (size_t i = 0; sorted && i < n; i++) {
		CLEANUP(freep) char *draft = path_in(drafts, sorted[i]);

		if (draft)
			report_note(&f->report, draft,
				    held ? "a draft that a mount is at work on"
					 : "an unfinished draft; the next mount takes it up");
	}
}

void check_strays(struct fsck *f, int dirfd, const char *folder, const struct listing *l,
		  const uint32_t *num_shards)
{
	CLEANUP(strays_release) struct strays s = {0};
	struct err e = {0};
	size_t n;

	if (strays_read(dirfd, l, num_shards, &s, &e) < 0) {
		report_failure(&f->report, folder, &e);
		return;
	}
	for (size_t i = 0; i < s.n && !*f->stop; i += n) {
		n = 1;
		switch (s.items[i].kind) {
		case STRAY_TEMPORARY:
		case STRAY_FOLDER:
			check_temporary(f, dirfd, folder, &s.items[i]);
			break;
		case STRAY_DATA:
		case STRAY_SHARD:
			n = note_data(f, folder, &s.items[i], s.n - i);
			break;
		case STRAY_META:
			note_meta(f, folder, &s.items[i]);
			break;
		case STRAY_TABLE:
			check_damaged(f, dirfd, folder, &s.items[i]);
			break;
		case STRAY_DRAFTS:
			note_drafts(f, dirfd, folder, &s.items[i]);
			break;
		}
	}
}
