#include "draft/write.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/lacks.h"
#include "draft/copy.h"
#include "draft/file.h"
#include "draft/items.h"
#include "draft/seal.h"
#include "draft/staged.h"
#include <fcntl.h>
#include <time.h>

static void settle(struct draft *d, struct draft_item *i)
{
	HOLD(&d->lock);
	draft_await_behind(d, i);
}

/* A change of bytes that is under way. */
struct bytes_change {
	int fd;
	uint32_t number; /* as in staged.changed */
	bool alone; /* when it began no other was under way */
};

/* With the lock held. */
static void begin(struct staged *s, struct bytes_change *c)
{
	c->fd = s->fd;
	c->number = ++s->changed;
	c->alone = !s->changing++;
}

/* [OFF, OFF + N) has changed. If something else was changed meanwhile nobody knows into what. With the lock held. */
static void end(struct draft *d, struct draft_item *i, const struct bytes_change *c, uint64_t off,
		uint64_t n)
{
	struct staged *s = i->staged;

	s->changing--;
	if (!c->alone || s->changed != c->number)
		staged_forget(s, off, n);
	draft_touched(d, i); /* what was read before that is not what is there now */
	if (--d->in_flight == 0)
		pthread_cond_broadcast(&d->quiet);
}

/* Before bytes of I change. With the lock held, when nothing is sealed. */
static int prepare(struct draft *d, struct draft_item *i, const struct draft_base *base,
		   struct err *e)
{
	int r = i->what == DRAFT_DIR ? -EISDIR : draft_need_bytes(d, i, base, e);

	if (r == 0) {
		draft_touched(d, i);
		d->in_flight++;
	}
	return r;
}

/* A change that is answered when it is done: those that were answered before come first. */
static int begin_change(struct draft *d, struct draft_item *i, const struct draft_base *base,
			struct bytes_change *c, struct err *e)
{
	int r;

	settle(d, i);
	draft_lock_to_change(d);
	r = prepare(d, i, base, e);
	if (r == 0)
		begin(i->staged, c);
	pthread_mutex_unlock(&d->lock);
	return r;
}

static int write_bytes(struct staged *s, int fd, struct bytes b, uint64_t off, struct err *e)
{
	int r = io_write_at(fd, b, off, e);

	if (r == 0)
		staged_saw(s, b.p, b.n, off);
	else
		staged_forget(s, off, b.n);
	return r;
}

int draft_write(struct draft *d, struct draft_item *i, const struct draft_base *base,
		struct bytes b, uint64_t off, struct err *e)
{
	struct bytes_change c;
	int r = begin_change(d, i, base, &c, e);

	if (r < 0)
		return r;
	r = write_bytes(i->staged, c.fd, b, off, e);
	HOLD(&d->lock);
	end(d, i, &c, off, b.n);
	return r;
}

static int take_over(struct draft *d, struct draft_item *i, const struct draft_base *base,
		     uint32_t *number, struct err *e)
{
	int r;

	draft_lock_to_change(d);
	r = prepare(d, i, base, e);
	if (r == 0)
		*number = behind_take(&i->behind);
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* Writes the bytes that were taken over as NUMBER. */
static void write_taken(struct draft *d, struct draft_item *i, uint32_t number, struct bytes b,
			uint64_t off)
{
	struct bytes_change c;
	int r;

	pthread_mutex_lock(&d->lock);
	behind_await_turn(&i->behind, number, &d->quiet, &d->lock);
	begin(i->staged, &c);
	pthread_mutex_unlock(&d->lock);
	r = write_bytes(i->staged, c.fd, b, off, NULL);
	if (r == 0)
		io_write_out(c.fd, off, b.n);
	pthread_mutex_lock(&d->lock);
	i->staged->lost = r < 0 ? r : i->staged->lost;
	end(d, i, &c, off, b.n);
	behind_end(&i->behind, &d->quiet);
	pthread_mutex_unlock(&d->lock);
}

int draft_write_behind(struct draft *d, struct draft_item *i, const struct draft_base *base,
		       struct bytes b, uint64_t off, const struct behind_asker *who, struct err *e)
{
	uint32_t number;
	int r;

	/* There a file's bytes are copied before it is removed (draft_keep_bytes), so they must be there. */
	if (lacks_at(d->top) & LACKS_NAMELESS) {
		r = draft_write(d, i, base, b, off, e);
		if (r == 0)
			who->answer(who->arg);
		return r;
	}
	behind_room_take(who->room);
	r = take_over(d, i, base, &number, e);
	if (r == 0) {
		who->answer(who->arg);
		write_taken(d, i, number, b, off);
	}
	behind_room_give(who->room);
	return r;
}

int draft_allocate(struct draft *d, struct draft_item *i, const struct draft_base *base, int mode,
		   uint64_t off, uint64_t len, struct err *e)
{
	struct bytes_change c;
	int r = begin_change(d, i, base, &c, e);

	if (r < 0)
		return r;
	r = fallocate(c.fd, mode, (off_t)off, (off_t)len) < 0 ? err_sys(e, -errno, "fallocate") : 0;
	staged_forget(i->staged, 0, UINT64_MAX); /* bytes may have moved, too */
	HOLD(&d->lock);
	end(d, i, &c, off, len);
	return r;
}

int draft_cut(struct draft *d, struct draft_item *i, const struct draft_base *base, uint64_t size,
	      struct err *e)
{
	struct staged *s;
	int r = i->what == DRAFT_DIR ? -EISDIR : draft_check_place(d, i, e);

	if (r == 0 && i->what != DRAFT_STAGED && size == 0)
		r = draft_make_empty(d, i, e);
	else if (r == 0 && (i->what != DRAFT_STAGED || size))
		r = draft_need_bytes(d, i, base, e);
	if (r < 0)
		return r;
	s = i->staged;
	s->ref_pin = DRAFT_NONE;
	if (i->on_disk) {
		r = draft_need_file(d, i, e);
		if (r == 0)
			r = draft_make_private(d, i, size == 0, e);
		if (r == 0)
			r = io_truncate(s->fd, size, e);
	}
	if (r < 0)
		return r;
	staged_cut(s, size);
	s->changed++;
	s->lost = size ? s->lost : 0;
	draft_touched(d, i);
	return 0;
}

int draft_truncate(struct draft *d, struct draft_item *i, const struct draft_base *base,
		   uint64_t size, struct err *e)
{
	int r;

	settle(d, i);
	draft_lock_to_change(d);
	r = draft_cut(d, i, base, size, e);
	if (i->staged && !i->opens)
		closep(&i->staged->fd);
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* --- a commit waits -------------------------------------------------------------------------------------------------- */

/* close(2) does not wait for the kernel to say that a file is closed; a moment later it has. */
enum { PATIENCE_MS = 20 };

static void await_closing(struct draft *d)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (d->writers && r == 0)
		r = pthread_cond_timedwait(&d->quiet, &d->lock, &until);
}

void draft_await_writes(struct draft *d)
{
	await_closing(d);
	draft_seal(d); /* else new ones might begin for ever */
	while (d->in_flight)
		pthread_cond_wait(&d->quiet, &d->lock);
	draft_unseal(d);
}
