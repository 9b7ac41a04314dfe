/* src/format/elements.h: elements of an array, turned into the order and the byte order that a checkpoint stores.
 *
 * A C-order array has its last dimension side by side, a Fortran-order one its first. What is put out is in C order. */
#pragma once
#include "base/sink.h"
#include "base/source.h"

/* Reverses each WORD bytes of the N at P; WORD divides N. */
void elements_swap(uint8_t *p, size_t n, size_t word);

struct elements {
	uint64_t off; /* of the first one in the source */
	unsigned rank;
	const int64_t *dims; /* none negative, the bytes of all fit int64 */
	size_t item; /* bytes of one, > 0 */
	size_t word; /* how many of them change places; 1: none do */
	bool fortran;
};

/* Hands OUT all elements, each piece a number of whole ones and at most BUDGET bytes, or one element if that is
 * more. It needs that much memory, for Fortran order as much
 * again, or 256 KiB. -ENOMEM, of reading, or what the sink says. */
int elements_put(const struct source *src, const struct elements *el, size_t budget,
		 struct sink out, struct err *e);
