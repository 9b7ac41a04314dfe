#include "zip/zip_write.h"
#include "base/cleanup.h"
#include "zip/zip_locale.h"
#include <archive.h>
#include <archive_entry.h>

struct zip_writer {
	struct archive *a;
	locale_t utf8;
	struct sink to;
	uint64_t left; /* of the member that is written */
	int failed; /* what putting said; 0: nothing */
	struct err why;
};

/* --- what libarchive calls ---------------------------------------------------------------------------------------- */

static la_ssize_t put(struct archive *a, void *arg, const void *p, size_t n)
{
	struct zip_writer *w = arg;

	w->failed = sink_put(&w->to, p, n, &w->why);
	if (w->failed == 0)
		return (la_ssize_t)n;
	archive_set_error(a, EIO, "write");
	return -1;
}

/* R, what libarchive returned, as an errno. */
static int check(const struct zip_writer *w, la_ssize_t r, struct err *e)
{
	if (r >= 0)
		return 0;
	if (w->failed < 0 && e)
		*e = w->why;
	if (w->failed < 0)
		return w->failed;
	if (archive_errno(w->a) == ENOMEM)
		return err_set(e, -ENOMEM, "no memory");
	return err_set(e, -EINVAL, "%s", archive_error_string(w->a));
}

/* --- the calls ---------------------------------------------------------------------------------------------------- */

/* Nothing is gathered: the sink does. */
static int set_up(struct zip_writer *w)
{
	int r = archive_write_set_format_zip(w->a);

	if (r == ARCHIVE_OK)
		r = archive_write_zip_set_compression_store(w->a);
	if (r == ARCHIVE_OK)
		r = archive_write_set_bytes_per_block(w->a, 0);
	return r == ARCHIVE_OK ? archive_write_open(w->a, w, NULL, put, NULL) : r;
}

int zip_write_open(struct sink to, struct zip_writer **out, struct err *e)
{
	struct zip_writer *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return err_set(e, -ENOMEM, "no memory");
	w->to = to;
	w->utf8 = zip_locale_new();
	w->a = archive_write_new();
	r = w->a ? check(w, set_up(w), e) : err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		zip_write_close(w);
	else
		*out = w;
	return r;
}

static int check_whole(const struct zip_writer *w, struct err *e)
{
	return w->left ? err_set(e, -EINVAL, "%llu bytes of a member are missing",
				 (unsigned long long)w->left)
		       : 0;
}

int zip_write_member(struct zip_writer *w, const char *name, uint64_t size, struct err *e)
{
	struct archive_entry *entry = archive_entry_new();
	locale_t before;
	int r = check_whole(w, e);

	if (!entry)
		return err_set(e, -ENOMEM, "no memory");
	if (r == 0 && !w->utf8 && !zip_is_ascii(name))
		r = err_set(e, -EINVAL, "its name needs the locale C.UTF-8, which is not there");
	if (r == 0) {
		archive_entry_copy_pathname(entry, name);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_size(entry, (la_int64_t)size);
		before = zip_locale_enter(w->utf8);
		r = check(w, archive_write_header(w->a, entry), e);
		zip_locale_leave(before);
	}
	if (r == 0)
		w->left = size;
	archive_entry_free(entry);
	return r;
}

int zip_write_put(struct zip_writer *w, struct bytes b, struct err *e)
{
	la_ssize_t n;

	if (b.n > w->left)
		return err_set(e, -EINVAL, "a member has more bytes than its size");
	n = b.n ? archive_write_data(w->a, b.p, b.n) : 0;
	w->left -= n > 0 ? (uint64_t)n : 0;
	if (n >= 0 && (size_t)n != b.n)
		return err_set(e, -EIO, "libarchive took %zd of %zu bytes", (ssize_t)n, b.n);
	return check(w, n, e);
}

int zip_write_finish(struct zip_writer *w, struct err *e)
{
	int r = check_whole(w, e);

	return r < 0 ? r : check(w, archive_write_close(w->a), e);
}

void zip_write_close(struct zip_writer *w)
{
	if (!w)
		return;
	if (w->a) {
		archive_write_fail(w->a); /* one that is not finished gets no end */
		archive_write_free(w->a);
	}
	zip_locale_free(w->utf8);
	free(w);
}
