#include "base/crc32c.h"
#include "base/bytes.h"
#include "config.h"
#include <pthread.h>
#ifdef HAVE_ISAL
#include <isa-l/crc.h>
#endif
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { POLY = 0x82f63b78u };

/* table[k][b]: what byte b contributes when k more bytes follow it in a group of eight. Constant once made. */
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t c = b;

		for (int i = 0; i < 8; i++)
			c = c >> 1 ^ (c & 1 ? POLY : 0);
		table[0][b] = c;
	}
	for (int k = 1; k < 8; k++)
		for (uint32_t b = 0; b < 256; b++)
			table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t c = ~crc;

	pthread_once(&table_once, make_table);
	for (; n >= 8; n -= 8, p += 8) {
		uint32_t lo = c ^ get_le32(p), hi = get_le32(p + 4);

		c = table[7][lo & 0xff] ^ table[6][lo >> 8 & 0xff] ^ table[5][lo >> 16 & 0xff] ^
		    table[4][lo >> 24] ^ table[3][hi & 0xff] ^ table[2][hi >> 8 & 0xff] ^
		    table[1][hi >> 16 & 0xff] ^ table[0][hi >> 24];
	}
	for (; n; n--, p++)
		c = c >> 8 ^ table[0][(c ^ *p) & 0xff];
	return ~c;
}

#ifdef HAVE_ISAL
#ifdef __x86_64__
/* ISA-L's AVX-512 code leaves the upper halves of vector registers in use. Then each SSE instruction of this thread, those of
 * the compiler and of memcpy included, waits for the one before it: an index took 1.8 times as long to parse. */
__attribute__((target("avx"))) static void release_upper_halves(void)
{
	_mm256_zeroupper();
}

static void after_isal(void)
{
	if (__builtin_cpu_supports("avx"))
		release_upper_halves();
}
#else
static void after_isal(void)
{
}
#endif
#endif

uint32_t crc32c_extend(uint32_t crc, const void *data, size_t n)
{
#ifdef HAVE_ISAL
	const uint8_t *p = data;
	uint32_t c = ~crc;

	while (n) {
		int part = n < 1u << 30 ? (int)n : 1 << 30;

		c = crc32_iscsi((unsigned char *)p, part, c);
		p += part;
		n -= (size_t)part;
	}
	after_isal();
	return ~c;
#else
	return crc32c_portable(crc, data, n);
#endif
}

/* The product of two polynomials modulo POLY; bit 31 is the coefficient of x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b >> 1 ^ (b & 1 ? POLY : 0);
	}
	return product;
}

uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t len_b)
{
	uint32_t shift = 1u << 31; /* x^0 */
	/* x^8: one byte of zeros; squared for each bit of the length. */
	uint32_t power = 1u << (31 - 8);

	for (; len_b; len_b >>= 1) {
		if (len_b & 1)
			shift = multiply(shift, power);
		power = multiply(power, power);
	}
	return multiply(shift, a) ^ b;
}
