/* src/draft/refer.c: what is copied within the mount becomes a reference, so that no byte is moved. */
#include "base/cleanup.h"
#include "draft/copy.h"
#include "draft/disk.h"
#include "draft/file.h"
#include "draft/items.h"
#include "draft/pins.h"
#include "draft/seal.h"
#include "draft/staged.h"
#include <fcntl.h>

/* All of FROM was copied: I becomes what it is. */
static int end_reference(struct draft *d, struct draft_item *i, struct err *e)
{
	struct staged *s = i->staged;
	struct draft_item link = *i;
	CLEANUP(closep) int dir = -1;
	struct stat st;
	int r;

	link.what = s->ref_what;
	link.pin = s->ref_pin;
	link.number = s->ref_number;
	if (s->ref_what == DRAFT_VAR) {
		r = staged_fits(d, draft_var(d, &link), d->pins[link.pin].step, i, e);
		if (r < 0)
			return r;
	}
	dir = disk_folder(d, i->parent, true, e);
	if (dir < 0)
		return dir;
	link.on_disk = fstatat(dir, i->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	r = disk_place_link(d, &link, e);
	if (r < 0)
		return r;
	items_unstage(i);
	i->what = link.what;
	i->pin = link.pin;
	i->number = link.number;
	i->on_disk = true;
	if (i->what == DRAFT_VAR)
		i->own_name = draft_has_own_name(d, i);
	return 0;
}

static bool is_fresh(const struct draft_item *i)
{
	return i->what == DRAFT_STAGED && !i->on_disk && i->staged->fd < 0;
}

/* Only a name that a variable, or that text, may have. */
static bool is_for(const struct draft_item *i, const struct draft_source *from)
{
	if (from->what == DRAFT_TEXT)
		return !i->parent->parent && text_kind_of(i->name) == from->number;
	return bytes_ends(bytes_str(i->name), bytes_str(".npy"));
}

static int64_t refer_locked(struct draft *d, struct draft_item *i, const struct draft_source *from,
			    uint64_t off, uint64_t len, struct err *e)
{
	struct staged *s = i->staged;
	int pin, r;

	if (!is_fresh(i) || !is_for(i, from) || off >= from->size)
		return 0; /* to be copied by bytes */
	if (from->what == DRAFT_VAR &&
	    staged_is_reshaped(d, &from->step->vars[from->number], from->step, i))
		return 0;
	if (off != s->ref_bytes && (off || s->ref_pin != DRAFT_NONE))
		return 0;
	pin = draft_pin(d, from->step, from->dirfd, e);
	if (pin < 0) /* to be copied by bytes, then */
		return pin == -EXDEV || pin == -EMLINK ? 0 : pin;
	if (off && (s->ref_pin != (uint32_t)pin || s->ref_number != from->number))
		return 0;
	len = len < from->size - off ? len : from->size - off;
	s->ref_pin = (uint32_t)pin;
	s->ref_number = from->number;
	s->ref_what = from->what;
	s->ref_bytes = off + len;
	if (from->what == DRAFT_TEXT && s->ref_bytes != from->size) {
		s->ref_pin = DRAFT_NONE; /* a part of a text is no reference */
		s->ref_bytes = 0;
		return 0;
	}
	draft_touched(d, i);
	r = s->ref_bytes == from->size ? end_reference(d, i, e) : 0;
	if (r < 0) { /* what was copied before stays */
		s->ref_bytes = r == -EINVAL ? 0 : off;
		s->ref_pin = s->ref_bytes ? s->ref_pin : DRAFT_NONE;
		return r;
	}
	return (int64_t)len;
}

bool draft_source_of(struct draft *d, const struct draft_item *i, uint64_t text,
		     struct draft_source *out)
{
	bool is;

	pthread_mutex_lock(&d->lock);
	is = i->what == DRAFT_VAR || i->what == DRAFT_TEXT;
	if (is) {
		struct pin *p = &d->pins[i->pin];

		*out = (struct draft_source){step_ref(p->step), draft_pin_dir(d, p, NULL), i->what,
					     i->number, text};
		if (i->what == DRAFT_VAR)
			out->size = npy_file_size(p->step, draft_var(d, i), out->dirfd);
	}
	pthread_mutex_unlock(&d->lock);
	return is;
}

int64_t draft_refer(struct draft *d, struct draft_item *i, const struct draft_source *from,
		    uint64_t off, uint64_t len, struct err *e)
{
	int64_t r;

	draft_lock_to_change(d);
	r = draft_check_place(d, i, e);
	if (r == 0 && draft_where(d, i) == WHERE_DRAFT)
		r = refer_locked(d, i, from, off, len, e);
	pthread_mutex_unlock(&d->lock);
	return r;
}
