#include "base/crc_pieces.h"
#include "base/cleanup.h"
#include "base/crc32c.h"

enum { PIECE = 1 << 20 };

struct crc_piece {
	uint32_t crc, known; /* of the first KNOWN bytes */
};

static struct crc_piece *piece(const struct crc_pieces *c, uint64_t number)
{
	return number < c->list.n / sizeof(struct crc_piece)
		       ? (struct crc_piece *)c->list.p + number
		       : NULL;
}

void crc_pieces_release(struct crc_pieces *c)
{
	buf_release(&c->list);
}

/* N bytes at P were written at AT of the piece. */
static void piece_saw(struct crc_piece *of, uint32_t at, const uint8_t *p, uint32_t n)
{
	if (at == of->known) {
		of->crc = crc32c_extend(of->crc, p, n);
		of->known += n;
	} else if (at < of->known) {
		bool all = at == 0 && n >= of->known;

		*of = all ? (struct crc_piece){crc32c(p, n), n} : (struct crc_piece){0};
	}
}

void crc_pieces_saw(struct crc_pieces *c, uint64_t off, const uint8_t *p, size_t n)
{
	static const struct crc_piece none;

	while (n) {
		uint64_t number = off / PIECE;
		uint32_t at = off % PIECE, part = PIECE - at < n ? PIECE - at : (uint32_t)n;

		if (!at && number == c->list.n / sizeof none)
			buf_add(&c->list, &none, sizeof none);
		if (piece(c, number))
			piece_saw(piece(c, number), at, p, part);
		off += part;
		p += part;
		n -= part;
	}
}

void crc_pieces_forget(struct crc_pieces *c, uint64_t off, uint64_t n)
{
	uint64_t end;

	if (__builtin_add_overflow(off, n, &end))
		end = UINT64_MAX;
	for (uint64_t number = off / PIECE; piece(c, number) && number * PIECE < end; number++)
		*piece(c, number) = (struct crc_piece){0};
}

void crc_pieces_cut(struct crc_pieces *c, uint64_t size)
{
	struct crc_piece *last = piece(c, size / PIECE);

	if (last) {
		if (last->known > size % PIECE)
			*last = (struct crc_piece){0};
		c->list.n = (size_t)(size / PIECE + (size % PIECE > 0)) * sizeof *last;
	}
}

int crc_pieces_copy(const struct crc_pieces *c, struct crc_pieces *out)
{
	return buf_add(&out->list, c->list.p, c->list.n);
}

int crc_pieces_sum(const struct crc_pieces *c, const struct source *src, uint32_t *out,
		   struct err *e)
{
	CLEANUP(freep) uint8_t *bytes = NULL;
	uint32_t sum = 0;
	int r = 0;

	for (uint64_t off = 0; off < src->size && r == 0; off += PIECE) {
		const struct crc_piece *of = piece(c, off / PIECE);
		uint32_t n = src->size - off < PIECE ? (uint32_t)(src->size - off) : PIECE;

		if (of && of->known == n) {
			sum = crc32c_combine(sum, of->crc, n);
			continue;
		}
		if (!bytes && !(bytes = malloc(PIECE)))
			return err_set(e, -ENOMEM, "no memory");
		r = source_read_into(src, off, bytes, n, e);
		if (r == 0)
			sum = crc32c_extend(sum, bytes, n);
	}
	if (r == 0)
		*out = sum;
	return r;
}
