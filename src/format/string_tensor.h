/* src/format/string_tensor.h: DT_STRING as a bundle stores it.
 *
 *   varint64 len[n]   masked(L)[4]   bytes of each
 *   L: crc32c over the lengths, each as 4 bytes if it fits, else as 8 (not over the varints)
 *   checksum of the entry: L, extended by the 4 bytes as stored, extended by all the strings
 *
 * In a big-endian bundle the checksum and the lengths that enter L are big-endian. Source: TensorFlow's
 * tensor_bundle.cc, WriteStringTensor and ReadStringTensor. */
#pragma once
#include "base/sink.h"
#include "base/source.h"

struct strings {
	uint64_t n;
	uint64_t *ends; /* [n], owned: where string i ends, counted from the start of the first */
	uint64_t data; /* where the first one starts in the source */
	uint64_t longest; /* bytes */
	bool ends_in_nul; /* some string does; NumPy's S type would lose the NUL */
};

/* Where the elements of a tensor lie that are not all of one size: strings, or variants. */
struct values_place {
	uint64_t off, size, n; /* N elements in SIZE bytes at OFF */
	bool big_endian;
	bool check; /* compare the entry's checksum, too */
	uint32_t crc; /* the entry's, not masked */
};

/* Reads the lengths of the strings and verifies their checksum. The strings are read once, in pieces, and not kept; with
 * `check` the entry's checksum is verified as well. -EUCLEAN, -EBADMSG, -ENOMEM, or of reading. */
int strings_read(const struct source *src, const struct values_place *at, struct strings *out,
		 struct err *e);

/* The same, but nothing is kept, and no bytes may be left behind the strings. */
int strings_check(const struct source *src, const struct values_place *at, struct err *e);
void strings_release(struct strings *s);

/* Element I's first byte in the source, and its length. */
static inline uint64_t strings_start(const struct strings *s, uint64_t i)
{
	return s->data + (i ? s->ends[i - 1] : 0);
}

static inline uint64_t strings_len(const struct strings *s, uint64_t i)
{
	return s->ends[i] - (i ? s->ends[i - 1] : 0);
}

/* Writes strings. Start with {.out, .big_endian}, then call strings_writer_length for each string,
 * strings_writer_lengths_end once, and strings_writer_bytes for the bytes of each, in pieces of any size. At the end
 * `size` and `crc` are the entry's. Errors are those of the sink. */
struct strings_writer {
	struct sink out;
	bool big_endian;
	uint64_t size;
	uint32_t crc;
};

int strings_writer_length(struct strings_writer *w, uint64_t len, struct err *e);
int strings_writer_lengths_end(struct strings_writer *w, struct err *e);
int strings_writer_bytes(struct strings_writer *w, struct bytes b, struct err *e);
