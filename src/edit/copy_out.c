/* src/edit/copy_out.c: variables become files on disk. */
#include "base/cleanup.h"
#include "base/io.h"
#include "edit/archive.h"
#include "edit/copy.h"
#include "edit/path.h"
#include "step/npy_file.h"
#include "step/text_kind.h"
#include "tool/match.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { PIECE = 256 << 10 };

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool copy_is_to_disk(const char *dst, bool recursive)
{
	CLEANUP(split_path_release) struct split_path split = {0};
	bool directory = is_directory(dst);

	if (directory || path_split(dst, &split, NULL) < 0)
		return directory && !recursive;
	if (split.slash || strchr(split.rest, '/'))
		return false;
	return archive_named(split.rest) ||
	       (!recursive && bytes_ends(bytes_str(split.rest), bytes_str(VAR_ENDING)));
}

/* Writes F to FD. */
static int write_file(struct npy_file *f, int fd, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	uint64_t at = 0;
	int64_t n = 1;
	int r = piece ? 0 : err_set(e, -ENOMEM, "no memory");

	while (r == 0 && (n = npy_file_read(f, at, PIECE, piece, e)) > 0) {
		r = io_write_at(fd, bytes_of(piece, (size_t)n), at, e);
		at += (uint64_t)n;
	}
	return r < 0 ? r : n < 0 ? (int)n : 0;
}

/* Makes the file NAME of F in DIR, whole or not at all. */
static int make_file(struct npy_file *f, const char *dir, const char *name, struct err *e)
{
	CLEANUP(closep) int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closep) int fd = -1;
	CLEANUP(freep) char *made = NULL;
	int r;

	if (dirfd < 0)
		return err_sys(e, -errno, "%s", dir);
	if (asprintf(&made, ".%s.%d.tmp", name, (int)getpid()) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = fd = io_create(dirfd, made, 0666, e);
	if (fd < 0)
		return r;
	r = write_file(f, fd, e);
	if (r == 0)
		r = io_move(dirfd, made, dirfd, name, e);
	if (r < 0)
		io_remove_file(dirfd, made, NULL);
	return r;
}

struct copying_out {
	const char *dst;
	bool into; /* DST is a directory */
	size_t n; /* so many were copied */
};

/* The name of a file for the variable at PATH. The caller frees it; NULL: no memory. */
static char *name_for(const char *path)
{
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	char *name = NULL;

	return asprintf(&name, "%s%s", last,
			bytes_ends(bytes_str(last), bytes_str(VAR_ENDING)) ? "" : VAR_ENDING) < 0
		       ? NULL
		       : name;
}

static int copy_out(void *arg, const char *path, const struct place *p, struct err *e)
{
	struct copying_out *out = arg;
	CLEANUP(split_path_release) struct split_path split = {0};
	CLEANUP(freep) char *name = out->into ? name_for(path) : NULL;
	struct npy_file *f;
	int r = path_split(out->dst, &split, e);

	if (p->kind != PLACE_VAR)
		return err_set(e, -EISDIR, "%s: is no variable; only these are copied to disk",
			       path);
	if (out->n && !out->into)
		return err_set(e, -ENOTDIR, "%s: is no directory, and several variables are copied",
			       out->dst);
	if (r == 0 && out->into && !name)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		r = npy_file_open(p->loaded->step, place_var(p), p->dirfd, &f, e);
	if (r < 0)
		return changing_failed(path, r, e);
	r = make_file(f, split.dir, name ? name : split.rest, e);
	npy_file_close(f);
	out->n += r == 0;
	return changing_failed(path, r, e);
}

static int copy_to_archive(char *const *paths, size_t n, const char *dst, const char *program,
			   struct err *e)
{
	CLEANUP(choice_release) struct choice choice = CHOICE_EMPTY;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = choice_add(&choice, paths[i], e);
	return r < 0 ? r : archive_write(archive_named(dst), &choice, dst, program, e);
}

int copy_to_disk(char *const *paths, size_t n, const char *dst, const char *program, struct err *e)
{
	CLEANUP(places_release) struct places places = {0};
	struct copying_out out = {.dst = dst, .into = is_directory(dst)};
	int r = n > 1 && !out.into ? err_set(e, -ENOTDIR, "%s: is no directory", dst) : 0;

	if (!out.into && archive_named(dst))
		return copy_to_archive(paths, n, dst, program, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = match_each(&places, paths[i], WISH_VAR, copy_out, &out, e);
	return r;
}
