#include "edit/choice.h"
#include "tool/match.h"
#include <fcntl.h>
#include <stdlib.h>

void choice_release(struct choice *c)
{
	place_release(&c->in);
	buf_release(&c->files);
	places_release(&c->places);
}

/* The step of P is the one that is chosen from. */
static int begin(struct choice *c, const struct place *p, struct err *e)
{
	int fd = fcntl(p->dirfd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, -errno, "dup");
	c->in = (struct place){.kind = PLACE_STEP,
			       .view = p->view,
			       .id = p->id,
			       .dirfd = fd,
			       .loaded = loaded_ref(p->loaded)};
	view_remember(p->view, p->id);
	return 0;
}

static int take(void *arg, const char *path, const struct place *p, struct err *e)
{
	struct choice *c = arg;
	uint32_t lo, hi;
	int r = 0;

	if (p->kind != PLACE_STEP && p->kind != PLACE_SCOPE && p->kind != PLACE_VAR)
		return err_set(e, -EINVAL, "%s: is no step, scope or variable", path);
	if (c->in.loaded && c->in.loaded->step != p->loaded->step)
		return err_set(e, -EINVAL, "%s: is of another step than the variables before it",
			       path);
	if (!c->in.loaded && (r = begin(c, p, e)) < 0)
		return r;
	if (p->kind == PLACE_VAR) {
		lo = p->at;
		hi = lo + 1;
	} else {
		const struct tree_dir *d =
			&p->loaded->tree.dirs[p->kind == PLACE_SCOPE ? p->at : 0];

		lo = d->lo;
		hi = d->hi;
	}
	for (; lo < hi && r == 0; lo++)
		r = buf_add(&c->files, &lo, sizeof lo);
	return r < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

int choice_add(struct choice *c, const char *path, struct err *e)
{
	return match_each(&c->places, path, WISH_VAR, take, c, e);
}

static int compare_files(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

const uint32_t *choice_files(struct choice *c, size_t *n)
{
	uint32_t *files = (uint32_t *)(void *)c->files.p;
	size_t all = c->files.n / sizeof *files, kept = 0;

	if (all)
		qsort(files, all, sizeof *files, compare_files);
	for (size_t i = 0; i < all; i++)
		if (!kept || files[kept - 1] != files[i])
			files[kept++] = files[i];
	c->files.n = kept * sizeof *files;
	*n = kept;
	return files;
}
