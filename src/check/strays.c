#include "check/strays.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "format/v1.h"
#include "step/sidecar.h"
#include <fcntl.h>
#include <string.h>

void strays_release(struct strays *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->items[i].name);
	free(s->items);
	*s = (struct strays){0};
}

/* The names that belong to steps. */
struct known {
	const struct listing *l;
	const uint32_t *num_shards;
	char **metas; /* the names of the steps' meta graphs, sorted */
	size_t n_metas;
};

static void known_release(struct known *k)
{
	for (size_t i = 0; i < k->n_metas; i++)
		free(k->metas[i]);
	free(k->metas);
}

/* Also of strays, which begin with a name. */
static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int gather_metas(struct known *k)
{
	k->metas = calloc(k->l->n + (size_t)1, sizeof *k->metas);
	if (!k->metas)
		return -ENOMEM;
	for (uint32_t i = 0; i < k->l->n; i++) {
		struct buf name = {0};

		if (k->l->items[i].kind != LISTED_STEP)
			continue;
		if (sidecar_name(&k->l->items[i].place, META_SUFFIX, &name) < 0)
			return -ENOMEM;
		k->metas[k->n_metas++] = (char *)name.p;
	}
	qsort(k->metas, k->n_metas, sizeof *k->metas, compare_names);
	return 0;
}

/* --- kinds ------------------------------------------------------------------------------------------------- */

/* Is NAME, a V2 shard, one of COUNT, of no step? OUT then says which kind of stray it is. */
static bool is_stray_data(const struct known *k, const char *name, size_t prefix_n, uint32_t count,
			  struct stray *out)
{
	CLEANUP(freep) char *prefix = strndup(name, prefix_n);
	const struct listed *step = prefix ? listing_find(k->l, LISTED_STEP, prefix) : NULL;
	uint32_t num_shards = step ? k->num_shards[step - k->l->items] : 0;

	out->prefix_n = prefix_n;
	out->kind = step && step->place.format == STEP_V2 ? STRAY_SHARD : STRAY_DATA;
	return out->kind == STRAY_DATA || (num_shards && count != num_shards);
}

/* Is NAME a V1 file of a step, alone or one of a set? */
static bool is_of_step(const struct known *k, const char *name)
{
	uint32_t of;
	CLEANUP(freep) char *prefix = strndup(name, name_without_shard(name, &of));

	return listing_find(k->l, LISTED_STEP, name) || listing_find(k->l, LISTED_STATE, name) ||
	       (prefix && listing_find(k->l, LISTED_STEP, prefix));
}

static bool is_damaged_table(int dirfd, const struct known *k, const char *name)
{
	CLEANUP(buf_release) struct buf meta = {0};
	CLEANUP(closep) int fd = -1;
	struct source src;
	struct stat st;

	if (is_of_step(k, name) || bytes_ends(bytes_str(name), bytes_str(".index")))
		return false;
	if (buf_printf(&meta, "%s.meta", name) == 0 && buf_add_byte(&meta, 0) == 0 &&
	    fstatat(dirfd, (char *)meta.p, &st, 0) == 0)
		return true;
	fd = source_open(dirfd, name, &src, NULL);
	return fd >= 0 && sstable_probe(&src);
}

static bool is_stray_file(int dirfd, const struct known *k, const char *name, struct stray *out)
{
	struct bytes n = bytes_str(name);
	size_t prefix_n;
	uint32_t count;

	out->kind = STRAY_TEMPORARY;
	if (name_is_temporary(name))
		return true;
	if (name_is_data(name, &prefix_n, &count))
		return is_stray_data(k, name, prefix_n, count, out);
	out->kind = STRAY_META;
	if (bytes_ends(n, bytes_str(".meta")))
		return !bsearch(&name, k->metas, k->n_metas, sizeof *k->metas, compare_names);
	out->kind = STRAY_TABLE;
	return is_damaged_table(dirfd, k, name);
}

/* How many parts are in the folder NAME. LATEST becomes the time when one last changed, if that is later. */
static size_t count_parts(int parent, const char *name, time_t *latest)
{
	CLEANUP(dir_closep) DIR *d = dir_open(parent, name);
	const struct dirent *de;
	struct stat st;
	size_t n = 0;

	while (d && (de = dir_next(d))) {
		if (strncmp(de->d_name, "part-", 5) != 0)
			continue;
		n++;
		if (!fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    st.st_mtime > *latest)
			*latest = st.st_mtime;
	}
	return n;
}

static bool is_stray(int dirfd, const struct known *k, const char *name, struct stray *out)
{
	struct stat st;

	*out = (struct stray){0};
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	out->changed = st.st_mtime;
	if (S_ISREG(st.st_mode))
		return is_stray_file(dirfd, k, name, out);
	if (!S_ISDIR(st.st_mode))
		return false;
	out->kind = STRAY_DRAFTS;
	if (!strcmp(name, ".ckptfs"))
		return true;
	out->kind = STRAY_FOLDER;
	/* An empty NAME_temp may be anybody's. */
	return folder_is_temporary(dirfd, name) &&
	       (count_parts(dirfd, name, &out->changed) ||
		!bytes_ends(bytes_str(name), bytes_str("_temp")));
}

/* --- all of them ------------------------------------------------------------------------------------------- */

static int read_names(int dirfd, DIR *d, const struct known *k, struct buf *items)
{
	const struct dirent *de;
	struct stray stray;
	int r = 0;

	while (r == 0 && (de = dir_next(d))) {
		if (!is_stray(dirfd, k, de->d_name, &stray))
			continue;
		stray.name = strdup(de->d_name);
		r = stray.name ? buf_add(items, &stray, sizeof stray) : -ENOMEM;
		if (r < 0)
			free(stray.name);
	}
	return r == 0 ? -errno : r;
}

int strays_read(int dirfd, const struct listing *l, const uint32_t *num_shards, struct strays *out,
		struct err *e)
{
	CLEANUP(known_release) struct known k = {.l = l, .num_shards = num_shards};
	CLEANUP(strays_release) struct strays s = {0};
	struct buf items = {0};
	CLEANUP(dir_closep) DIR *d = dir_open(dirfd, ".");
	int r;

	if (!d)
		return err_sys(e, -errno, "reading the directory");
	r = gather_metas(&k);
	if (r == 0)
		r = read_names(dirfd, d, &k, &items);
	s = (struct strays){(struct stray *)items.p, items.n / sizeof(struct stray)};
	if (r < 0)
		return err_sys(e, r, "reading the directory");
	if (s.n)
		qsort(s.items, s.n, sizeof *s.items, compare_names);
	*out = TAKE(s, (struct strays){0});
	return 0;
}

int stray_why(int dirfd, const struct stray *s, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	CLEANUP(v1_close) struct v1 v = {0};
	struct source src;
	int r = fd = source_open(dirfd, s->name, &src, e);

	if (r >= 0)
		r = v1_open(&v, src, e);
	return r == -ENOENT ? 0 : r;
}

/* Removes the parts. If something else is in the folder, it can't be removed afterwards. */
static int remove_parts(int parent, const char *name, struct err *e)
{
	CLEANUP(dir_closep) DIR *d = dir_open(parent, name);
	const struct dirent *de;
	int r = 0;

	if (!d)
		return err_sys(e, -errno, "%s", name);
	while (r == 0 && (de = dir_next(d)))
		if (!strncmp(de->d_name, "part-", 5))
			r = io_remove_file(dirfd(d), de->d_name, e);
	return r < 0 ? err_wrap(e, r, "%s", name) : 0;
}

int stray_remove(int dirfd, const struct stray *s, struct err *e)
{
	int r;

	if (s->kind == STRAY_TEMPORARY)
		return io_remove_file(dirfd, s->name, e);
	r = remove_parts(dirfd, s->name, e);
	return r < 0 ? r : io_remove_folder(dirfd, s->name, e);
}
