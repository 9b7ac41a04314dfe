/* src/view/numbers.h: where the number that the kernel has of something in a step is not its index
 * (view/node.h). For view/ alone.
 *
 * Two things would have one number otherwise, or one thing would lose it:
 *   - A variable of the base is removed in a draft while somebody has it open. When the draft has ended the base shows it again,
 *     but its number is that of the file without a name: the variable gets a new one.
 *   - A new step is committed. What was numbered in its draft is now in a saved step, but somebody may stand in one of its folders:
 *     all keep the numbers that they have. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The kernel has NUMBER of what has INDEX. */
struct number {
	uint32_t number, index;
};

struct numbers;

/* A new table with what is in OLD, which may be NULL, and MORE; of one index the newest number counts. OLD
 * stays, and is released with the new one: somebody may be reading it. NULL: no memory. */
struct numbers *numbers_new(struct numbers *old, const struct number *more, size_t count);
void numbers_release(struct numbers *t);

/* The number of INDEX. */
uint32_t numbers_of(const struct numbers *t, uint32_t index);

/* The index that NUMBER stands for; 0: another number stands for it now. */
uint32_t numbers_index(const struct numbers *t, uint32_t number);
