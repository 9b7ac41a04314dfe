#include "format/variant_tensor.h"
#include "base/crc32c.h"
#include "base/reader.h"
#include <inttypes.h>

static int pass(struct reader *r, uint64_t len, uint32_t *crc, struct err *e)
{
	while (len) {
		struct bytes b;
		int err = reader_need(r, 1, e);

		if (err < 0)
			return err;
		b = bytes_of(r->at.p, cursor_left(&r->at));
		if (!b.n)
			return err_set(e, -EUCLEAN, "its bytes end within an element");
		if (b.n > len)
			b.n = len;
		*crc = crc32c_extend(*crc, b.p, b.n);
		r->at.p += b.n;
		len -= b.n;
	}
	return 0;
}

static int check_element(struct reader *r, bool big_endian, uint32_t *crc, struct err *e)
{
	uint8_t word[8];
	struct bytes raw;
	uint32_t stored;
	uint64_t len;
	int err = reader_need(r, 10, e);

	if (err < 0)
		return err;
	if (!cursor_varint(&r->at, &len))
		return err_set(e, -EUCLEAN, "malformed length");
	(big_endian ? put_be64 : put_le64)(word, len);
	*crc = crc32c_extend(*crc, word, sizeof word);
	err = pass(r, len, crc, e);
	if (err == 0)
		err = reader_need(r, 4, e);
	if (err < 0)
		return err;
	if (!cursor_take(&r->at, 4, &raw))
		return err_set(e, -EUCLEAN, "no room for a checksum");
	stored = get_le32(raw.p);
	stored = crc32c_unmask(big_endian ? __builtin_bswap32(stored) : stored);
	if (stored != *crc)
		return err_set(e, -EBADMSG, "crc32c is %08" PRIx32 ", recorded %08" PRIx32, *crc,
			       stored);
	*crc = crc32c_extend(*crc, raw.p, 4);
	return 0;
}

int variants_check(const struct source *src, const struct values_place *at, struct err *e)
{
	struct reader r = reader_of(src, at->off, at->off + at->size);
	uint32_t crc = 0;
	int err = 0;

	if (at->off > src->size || at->size > src->size - at->off)
		return err_set(e, -EUCLEAN,
			       "%" PRIu64 " bytes at %" PRIu64 " of a file of %" PRIu64, at->size,
			       at->off, src->size);
	for (uint64_t i = 0; i < at->n && err == 0; i++)
		if ((err = check_element(&r, at->big_endian, &crc, e)) < 0)
			err_wrap(e, err, "element %" PRIu64, i);
	reader_release(&r);
	if (err == 0 && crc != at->crc)
		return err_set(e, -EBADMSG, "crc32c is %08" PRIx32 ", recorded %08" PRIx32, crc,
			       at->crc);
	return err;
}
