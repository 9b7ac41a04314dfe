#include "format/string_tensor.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/reader.h"
#include <inttypes.h>

void strings_release(struct strings *s)
{
	free(s->ends);
	*s = (struct strings){0};
}

static uint32_t crc_length(uint32_t crc, uint64_t len, bool big_endian)
{
	uint8_t b[8];

	if (len <= UINT32_MAX) {
		(big_endian ? put_be32 : put_le32)(b, (uint32_t)len);
		return crc32c_extend(crc, b, 4);
	}
	(big_endian ? put_be64 : put_le64)(b, len);
	return crc32c_extend(crc, b, 8);
}

/* ALL: the sum of the lengths. */
static int read_lengths(struct reader *r, struct strings *s, bool big_endian, uint32_t *crc,
			uint64_t *all, struct err *e)
{
	uint64_t total = 0, len;

	*crc = 0;
	for (uint64_t i = 0; i < s->n; i++) {
		int err = reader_need(r, 10, e);

		if (err < 0)
			return err;
		if (!cursor_varint(&r->at, &len) || __builtin_add_overflow(total, len, &total))
			return err_set(e, -EUCLEAN, "length of string %" PRIu64 " is malformed", i);
		if (s->ends)
			s->ends[i] = total;
		if (len > s->longest)
			s->longest = len;
		*crc = crc_length(*crc, len, big_endian);
	}
	*all = total;
	return 0;
}

/* Compares the checksum behind the lengths with CRC, which is theirs, and extends that by its 4 bytes. */
static int check_lengths(struct reader *r, bool big_endian, uint32_t *crc, struct err *e)
{
	uint32_t stored;
	struct bytes raw;
	int err;

	if ((err = reader_need(r, 4, e)) < 0)
		return err;
	if (!cursor_take(&r->at, 4, &raw))
		return err_set(e, -EUCLEAN, "no room for the lengths' checksum");
	stored = get_le32(raw.p);
	stored = crc32c_unmask(big_endian ? __builtin_bswap32(stored) : stored);
	if (stored != *crc)
		return err_set(e, -EBADMSG,
			       "crc32c of the lengths is %08" PRIx32 ", recorded %08" PRIx32, *crc,
			       stored);
	*crc = crc32c_extend(*crc, raw.p, 4);
	return 0;
}

/* Notes if a string that ends in B ends with a NUL. B lies at FROM among the bytes of all strings; *NEXT is the first
 * string that may end in it. */
static void look_for_nuls(struct strings *s, uint64_t *next, uint64_t from, struct bytes b)
{
	for (; s->ends && *next < s->n && s->ends[*next] <= from + b.n; ++*next)
		if (s->ends[*next] > from && strings_len(s, *next) &&
		    !b.p[s->ends[*next] - 1 - from])
			s->ends_in_nul = true;
}

static int read_strings(struct reader *r, struct strings *s, uint64_t total, uint32_t *crc,
			struct err *e)
{
	uint64_t next = 0;
	int err;

	for (uint64_t done = 0; done < total;) {
		struct bytes b;

		if ((err = reader_need(r, 1, e)) < 0)
			return err;
		b = bytes_of(r->at.p, cursor_left(&r->at));
		if (b.n > total - done)
			b.n = total - done;
		*crc = crc32c_extend(*crc, b.p, b.n);
		look_for_nuls(s, &next, done, b);
		r->at.p += b.n;
		done += b.n;
	}
	return 0;
}

static int read_all(struct reader *r, const struct values_place *at, struct strings *s,
		    struct err *e)
{
	uint32_t crc;
	uint64_t total = 0;
	int err = read_lengths(r, s, at->big_endian, &crc, &total, e);

	if (err < 0)
		return err;
	err = check_lengths(r, at->big_endian, &crc, e);
	if (err < 0)
		return err;
	s->data = reader_pos(r);
	if (total > r->end - s->data)
		return err_set(e, -EUCLEAN, "%" PRIu64 " bytes of strings, room for %" PRIu64,
			       total, r->end - s->data);
	err = read_strings(r, s, total, &crc, e);
	if (err < 0)
		return err;
	if (at->check && crc != at->crc)
		return err_set(e, -EBADMSG, "crc32c is %08" PRIx32 ", recorded %08" PRIx32, crc,
			       at->crc);
	return 0;
}

static int start_reading(const struct source *src, const struct values_place *at, struct reader *r,
			 struct err *e)
{
	uint64_t end;

	if (at->n > at->size || __builtin_add_overflow(at->off, at->size, &end) || end > src->size)
		return err_set(e, -EUCLEAN,
			       "%" PRIu64 " strings in %" PRIu64 " bytes at %" PRIu64
			       " of a file of %" PRIu64,
			       at->n, at->size, at->off, src->size);
	*r = reader_of(src, at->off, end);
	return 0;
}

int strings_read(const struct source *src, const struct values_place *at, struct strings *out,
		 struct err *e)
{
	CLEANUP(strings_release) struct strings s = {.n = at->n};
	CLEANUP(reader_release) struct reader r = {0};
	int err = start_reading(src, at, &r, e);

	if (err < 0)
		return err;
	s.ends = calloc(s.n ? s.n : 1, sizeof *s.ends);
	if (!s.ends)
		return err_set(e, -ENOMEM, "no memory for %" PRIu64 " strings", s.n);
	err = read_all(&r, at, &s, e);
	if (err < 0)
		return err;
	*out = TAKE(s, (struct strings){0});
	return 0;
}

int strings_check(const struct source *src, const struct values_place *at, struct err *e)
{
	CLEANUP(reader_release) struct reader r = {0};
	struct strings s = {.n = at->n};
	int err = start_reading(src, at, &r, e);

	if (err == 0)
		err = read_all(&r, at, &s, e);
	if (err == 0 && reader_pos(&r) != r.end)
		err = err_set(e, -EUCLEAN, "%" PRIu64 " bytes are left behind the strings",
			      r.end - reader_pos(&r));
	return err;
}

/* --- writing ----------------------------------------------------------------------------------------------- */

static int put(struct strings_writer *w, const void *p, size_t n, struct err *e)
{
	w->size += n;
	return sink_put(&w->out, p, n, e);
}

int strings_writer_length(struct strings_writer *w, uint64_t len, struct err *e)
{
	uint8_t varint[10];

	w->crc = crc_length(w->crc, len, w->big_endian);
	return put(w, varint, put_varint(varint, len), e);
}

int strings_writer_lengths_end(struct strings_writer *w, struct err *e)
{
	uint8_t stored[4];

	(w->big_endian ? put_be32 : put_le32)(stored, crc32c_mask(w->crc));
	return strings_writer_bytes(w, bytes_of(stored, sizeof stored), e);
}

int strings_writer_bytes(struct strings_writer *w, struct bytes b, struct err *e)
{
	w->crc = crc32c_extend(w->crc, b.p, b.n);
	return put(w, b.p, b.n, e);
}
