/* src/format/variant_tensor.h: the checksums of a DT_VARIANT.
 *
 *   each element:  varint64 len   VariantTensorDataProto[len]   masked(c)[4]
 *   c: crc32c of all so far: of each element its length as 8 bytes, its message, and the 4 bytes as stored
 * The entry's checksum is c at the end. In a big-endian bundle the checksums are big-endian, and so are the lengths that
 * go into c. Source: TensorFlow's tensor_bundle.cc, WriteVariantTensor. */
#pragma once
#include "format/string_tensor.h"

/* Reads all elements and compares the checksums, whatever `check` is. -EUCLEAN, -EBADMSG, -ENOMEM, or of reading. */
int variants_check(const struct source *src, const struct values_place *at, struct err *e);
