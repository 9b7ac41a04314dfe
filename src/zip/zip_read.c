#include "zip/zip_read.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include "zip/zip_locale.h"
#include <archive.h>
#include <archive_entry.h>

enum { PIECE = 256 << 10 };

struct zip_reader {
	struct archive *a;
	locale_t utf8;
	const struct source *src;
	uint64_t at; /* libarchive reads from here */
	uint8_t *piece;
	uint64_t size, done; /* bytes of the member; those that were read */
	int failed; /* what reading said; 0: nothing */
	struct err why;
};

/* --- what libarchive calls ---------------------------------------------------------------------------------------- */

static la_ssize_t get(struct archive *a, void *arg, const void **out)
{
	struct zip_reader *z = arg;
	uint64_t left = z->src->size - z->at;
	size_t n = left < PIECE ? (size_t)left : PIECE;

	z->failed = n ? source_read_into(z->src, z->at, z->piece, n, &z->why) : 0;
	if (z->failed < 0) {
		archive_set_error(a, EIO, "read");
		return -1;
	}
	z->at += n;
	*out = z->piece;
	return (la_ssize_t)n;
}

static la_int64_t seek(struct archive *a, void *arg, la_int64_t off, int whence)
{
	struct zip_reader *z = arg;
	int64_t from = whence == SEEK_CUR   ? (int64_t)z->at
		       : whence == SEEK_END ? (int64_t)z->src->size
					    : 0;
	int64_t to;

	if (__builtin_add_overflow(from, off, &to) || to < 0 || (uint64_t)to > z->src->size) {
		archive_set_error(a, EINVAL, "a place in it is beyond its end");
		return ARCHIVE_FATAL;
	}
	z->at = (uint64_t)to;
	return to;
}

/* What libarchive has against the archive, as an errno. */
static int failure(const struct zip_reader *z, struct err *e)
{
	const char *text = archive_error_string(z->a);

	if (z->failed < 0 && e)
		*e = z->why;
	if (z->failed < 0)
		return z->failed;
	if (archive_errno(z->a) == ENOMEM)
		return err_set(e, -ENOMEM, "no memory");
	return err_set(e, -EINVAL, "%s", text ? text : "it is damaged");
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* Only archives whose end is there: nothing else says which members there are. */
static int set_up(struct zip_reader *z)
{
	int r = archive_read_support_format_zip_seekable(z->a);

	if (r == ARCHIVE_OK)
		r = archive_read_set_read_callback(z->a, get);
	if (r == ARCHIVE_OK)
		r = archive_read_set_seek_callback(z->a, seek);
	if (r == ARCHIVE_OK)
		r = archive_read_set_callback_data(z->a, z);
	return r == ARCHIVE_OK ? archive_read_open1(z->a) : r;
}

static int not_opened(const struct zip_reader *z, struct err *e)
{
	if (z->failed < 0 || archive_errno(z->a) == ENOMEM)
		return failure(z, e);
	return err_set(e, -EINVAL, "this is no zip archive, or its end is missing, or it is empty");
}

int zip_read_open(const struct source *src, struct zip_reader **out, struct err *e)
{
	struct zip_reader *z = calloc(1, sizeof *z);
	int r = 0;

	if (!z)
		return err_set(e, -ENOMEM, "no memory");
	z->src = src;
	z->utf8 = zip_locale_new();
	z->piece = malloc(PIECE);
	z->a = archive_read_new();
	if (!z->piece || !z->a)
		r = err_set(e, -ENOMEM, "no memory");
	else if (set_up(z) != ARCHIVE_OK)
		r = not_opened(z, e);
	if (r < 0)
		zip_read_close(z);
	else
		*out = z;
	return r;
}

void zip_read_close(struct zip_reader *z)
{
	if (!z)
		return;
	if (z->a)
		archive_read_free(z->a);
	free(z->piece);
	zip_locale_free(z->utf8);
	free(z);
}

/* --- members ------------------------------------------------------------------------------------------------------ */

static int next_entry(struct zip_reader *z, struct archive_entry **out)
{
	locale_t before = zip_locale_enter(z->utf8);
	int r = archive_read_next_header(z->a, out);

	zip_locale_leave(before);
	return r;
}

/* NULL: it has none that is UTF-8. */
static const char *name_of(const struct zip_reader *z, struct archive_entry *entry)
{
	locale_t before = zip_locale_enter(z->utf8);
	const char *name = archive_entry_pathname(entry);

	zip_locale_leave(before);
	return name && utf8_valid(bytes_str(name)) ? name : NULL;
}

/* R with the name of ENTRY in front. */
static int named(const struct zip_reader *z, struct archive_entry *entry, int r, struct err *e)
{
	const char *name = name_of(z, entry);

	return name ? err_wrap(e, r, "%s", name) : r;
}

/* ENTRY is a file; its name and size can be used. */
static int take(struct zip_reader *z, struct archive_entry *entry, struct zip_member *out,
		struct err *e)
{
	const char *name = name_of(z, entry);

	if (!name)
		return err_set(e, -EINVAL, "the name of a member is not UTF-8");
	if (archive_entry_filetype(entry) != AE_IFREG)
		return err_set(e, -EINVAL, "%s: is a link or the like; expected a file", name);
	if (archive_entry_is_encrypted(entry))
		return err_set(e, -EINVAL, "%s: is encrypted", name);
	if (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
		return err_set(e, -EINVAL, "%s: has no size", name);
	z->done = 0;
	z->size = (uint64_t)archive_entry_size(entry);
	*out = (struct zip_member){name, z->size};
	return 1;
}

int zip_read_next(struct zip_reader *z, struct zip_member *out, struct err *e)
{
	struct archive_entry *entry;
	int r;

	do
		r = next_entry(z, &entry);
	while (r == ARCHIVE_OK && archive_entry_filetype(entry) == AE_IFDIR);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r == ARCHIVE_OK)
		return take(z, entry, out, e);
	return r == ARCHIVE_WARN ? named(z, entry, failure(z, e), e) : failure(z, e);
}

int64_t zip_read(struct zip_reader *z, size_t len, uint8_t *dst, struct err *e)
{
	la_ssize_t n = archive_read_data(z->a, dst, len);

	if (n < 0)
		return failure(z, e);
	if ((uint64_t)n > z->size - z->done || (!n && z->done < z->size))
		return err_set(e, -EINVAL, "it has %s than the %llu bytes that the archive says",
			       n ? "more" : "fewer", (unsigned long long)z->size);
	z->done += (uint64_t)n;
	return n;
}
