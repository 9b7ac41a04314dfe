#include "commit/written.h"
#include "base/cleanup.h"
#include "draft/items.h"
#include "draft/pins.h"
#include <fcntl.h>

int plan_dir(struct plan *p, uint32_t pin, struct err *e)
{
	if (p->dir >= 0 && p->dir_pin == pin)
		return p->dir;
	closep(&p->dir);
	p->dir_pin = pin;
	return p->dir = draft_pin_dir(p->d, &p->pins[pin], e);
}

/* A draft may have any number of written files: each is open only while it is looked at. */
static int open_locked(struct draft *d, struct draft_item *item, struct written *f, struct err *e)
{
	struct staged *s = item->staged;
	/* As for other files that have to be written anew first: it is not tried again before. */
	int r = s->lost ? staged_refusal(item, e) : draft_item_open(d, item, e);

	if (r == 0) {
		f->fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
		r = f->fd < 0 ? err_sys(e, -errno, "%s", item->name) : 0;
		if (r == 0 && (r = staged_sums(s, &f->sums)) < 0)
			err_set(e, r, "no memory");
		if (r == 0 && (r = source_of_fd(f->fd, &f->src, e)) < 0)
			err_wrap(e, r, "%s", item->name);
	}
	if (!item->opens)
		closep(&s->fd);
	return r;
}

int written_open(const struct plan *p, struct draft_item *item, struct written *f, struct err *e)
{
	struct draft *d = p->d;
	int r;

	*f = (struct written){.fd = -1};
	pthread_mutex_lock(&d->lock);
	r = d->changes == p->changes ? open_locked(d, item, f, e)
				     : err_set(e, -EAGAIN, "the draft has changed");
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		written_close(f);
	return r;
}

void written_close(struct written *f)
{
	closep(&f->fd);
	crc_pieces_release(&f->sums);
}

int written_note(const struct plan *p, struct draft_item *item, int r, const struct err *why,
		 struct err *e)
{
	struct draft *d = p->d;

	pthread_mutex_lock(&d->lock);
	if (d->changes == p->changes)
		staged_note(item, r, why);
	pthread_mutex_unlock(&d->lock);
	if (r < 0 && e)
		*e = *why;
	return r;
}

int written_parse(const struct plan *p, const struct want *w, struct written *f, struct npy *npy,
		  struct err *e)
{
	struct staged_place at = {.path = want_path(p, w), .reshape = p->d->reshape};
	struct err why = {0};
	int r = written_open(p, w->item, f, e);

	if (r < 0)
		return r;
	if (w->expect_pin != DRAFT_NONE) {
		at.of = p->pins[w->expect_pin].step;
		at.over = &at.of->vars[w->expect_var];
	}
	r = staged_parse(&f->src, &at, false, npy, &why);
	if (r < 0)
		written_close(f);
	return written_note(p, w->item, r, &why, e);
}

int want_set_shape(struct plan *p, struct want *w, unsigned rank, const int64_t *dims)
{
	w->rank = (uint8_t)rank;
	w->dims = p->dims.n;
	return buf_add(&p->dims, dims, rank * sizeof *dims);
}

void want_take_shape(const struct plan *p, const struct want *w, struct npy *npy)
{
	if (!w->item)
		return;
	npy->rank = w->rank;
	if (w->rank)
		memcpy(npy->dims, p->dims.p + w->dims, w->rank * sizeof *npy->dims);
}
