#include "base/cleanup.h"
#include "edit/archive.h"
#include "edit/writer.h"
#include "step/name.h"
#include "step/text_kind.h"
#include "tool/progress.h"
#include "zip/zip_read.h"
#include <fcntl.h>
#include <inttypes.h>
#include <sys/statvfs.h>

enum { PIECE = 1 << 20 };

/* --- names -------------------------------------------------------------------------------------------------------- */

/* Would a program that unpacks the archive leave the folder, or make no file of that name? */
static bool is_unsafe(struct bytes name)
{
	CLEANUP(freep) char *copy = strndup((const char *)name.p, name.n);
	char *at = copy, *part;
	bool unsafe = !copy || name.n > INT32_MAX;

	while (!unsafe && (part = strsep(&at, "/")))
		unsafe = !*part || !strcmp(part, ".") || !strcmp(part, "..");
	return unsafe;
}

/* Appends the path of the variable for the member NAME, without .npy, to STEM. What can't be a path in a mount is a variable's name, from
 * which that is made. */
static int stem_of(const char *name, struct buf *stem, struct err *e)
{
	struct bytes all = bytes_str(name), ending = bytes_str(VAR_ENDING), part;
	CLEANUP(buf_release) struct buf key = {0};
	int r;

	if (!bytes_ends(all, ending))
		return err_set(e, -EINVAL, "%s: expected a name that ends with %s", name,
			       VAR_ENDING);
	part = bytes_of(all.p, all.n - ending.n);
	if (is_unsafe(part))
		return err_set(e, -EINVAL,
			       "%s: expected a path without empty parts, \".\" and \"..\"", name);
	r = name_from_path(NAME_PLAIN, part, &key);
	if (r == -ENOENT)
		r = name_to_path(NAME_PLAIN, part, stem);
	else if (r == 0)
		r = buf_add(stem, part.p, part.n);
	return r < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* --- all is looked at first --------------------------------------------------------------------------------------- */

struct looking {
	struct buf text; /* the members' stems, each with a NUL behind it */
	struct buf starts; /* size_t: where they start */
	uint64_t size;
};

static void looking_release(struct looking *l)
{
	buf_release(&l->text);
	buf_release(&l->starts);
}

static int compare_stems(const void *x, const void *y, void *arg)
{
	const size_t *a = x, *b = y;
	const struct looking *l = arg;

	return strcmp((char *)l->text.p + *a, (char *)l->text.p + *b);
}

/* Each variable comes once. */
static int check_once(struct looking *l, struct err *e)
{
	size_t *starts = (size_t *)(void *)l->starts.p, n = l->starts.n / sizeof *starts;

	if (!n)
		return err_set(e, -EINVAL, "has no members; expected %s files", VAR_ENDING);
	qsort_r(starts, n, sizeof *starts, compare_stems, l);
	for (size_t i = 1; i < n; i++)
		if (!compare_stems(&starts[i - 1], &starts[i], l))
			return err_set(e, -EINVAL, "%s%s: is in it twice",
				       (char *)l->text.p + starts[i], VAR_ENDING);
	return 0;
}

static int look_at(struct looking *l, const struct zip_member *m, struct err *e)
{
	size_t start = l->text.n;
	int r = stem_of(m->name, &l->text, e);

	if (r < 0)
		return r;
	if (__builtin_add_overflow(l->size, m->size, &l->size))
		return err_set(e, -EINVAL, "%s: its size is %" PRIu64, m->name, m->size);
	return buf_add_byte(&l->text, 0) < 0 || buf_add(&l->starts, &start, sizeof start) < 0
		       ? err_set(e, -ENOMEM, "no memory")
		       : 0;
}

/* A few bytes may be packed to say that they are many. */
static int check_room(struct view *v, uint64_t size, struct err *e)
{
	CLEANUP(closep) int fd = view_open_folder(v, NODE_ROOT_ID, e);
	struct statvfs st;

	if (fd < 0)
		return put_say(fd, "its directory", e);
	if (fstatvfs(fd, &st) < 0)
		return err_sys(e, -errno, "its directory");
	if (size / st.f_frsize > st.f_bavail)
		return err_set(e, -ENOSPC,
			       "its members have %" PRIu64
			       " bytes, and the file system has %ju free",
			       size, (uintmax_t)st.f_bavail * st.f_frsize);
	return 0;
}

/* SIZE: of all members. */
static int look(const struct source *src, struct view *v, uint64_t *size, struct err *e)
{
	CLEANUP(looking_release) struct looking l = {0};
	struct zip_reader *zip;
	struct zip_member m;
	int r = zip_read_open(src, &zip, e);

	if (r < 0)
		return r;
	while ((r = zip_read_next(zip, &m, e)) == 1)
		if ((r = writer_interrupted(e)) < 0 || (r = look_at(&l, &m, e)) < 0)
			break;
	zip_read_close(zip);
	if (r == 0)
		r = check_once(&l, e);
	*size = l.size;
	return r < 0 ? r : check_room(v, l.size, e);
}

/* --- the members -------------------------------------------------------------------------------------------------- */

/* An archive on its way. */
struct unpacking {
	struct zip_reader *zip;
	uint8_t *piece;
	_Atomic uint64_t seen; /* bytes of members that were read */
};

static int put_all(struct unpacking *k, struct put_file *f, struct err *e)
{
	int64_t n;
	int r = 0;

	while (r == 0 && (n = zip_read(k->zip, PIECE, k->piece, e)) != 0) {
		r = n < 0 ? (int)n : put_bytes(f, bytes_of(k->piece, (size_t)n), e);
		k->seen += n < 0 ? 0 : (uint64_t)n;
	}
	return r;
}

static int put_member(struct unpacking *k, const struct zip_member *m, struct put *to,
		      struct err *e)
{
	CLEANUP(buf_release) struct buf stem = {0};
	struct put_file f;
	int r = stem_of(m->name, &stem, e);

	if (r < 0)
		return r;
	r = put_begin_var(to, buf_bytes(&stem), &f, e);
	if (r < 0)
		return err_wrap(e, r, "%s", m->name);
	r = put_all(k, &f, e);
	if (r < 0)
		err_wrap(e, r, "%s", m->name);
	return put_end(&f, r, e); /* which names it */
}

/* SIZE: of all members. */
static int put_members(const struct source *src, uint64_t size, struct put *to, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	struct unpacking k = {.piece = piece};
	struct progress *progress;
	struct zip_member m;
	int r = piece ? zip_read_open(src, &k.zip, e) : err_set(e, -ENOMEM, "no memory");

	if (r < 0)
		return r;
	progress = progress_on_terminal(&k.seen, size);
	while ((r = zip_read_next(k.zip, &m, e)) == 1)
		if ((r = put_member(&k, &m, to, e)) < 0)
			break;
	progress_stop(progress);
	zip_read_close(k.zip);
	return r;
}

int npz_read(const char *path, struct put *to, struct err *e)
{
	struct source src;
	CLEANUP(closep) int fd = source_open(AT_FDCWD, path, &src, e);
	uint64_t size;
	int r = fd < 0 ? fd : look(&src, to->view, &size, e);

	if (r == 0)
		r = put_members(&src, size, to, e);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}
