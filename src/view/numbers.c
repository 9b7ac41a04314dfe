#include "view/numbers.h"
#include <stdlib.h>
#include <string.h>

struct numbers {
	struct numbers *before;
	struct number *by_index, *by_number;
	size_t n;
};

static int compare_index(const void *a, const void *b)
{
	const struct number *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int compare_number(const void *a, const void *b)
{
	const struct number *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* Of equal indexes the highest number is the newest: numbers ascend. */
static int compare_both(const void *a, const void *b)
{
	int c = compare_index(a, b);

	return c ? c : compare_number(b, a);
}

static size_t keep_newest(struct number *p, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!kept || p[i].index != p[kept - 1].index)
			p[kept++] = p[i];
	return kept;
}

struct numbers *numbers_new(struct numbers *old, const struct number *more, size_t count)
{
	struct numbers *t = calloc(1, sizeof *t);
	size_t n_old = old ? old->n : 0, n = n_old + count;

	if (!t)
		return NULL;
	t->by_index = malloc((n + 1) * sizeof *t->by_index);
	t->by_number = malloc((n + 1) * sizeof *t->by_number);
	if (!t->by_index || !t->by_number) {
		numbers_release(t);
		return NULL;
	}
	if (n_old)
		memcpy(t->by_index, old->by_index, n_old * sizeof *t->by_index);
	if (count)
		memcpy(t->by_index + n_old, more, count * sizeof *more);
	qsort(t->by_index, n, sizeof *t->by_index, compare_both);
	t->n = keep_newest(t->by_index, n);
	memcpy(t->by_number, t->by_index, t->n * sizeof *t->by_number);
	qsort(t->by_number, t->n, sizeof *t->by_number, compare_number);
	t->before = old;
	return t;
}

void numbers_release(struct numbers *t)
{
	for (struct numbers *before; t; t = before) {
		before = t->before;
		free(t->by_index);
		free(t->by_number);
		free(t);
	}
}

static const struct number *find(const struct number *sorted, size_t n, struct number key,
				 int (*compare)(const void *, const void *))
{
	return n ? bsearch(&key, sorted, n, sizeof key, compare) : NULL;
}

uint32_t numbers_of(const struct numbers *t, uint32_t index)
{
	const struct number *is =
		t ? find(t->by_index, t->n, (struct number){.index = index}, compare_index) : NULL;

	return is ? is->number : index;
}

uint32_t numbers_index(const struct numbers *t, uint32_t number)
{
	const struct number *is = NULL;

	if (t)
		is = find(t->by_number, t->n, (struct number){.number = number}, compare_number);
	if (is)
		return is->index;
	return numbers_of(t, number) == number ? number : 0;
}
