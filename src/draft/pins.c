#include "draft/pins.h"
#include "base/cleanup.h"
#include "base/dir.h"

int draft_pin_dir(const struct draft *d, const struct pin *p, struct err *e)
{
	CLEANUP(closep) int steps = dir_fd(d->fd, "steps", e);

	return steps < 0 ? steps : pin_dir(steps, p->name, e);
}

int draft_add_pin(struct draft *d, struct step *s, int from, struct err *e)
{
	CLEANUP(closep) int steps = dir_fd(d->fd, "steps", e);
	struct pin *pins = realloc(d->pins, (d->n_pins + (size_t)1) * sizeof *pins);
	int r;

	d->pins = pins ? pins : d->pins;
	if (steps < 0 || !pins)
		return steps < 0 ? steps : err_set(e, -ENOMEM, "no memory");
	r = pin_make(steps, d->top, s, from, d->meta, &pins[d->n_pins], e);
	return r < 0 ? r : (int)d->n_pins++;
}

static int find_pin(const struct draft *d, const struct step *s)
{
	for (uint32_t i = 0; i < d->n_pins; i++) {
		const struct step *p = d->pins[i].step;

		if (p == s || (file_id_eq(&p->id, &s->id) && p->n_vars == s->n_vars &&
			       !strcmp(p->place.name, s->place.name)))
			return (int)i;
	}
	return -1;
}

int draft_pin(struct draft *d, struct step *s, int from, struct err *e)
{
	int pin = find_pin(d, s);

	return pin < 0 ? draft_add_pin(d, s, from, e) : pin;
}

/* The number of the pin of that name; -1: none. */
static int find_name(const struct draft *d, struct bytes name)
{
	for (uint32_t i = 0; i < d->n_pins; i++)
		if (bytes_eq(bytes_str(d->pins[i].name), name))
			return (int)i;
	return -1;
}

static int open_pin(struct draft *d, struct bytes name, struct err *e)
{
	CLEANUP(freep) char *copy = strndup((const char *)name.p, name.n);
	CLEANUP(closep) int steps = dir_fd(d->fd, "steps", e);
	struct pin *pins = realloc(d->pins, (d->n_pins + (size_t)1) * sizeof *pins);
	int r;

	if (pins)
		d->pins = pins;
	if (steps < 0)
		return steps;
	if (!pins || !copy)
		return err_set(e, -ENOMEM, "no memory");
	r = pin_open(steps, copy, d->meta, d->mode, &pins[d->n_pins], e);
	return r < 0 ? r : (int)d->n_pins++;
}

int draft_pin_by_name(struct draft *d, struct bytes name, struct err *e)
{
	int pin = find_name(d, name);

	return pin < 0 ? open_pin(d, name, e) : pin;
}
