/* src/base/arena.h: many small allocations that are released together.
 *
 * Memory comes in chunks; what is given out never moves, is zeroed and aligned to 16 bytes. {0} with `max`
 * set is a valid empty arena. */
#pragma once
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	size_t used; /* in all chunks, without what their ends waste */
	size_t max; /* arena_alloc gives NULL rather than pass it; 0: none */
};

void *arena_alloc(struct arena *a, size_t n);

/* Forgets what was given out; one chunk is kept for the next use. */
void arena_reset(struct arena *a);
void arena_release(struct arena *a);
