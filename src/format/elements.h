/* src/format/elements.h: elements of an array, in the order and the byte order that a checkpoint stores.
 *
 * In C order elements that differ in the last index lie side by side, in Fortran order those that differ in the first.
 * The array is in either order. What is put out is in C order. */
#pragma once
#include "base/sink.h"
#include "base/source.h"

/* Reverses each WORD bytes of the N at P; WORD is 1, 2, 4 or 8, and divides N. */
void elements_swap(uint8_t *p, size_t n, size_t word);

struct elements {
	uint64_t off; /* of the first one in the source */
	unsigned rank;
	const int64_t *dims; /* none negative, the bytes of all fit int64 */
	size_t item; /* bytes of one, > 0 */
	size_t word; /* each WORD bytes of it are reversed; 1: none are */
	bool fortran;
};

/* Puts all elements into OUT, in pieces of whole elements: of at most BUDGET bytes, or of one element if that is more.
 * It needs that much memory, for Fortran order as much again, or 256 KiB. -ENOMEM, of reading, or what the sink says. */
int elements_put(const struct source *src, const struct elements *el, size_t budget,
		 struct sink out, struct err *e);
