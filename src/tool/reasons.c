#include "tool/reasons.h"
#include <stdio.h>
#include <stdlib.h>

struct reason {
	struct bytes variable;
	const char *why;
	size_t number; /* in the order in which they were added */
};

void reasons_release(struct reasons *rs)
{
	buf_release(&rs->all);
}

int reasons_add(struct reasons *rs, struct bytes variable, const char *why, struct err *e)
{
	const struct reason reason = {variable, why, rs->all.n / sizeof reason};

	return buf_add(&rs->all, &reason, sizeof reason) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

static int compare(const void *a, const void *b)
{
	const struct reason *x = a, *y = b;
	int way = strcmp(x->why, y->why);

	return way ? way : (x->number > y->number) - (x->number < y->number);
}

/* N variables have one reason. It names a step, a file and a place, but not the variable. */
static void tell(const struct reason *all, size_t n, const char *program)
{
	struct bytes first = all[0].variable, last = all[n - 1].variable;
	struct err e = {0};

	if (n > 1)
		err_set(&e, -EIO, "%s: so %zu variables can't be read, from %.*s to %.*s",
			all[0].why, n, (int)first.n, (const char *)first.p, (int)last.n,
			(const char *)last.p);
	else
		err_set(&e, -EIO, "%.*s: %s", (int)first.n, (const char *)first.p, all[0].why);
	fprintf(stderr, "%s: %s\n", program, e.text);
}

bool reasons_tell(struct reasons *rs, const char *program)
{
	struct reason *all = (struct reason *)(void *)rs->all.p;
	size_t n = rs->all.n / sizeof *all, end;

	if (n)
		qsort(all, n, sizeof *all, compare);
	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && !strcmp(all[i].why, all[end].why); end++)
			;
		tell(all + i, end - i, program);
	}
	return n;
}
