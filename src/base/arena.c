#include "base/arena.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16 << 10, ALIGN = 16 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t n, cap;
	_Alignas(ALIGN) uint8_t bytes[];
};

static struct arena_chunk *new_chunk(struct arena *a, size_t n)
{
	size_t cap = n > CHUNK ? n : CHUNK;
	struct arena_chunk *c = malloc(sizeof *c + cap);

	if (!c)
		return NULL;
	c->next = a->chunks;
	c->n = 0;
	c->cap = cap;
	a->chunks = c;
	return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->chunks;
	size_t size;
	void *p;

	if (__builtin_add_overflow(n, ALIGN - 1, &size))
		return NULL;
	size &= ~(size_t)(ALIGN - 1);
	if (a->max && (size > a->max || a->used > a->max - size))
		return NULL;
	if ((!c || size > c->cap - c->n) && !(c = new_chunk(a, size)))
		return NULL;
	p = c->bytes + c->n;
	c->n += size;
	a->used += size;
	return memset(p, 0, n);
}

void arena_reset(struct arena *a)
{
	struct arena_chunk *keep = a->chunks;

	if (!keep)
		return;
	while (keep->next) {
		struct arena_chunk *c = keep;

		keep = c->next;
		free(c);
	}
	a->chunks = keep;
	keep->n = 0;
	a->used = 0;
}

void arena_release(struct arena *a)
{
	arena_reset(a);
	free(a->chunks);
	a->chunks = NULL;
}
