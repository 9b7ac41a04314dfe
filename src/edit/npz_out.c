#include "base/cleanup.h"
#include "base/utf8.h"
#include "edit/archive.h"
#include "edit/out_file.h"
#include "step/npy_file.h"
#include "step/text_kind.h"
#include "tool/progress.h"
#include "zip/zip_write.h"
#include <stdio.h>

enum { PIECE = 1 << 20 };

static int put(void *to, struct bytes b, struct err *e)
{
	return out_file_put(to, b, e);
}

/* An archive on its way. */
struct packing {
	struct zip_writer *zip;
	uint8_t *piece;
	_Atomic uint64_t seen; /* bytes of variables that were read */
};

/* The SIZE bytes of F. */
static int put_file(struct packing *k, struct npy_file *f, uint64_t size, struct err *e)
{
	uint64_t at = 0;
	int64_t n = 1;
	int r = 0;

	while (r == 0 && at < size && (n = npy_file_read(f, at, PIECE, k->piece, e)) > 0) {
		r = zip_write_put(k->zip, bytes_of(k->piece, (size_t)n), e);
		at += (uint64_t)n;
		k->seen += (uint64_t)n;
	}
	return r < 0 ? r : n < 0 ? (int)n : 0;
}

/* The variable of the file number FILE becomes a member. */
static int put_member(struct packing *k, const struct choice *c, uint32_t file, struct err *e)
{
	const struct tree_file *t = choice_file(c, file);
	const struct var *v = choice_var(c, file);
	struct step *s = c->in.loaded->step;
	CLEANUP(freep) char *name = NULL;
	struct npy_file *f;
	uint64_t size;
	int r;

	if (asprintf(&name, "%.*s%s", (int)t->n, (const char *)t->stem, VAR_ENDING) < 0) {
		name = NULL;
		return err_set(e, -ENOMEM, "no memory");
	}
	r = npy_file_open(s, v, c->in.dirfd, &f, e);
	if (r < 0)
		return r;
	size = npy_file_size(s, v, c->in.dirfd);
	r = zip_write_member(k->zip, name, size, e);
	if (r == 0)
		r = put_file(k, f, size, e);
	npy_file_close(f);
	return r < 0 ? err_wrap(e, r, "%s", name) : 0;
}

/* NumPy could not read the archive. */
static bool is_nameless(const struct tree_file *t)
{
	return !utf8_valid(bytes_of(t->stem, t->n));
}

static void tell(const struct choice *c, const uint32_t *files, size_t n, const char *program)
{
	for (size_t i = 0; i < n; i++) {
		const struct tree_file *t = choice_file(c, files[i]);

		if (is_nameless(t))
			fprintf(stderr,
				"%s: %.*s is left out: its name is not UTF-8, as NumPy needs it\n",
				program, (int)t->n, (const char *)t->stem);
	}
}

static uint64_t sum_of_sizes(const struct choice *c, const uint32_t *files, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += npy_file_size(c->in.loaded->step, choice_var(c, files[i]), c->in.dirfd);
	return sum;
}

static int put_all(const struct choice *c, const uint32_t *files, size_t n, struct out_file *out,
		   struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	struct packing k = {.piece = piece};
	struct progress *progress = progress_on_terminal(&k.seen, sum_of_sizes(c, files, n));
	int r = piece ? zip_write_open((struct sink){put, out}, &k.zip, e)
		      : err_set(e, -ENOMEM, "no memory");

	for (size_t i = 0; i < n && r == 0; i++)
		if (!is_nameless(choice_file(c, files[i])))
			r = put_member(&k, c, files[i], e);
	progress_stop(progress);
	if (r == 0)
		r = zip_write_finish(k.zip, e);
	if (r == 0)
		r = out_file_finish(out, e);
	zip_write_close(k.zip);
	return r;
}

int npz_write(struct choice *c, const char *to, const char *program, struct err *e)
{
	CLEANUP(out_file_release) struct out_file out = OUT_FILE_EMPTY;
	size_t n;
	const uint32_t *files = choice_files(c, &n);
	int r = out_file_open(to, &out, e);

	tell(c, files, n, program);
	if (r == 0)
		r = put_all(c, files, n, &out, e);
	return r < 0 ? err_wrap(e, r, "%s", to) : 0;
}
