#include "base/crc32c.h"
#include "format/dtype.h"
#include "format/elements.h"
#include "format/npy.h"
#include "format/string_tensor.h"
#include <inttypes.h>

static struct elements elements_of(const struct npy *npy, size_t word)
{
	return (struct elements){.off = npy->data,
				 .rank = npy->rank,
				 .dims = npy->dims,
				 .item = npy->item,
				 .word = word,
				 .fortran = npy->fortran};
}

/* --- numbers ----------------------------------------------------------------------------------------------- */

struct counted {
	struct sink out;
	struct npy_stored *stored;
};

static int put_counted(void *to, struct bytes b, struct err *e)
{
	struct counted *c = to;

	c->stored->size += b.n;
	c->stored->crc = crc32c_extend(c->stored->crc, b.p, b.n);
	return sink_put(&c->out, b.p, b.n, e);
}

static int store_numbers(const struct source *src, const struct npy *npy, bool big_endian,
			 size_t budget, struct sink out, struct npy_stored *stored, struct err *e)
{
	size_t word = npy->big_endian == big_endian ? 1 : dtype_info(npy->dtype)->word;
	struct elements el = elements_of(npy, word);
	struct counted c = {out, stored};

	return elements_put(src, &el, budget, (struct sink){put_counted, &c}, e);
}

/* --- strings ----------------------------------------------------------------------------------------------- */

struct round {
	const struct npy *npy;
	struct strings_writer *to;
	int (*each)(struct strings_writer *to, struct bytes string, struct err *e);
};

static int put_length(struct strings_writer *to, struct bytes string, struct err *e)
{
	return strings_writer_length(to, string.n, e);
}

int npy_string(const struct npy *npy, const uint8_t *p, struct bytes *out, struct err *e)
{
	uint64_t len = npy->item;

	if (!npy->has_length) {
		while (len && !p[len - 1])
			len--;
		*out = bytes_of(p, len);
		return 0;
	}
	len = get_le64(p);
	len = npy->big_endian ? __builtin_bswap64(len) : len;
	if (len > npy->item - 8)
		return err_set(e, -EINVAL,
			       "a string of length %" PRIu64 " in a field of %" PRIu64 " bytes",
			       len, npy->item - 8);
	*out = bytes_of(p + 8, len);
	return 0;
}

static int put_round(void *to, struct bytes b, struct err *e)
{
	const struct round *round = to;
	struct bytes string;
	int r = 0;

	for (uint64_t i = 0; i < b.n && r == 0; i += round->npy->item) {
		r = npy_string(round->npy, b.p + i, &string, e);
		if (r == 0)
			r = round->each(round->to, string, e);
	}
	return r;
}

static int put_all(const struct source *src, struct round *round, size_t budget, struct err *e)
{
	struct elements el = elements_of(round->npy, 1);
	int r = 0;

	if (round->npy->item)
		return elements_put(src, &el, budget, (struct sink){put_round, round}, e);
	for (uint64_t i = 0; i < round->npy->count && r == 0; i++)
		r = round->each(round->to, bytes_of(NULL, 0), e);
	return r;
}

static int store_strings(const struct source *src, const struct npy *npy, bool big_endian,
			 size_t budget, struct sink out, struct npy_stored *stored, struct err *e)
{
	struct strings_writer w = {.out = out, .big_endian = big_endian};
	struct round round = {npy, &w, put_length};
	int r = put_all(src, &round, budget, e);

	if (r == 0)
		r = strings_writer_lengths_end(&w, e);
	round.each = strings_writer_bytes;
	if (r == 0)
		r = put_all(src, &round, budget, e);
	*stored = (struct npy_stored){w.size, w.crc};
	return r;
}

int npy_store(const struct source *src, const struct npy *npy, bool big_endian, size_t budget,
	      struct sink out, struct npy_stored *stored, struct err *e)
{
	struct npy_stored s = {0};
	int r = (npy->dtype == DTYPE_STRING ? store_strings : store_numbers)(src, npy, big_endian,
									     budget, out, &s, e);

	if (r == 0)
		*stored = s;
	return r;
}
