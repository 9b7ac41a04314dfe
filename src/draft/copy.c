#include "draft/copy.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "draft/disk.h"
#include "draft/file.h"
#include "draft/items.h"
#include "draft/pins.h"
#include "draft/staged.h"
#include "format/dtype.h"
#include "step/text.h"
#include <inttypes.h>

/* Whose I, a VAR or TEXT, is. */
static struct draft_owner owner_of(const struct draft *d, const struct draft_item *i)
{
	struct stat st = {.st_uid = geteuid(), .st_gid = getegid(), .st_mode = 0600};
	struct var_owner o;

	draft_stat_step(d, &st);
	if (i->what != DRAFT_VAR)
		return (struct draft_owner){st.st_uid, st.st_gid, st.st_mode};
	o = var_owner(d->pins[i->pin].step, draft_var(d, i), d->has_base ? NULL : &st);
	return (struct draft_owner){o.uid, o.gid, o.mode};
}

int draft_make_empty(struct draft *d, struct draft_item *i, struct err *e)
{
	struct draft_owner owner = owner_of(d, i);

	if (items_stage(i, &owner) < 0)
		return err_set(e, -ENOMEM, "no memory");
	i->on_disk = false; /* a link in the tree goes when the file takes its place */
	return 0;
}

/* What is read is still in the processor's cache when it is checksummed and written. With 1 MiB the kernel took more than twice as long to
 * copy what is written. */
enum { COPY_PIECE = 256 << 10 };

static const uint64_t ALL = UINT64_MAX;

/* The first N bytes of F, or ALL, into FD; what is behind SHARED is there already. What is read is verified, and its checksum
 * kept in S. */
static int copy_bytes(struct npy_file *f, uint64_t n, uint64_t shared, int fd, struct staged *s,
		      struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(COPY_PIECE);
	uint64_t off = 0;
	int64_t got = 1;
	int r = piece ? 0 : err_set(e, -ENOMEM, "no memory");

	while (r == 0 && got && off < n) {
		struct bytes b;

		got = npy_file_read(f, off, n - off < COPY_PIECE ? n - off : COPY_PIECE, piece, e);
		if (got < 0)
			return (int)got;
		b = bytes_of(piece, (size_t)got);
		staged_saw(s, b.p, b.n, off);
		b.n = off >= shared ? 0 : b.n < shared - off ? b.n : (size_t)(shared - off);
		r = io_write_at(fd, b, off, e);
		io_write_out(fd, off, b.n);
		off += (uint64_t)got;
	}
	if (r == 0 && off < n && n != ALL)
		r = err_set(e, -EIO, "ends at %" PRIu64 ", expected %" PRIu64 " bytes", off, n);
	return r;
}

/* Makes FD share the bytes of V, which has a shard of its own that is such a file (as commits make them). Gives from where on it does;
 * ALL: it does not. */
static uint64_t share(const struct pin *p, int dir, const struct var *v, int fd)
{
	uint64_t header = npy_file_size(p->step, v, dir) - v->size;
	bool may = v->kind == VAR_WHOLE && p->step->place.format == STEP_V2 &&
		   dtype_info(v->dtype)->item && v->size && v->off == header;
	CLEANUP(closep) int shard = may ? step_open_shard(p->step, dir, v->shard, NULL) : -1;
	struct source src;

	return shard >= 0 && source_of_fd(shard, &src, NULL) == 0 && src.size == v->off + v->size &&
			       io_clone(shard, fd)
		       ? header
		       : ALL;
}

/* The whole file of variable V into FD. S gets its checksum. */
static int copy_file(const struct draft *d, const struct pin *p, const struct var *v, int fd,
		     struct staged *s, struct err *e)
{
	CLEANUP(closep) int dir = draft_pin_dir(d, p, e);
	struct npy_file *f;
	int r = dir < 0 ? dir : npy_file_open(p->step, v, dir, &f, e);

	if (r < 0)
		return r;
	r = copy_bytes(f, ALL, share(p, dir, v, fd), fd, s, e);
	npy_file_close(f);
	return r;
}

/* The text that I is, into FD. */
static int copy_text(const struct draft *d, const struct draft_item *i, int fd, struct staged *seq,
		     struct err *e)
{
	const struct pin *p = &d->pins[i->pin];
	CLEANUP(buf_release) struct buf text = {0};
	CLEANUP(closep) int dir = draft_pin_dir(d, p, e);
	struct texts t;
	int r = dir < 0 ? dir : 0;

	if (r == 0 && (r = texts_init(&t, p->step, dir, d->meta, d->strip_default_attrs)) < 0)
		return err_sys(e, r, "what is beside %s", p->step->place.file);
	if (r < 0)
		return r;
	r = text_make(&t, p->step, dir, i->number, &text, e);
	if (r == 0)
		r = io_write_at(fd, buf_bytes(&text), 0, e);
	if (r == 0)
		staged_saw(seq, text.p, text.n, 0);
	texts_release(&t);
	return r;
}

/* Makes I, a VAR or TEXT, a file with the same bytes: in the draft, or where its name was removed one without a name,
 * out of BASE. */
static int copy_up(struct draft *d, struct draft_item *i, const struct draft_base *base,
		   struct err *e)
{
	bool nameless = draft_where(d, i) == WHERE_NAMELESS;
	struct draft_item trial = *i;
	struct draft_owner owner = owner_of(d, i);
	CLEANUP(closep) int fd = -1;
	int r;

	if (items_stage(&trial, &owner) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = fd = nameless ? io_nameless(d->top, e) : disk_new_file(d, trial.staged, e);
	if (r >= 0 && i->what == DRAFT_TEXT)
		r = copy_text(d, i, fd, trial.staged, e);
	else if (r >= 0 && nameless && draft_base_fits(base, i))
		r = copy_bytes(base->file, ALL, ALL, fd, trial.staged, e);
	else if (r >= 0)
		r = copy_file(d, &d->pins[i->pin], draft_var(d, i), fd, trial.staged, e);
	if (r == 0 && !nameless)
		r = disk_place_file(d, i, e);
	if (r < 0) {
		items_unstage(&trial);
		return err_wrap(e, r, "%s", i->name);
	}
	*i = trial;
	i->staged->fd = TAKE(fd, -1);
	i->on_disk = true;
	return 0;
}

/* The first N bytes of the file of variable NUMBER of P, into S's. */
static int copy_start(const struct draft *d, const struct pin *p, uint32_t number, uint64_t n,
		      struct staged *s, struct err *e)
{
	CLEANUP(closep) int dir = draft_pin_dir(d, p, e);
	struct npy_file *f;
	int r = dir < 0 ? dir : npy_file_open(p->step, &p->step->vars[number], dir, &f, e);

	if (r < 0)
		return r;
	r = copy_bytes(f, n, ALL, s->fd, s, e);
	npy_file_close(f);
	return r;
}

int draft_copy_referred(struct draft *d, struct draft_item *i, struct err *e)
{
	struct staged *s = i->staged;
	int r;

	if (s->ref_pin == DRAFT_NONE || draft_where(d, i) != WHERE_DRAFT)
		return 0;
	r = draft_need_file(d, i, e);
	if (r == 0)
		r = copy_start(d, &d->pins[s->ref_pin], s->ref_number, s->ref_bytes, s, e);
	if (r < 0)
		return err_wrap(e, r, "%s", i->name);
	s->ref_pin = DRAFT_NONE;
	return 0;
}

int draft_item_open(struct draft *d, struct draft_item *i, struct err *e)
{
	int r = draft_copy_referred(d, i, e);

	if (r == 0)
		r = draft_need_file(d, i, e);
	return r == 0 ? staged_loss(i, e) : r;
}

int draft_need_bytes(struct draft *d, struct draft_item *i, const struct draft_base *base,
		     struct err *e)
{
	int r = draft_check_place(d, i, e);

	if (r == 0 && i->what != DRAFT_STAGED)
		r = copy_up(d, i, base, e);
	if (r == 0)
		r = draft_item_open(d, i, e);
	return r == 0 ? draft_make_private(d, i, false, e) : r;
}
