#include "draft/pins.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "draft/seal.h"
#include "step/sidecar.h"

int draft_pin_dir(const struct draft *d, const struct pin *p, struct err *e)
{
	CLEANUP(closep) int steps = dir_fd(d->fd, "steps", e);

	return steps < 0 ? steps : pin_dir(steps, p->name, e);
}

/* Room for one more behind the pins that there are; NULL: no memory. */
static struct pin *make_room(struct draft *d, struct err *e)
{
	struct pin *pins = realloc(d->pins, (d->n_pins + (size_t)1) * sizeof *pins);

	if (!pins) {
		err_set(e, -ENOMEM, "no memory");
		return NULL;
	}
	d->pins = pins;
	return &pins[d->n_pins];
}

static int find_pin(const struct draft *d, const struct step *s)
{
	for (uint32_t i = 0; i < d->n_pins; i++)
		if (pin_is_of(&d->pins[i], s))
			return (int)i;
	return -1;
}

int draft_pin(struct draft *d, struct step *s, int from, struct err *e)
{
	CLEANUP(closep) int steps = -1;
	struct pin *room;
	int r = find_pin(d, s);

	if (r >= 0)
		return r;
	steps = dir_fd(d->fd, "steps", e);
	room = steps < 0 ? NULL : make_room(d, e);
	if (!room)
		return steps < 0 ? steps : -ENOMEM;
	r = pin_make(steps, d->top, s, from, d->meta, room, e);
	return r < 0 ? r : (int)d->n_pins++;
}

static int name_variables(int steps, const struct pin *p, struct err *e)
{
	CLEANUP(closep) int dir = pin_dir(steps, p->name, e);

	return dir < 0 ? dir : sidecar_full_names(p->step, dir, e);
}

int draft_pin_by_name(struct draft *d, struct bytes name, struct err *e)
{
	CLEANUP(freep) char *copy = NULL;
	CLEANUP(closep) int steps = -1;
	struct pin *room;
	int r;

	for (uint32_t i = 0; i < d->n_pins; i++)
		if (bytes_eq(bytes_str(d->pins[i].name), name))
			return (int)i;
	steps = dir_fd(d->fd, "steps", e);
	room = steps < 0 ? NULL : make_room(d, e);
	if (!room)
		return steps < 0 ? steps : -ENOMEM;
	copy = strndup((const char *)name.p, name.n);
	if (!copy)
		return err_set(e, -ENOMEM, "no memory");
	r = pin_open(steps, copy, d->meta, d->mode, room, e);
	if (r == 0 && d->full_names && (r = name_variables(steps, room, e)) < 0)
		pin_release(room);
	return r < 0 ? r : (int)d->n_pins++;
}

int draft_pin_beside(struct draft *d, struct step *s, int from, struct pin *out, struct err *e)
{
	CLEANUP(closep) int steps = -1;
	struct pin *room;
	int r;

	pthread_mutex_lock(&d->lock);
	r = find_pin(d, s);
	if (r >= 0)
		*out = d->pins[r];
	else
		draft_seal(d);
	pthread_mutex_unlock(&d->lock);
	if (r >= 0)
		return 0;
	r = steps = dir_fd(d->fd, "steps", e);
	if (r >= 0)
		r = pin_make(steps, d->top, s, from, d->meta, out, e);
	pthread_mutex_lock(&d->lock);
	room = r < 0 ? NULL : make_room(d, e);
	if (room) {
		*room = *out;
		d->n_pins++;
	} else if (r == 0) {
		pin_release(out); /* its folder is of no use, and goes with the draft */
		r = -ENOMEM;
	}
	draft_unseal(d);
	pthread_mutex_unlock(&d->lock);
	return r;
}
