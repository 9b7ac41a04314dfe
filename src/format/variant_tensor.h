/* src/format/variant_tensor.h: DT_VARIANT on disk, as far as its checksum goes.
 *
 *   each element:  varint64 len   VariantTensorDataProto[len]   masked(c)[4]
 *   c: crc32c of all so far, of each element its length as 8 bytes, its message, and the 4 bytes as stored
 * The checksum of the entry is c at the end. In a big-endian bundle the checksums, and the lengths that enter c, are
 * big-endian. Source: TensorFlow's tensor_bundle.cc, WriteVariantTensor. */
#pragma once
#include "base/source.h"

struct variants_place {
	uint64_t off, size, n; /* N elements in SIZE bytes */
	bool big_endian;
	uint32_t crc; /* the entry's, not masked */
};

/* Reads all of it and compares the checksums. -EUCLEAN, -EBADMSG, -ENOMEM, or of reading. */
int variants_check(const struct source *src, const struct variants_place *at, struct err *e);
