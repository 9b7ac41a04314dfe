#include "directory/locate.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "directory/family.h"
#include "directory/listing.h"
#include "message/state.h"
#include <fcntl.h>
#include <sys/stat.h>

static int open_dir(const char *path, struct location *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, -errno, "%s", path);
	*out = (struct location){.dirfd = fd};
	return 0;
}

/* How much of NAME, the file of a step, is its prefix; all of NAME if it does not look like such a file. */
static size_t prefix_length(const char *name)
{
	struct bytes n = bytes_str(name);
	size_t prefix_n;
	uint32_t of;

	if (bytes_ends(n, bytes_str(".index")))
		return n.n - strlen(".index");
	if (bytes_ends(n, bytes_str(".meta")))
		return n.n - strlen(".meta");
	return name_is_data(name, &prefix_n, &of) ? prefix_n : n.n;
}

/* The step whose prefix is the first N bytes of NAME. */
static const struct listed *find_cut(const struct listing *l, const char *name, size_t n)
{
	CLEANUP(freep) char *prefix = strndup(name, n);

	return prefix ? listing_find_step(l, prefix) : NULL;
}

/* The step of which NAME is the prefix, the pattern or a file; NULL: there is none. */
static const struct listed *find_step(const struct listing *l, const char *name)
{
	const struct listed *item = find_cut(l, name, strlen(name));
	uint32_t of;

	if (!item)
		item = find_cut(l, name, prefix_length(name));
	if (!item)
		item = find_cut(l, name, name_without_shard(name, &of));
	return item ? item : find_cut(l, name, state_step(name, false).n);
}

/* Says why SOURCE, the file NAME in DIRFD, is no checkpoint. */
static int refuse(const char *source, int dirfd, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, 0) < 0)
		return err_set(
			e, -ENOENT,
			"%s: no such directory, and no checkpoint of that name: there is no %s.index",
			source, source);
	return err_set(
		e, -EINVAL,
		"%s: a file that belongs to no checkpoint; expected a directory, a prefix, or a file of a "
		"checkpoint (it is no V1 table, and there is no %.*s.index)",
		source, (int)prefix_length(name), name);
}

int locate(const char *source, const char *state_name, struct location *out, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(freep) char *dir = NULL;
	const char *slash = strrchr(source, '/');
	const char *name = slash ? slash + 1 : source;
	const struct listed *item;
	struct location where;
	struct stat st;
	int r;

	if (stat(source, &st) == 0 && S_ISDIR(st.st_mode))
		return open_dir(source, out, e);
	dir = slash ? strndup(source, (size_t)(slash - source) + 1) : strdup(".");
	r = dir ? open_dir(dir, &where, e) : err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		return r;
	r = listing_read(where.dirfd, state_name, &l, e);
	item = r == 0 ? find_step(&l, name) : NULL;
	if (item && !(where.step = strdup(item->place.name)))
		r = err_set(e, -ENOMEM, "no memory");
	else if (r == 0 && !item && !listing_find(&l, LISTED_STATE, name))
		r = refuse(source, where.dirfd, name, e);
	if (r < 0)
		close(where.dirfd);
	else
		*out = where;
	return r;
}

/* As locate_any. FOLDERS: how many more may be looked into. */
static bool any_below(int dirfd, const char *state_name, const char *family, unsigned *folders)
{
	CLEANUP(listing_release) struct listing l = {0};
	bool found = listing_read(dirfd, state_name, &l, NULL) < 0;

	for (uint32_t i = 0; i < l.n && !found; i++)
		found = l.items[i].kind == LISTED_STEP &&
			(!family || same_family(l.items[i].place.name, family));
	for (uint32_t i = 0; i < l.n && !found && !family; i++)
		if (l.items[i].kind == LISTED_FOLDER) {
			CLEANUP(closep)
			int fd = *folders ? dir_fd(dirfd, l.items[i].place.file, NULL) : -1;

			found = fd < 0 || (--*folders, any_below(fd, state_name, NULL, folders));
		}
	return found;
}

bool locate_any(int dirfd, const char *state_name, const char *family)
{
	unsigned folders = 100;

	return any_below(dirfd, state_name, family, &folders);
}
