/* src/base/crc32c.h: the checksum of checkpoints.
 *
 * Castagnoli, reflected (polynomial 0x82f63b78), start and final xor 0xffffffff; of "123456789" it is
 * e3069283. A stored checksum is masked: rotated right by 15, plus 0xa282ead8. So a checksum of bytes that hold
 * checksums stays a good one. Source: TensorFlow's tsl/lib/hash/crc32c.h, LevelDB's. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The checksum of bytes that begin with some of checksum CRC and go on with P[N]. */
uint32_t crc32c_extend(uint32_t crc, const void *p, size_t n);

static inline uint32_t crc32c(const void *p, size_t n)
{
	return crc32c_extend(0, p, n);
}

/* The checksum of A followed by B, from those of A and of B and the length of B. */
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t len_b);

/* crc32c_extend as it is without ISA-L. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);

static inline uint32_t crc32c_mask(uint32_t crc)
{
	return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static inline uint32_t crc32c_unmask(uint32_t masked)
{
	uint32_t rotated = masked - 0xa282ead8u;

	return rotated >> 17 | rotated << 15;
}
