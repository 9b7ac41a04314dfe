/* src/base/threads.h: work that several threads share. */
#pragma once
#include "base/error.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many processors this process may use: at least 1. */
unsigned threads_cores(void);

/* Calls WORK with ARG in N threads, of which the caller's is one, and waits for all. If a thread can't be made the others do its work. */
void threads_run(unsigned n, void (*work)(void *arg), void *arg);

/* Work that is cut into pieces. Threads take them in their order, and each thread has SCRATCH zeroed bytes of its own.
 *
 * WORK is called for each piece, by several threads at once. TAKE, if not NULL, is called after it with the same scratch: for one piece
 * after the other, in their order, and never by two threads at once. So what TAKE adds up is the same however many threads there are.
 * END, if not NULL, is called once with the scratch of each thread when that has nothing left to do, never by two at once.
 *
 * What WORK and TAKE return ends the work, if it is not 0: what TAKE returns for a piece, or WORK for the first piece for which it is
 * not 0. Without TAKE it is one of them. */
struct pieces {
	uint64_t n;
	size_t scratch;
	int (*work)(void *arg, uint64_t piece, void *scratch, struct err *e);
	int (*take)(void *arg, uint64_t piece, void *scratch, struct err *e);
	void (*end)(void *arg, void *scratch);
	void *arg;
};

/* 0: all is done; what WORK or TAKE returned; -ENOMEM. */
int pieces_run(const struct pieces *p, struct err *e);

/* TOTAL things in pieces of SIZE, of which the last one may be smaller: how many pieces these are, and how many things piece I has. */
static inline uint64_t pieces_count(uint64_t total, size_t size)
{
	return total / size + (total % size != 0);
}

static inline size_t pieces_part(uint64_t total, size_t size, uint64_t i)
{
	uint64_t left = total - i * size;

	return left < size ? (size_t)left : size;
}
