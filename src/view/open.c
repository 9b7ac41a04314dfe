#include "view/open.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/status.h"
#include "view/steps.h"
#include <fcntl.h>

/* --- what a number stands for now -------------------------------------------------------------------------- */

static struct opened *opened_new(bool writing)
{
	struct opened *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	atomic_init(&o->refs, 1);
	o->writing = writing;
	o->fd = -1;
	return o;
}

static void opened_unref(struct opened *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	if (o->item)
		draft_close(o->draft, o->item, o->writing);
	for (struct base_file *b = o->base, *before; b; b = before) {
		before = b->before;
		npy_file_close(b->base.file);
		free(b);
	}
	draft_unref(o->draft);
	npy_file_close(o->file);
	safetensors_close(o->whole);
	loaded_unref(o->loaded);
	buf_release(&o->text);
	closep(&o->fd);
	free(o);
}

/* How a file is opened. */
struct how {
	bool writing, truncate;
};

static int open_state(struct view *v, const struct node *n, const struct how *how, struct opened *o,
		      struct err *e)
{
	CLEANUP(closep) int dirfd = -1;
	struct source src;

	if (how->writing || n->pending) {
		o->fd = folder_open_state(v, n, how->truncate, e);
		return o->fd < 0 ? o->fd : 0;
	}
	dirfd = folder_open_parent(v, n, e);
	if (dirfd < 0)
		return dirfd;
	o->fd = source_open(dirfd, n->place->file, &src, e);
	return o->fd < 0 ? o->fd : 0;
}

static int open_made_up(struct view *v, struct node *n, uint32_t index, const struct how *how,
			struct opened *o, bool *stable, struct err *e)
{
	bool is_whole = index == STATUS_WHOLE_INDEX;

	if (how->writing)
		return err_set(e, -EPERM, "%s%s: ckptfs makes it up, it can't be changed",
			       is_whole ? n->place->name : "",
			       is_whole                      ? VIEW_WHOLE
			       : index == STATUS_STATE_INDEX ? STATE_NAME
							     : STATUS_FILE);
	return is_whole ? in_step_open_whole(v, n, &o->loaded, &o->whole, stable, e)
			: status_make(v, n, index, &o->text, e);
}

static int open_in_base(struct view *v, struct node *n, uint32_t index, struct opened *o,
			bool *stable, struct err *e)
{
	struct loaded *l;
	int r;

	if (!index || index >= DRAFT_DYNAMIC)
		return -ESTALE;
	r = steps_get(v, n, &l, e);
	if (r < 0)
		return r;
	o->loaded = l;
	*stable = true;
	if (in_step_is_file(l, index))
		r = in_step_open_file(v, n, l, index, &o->file, e);
	else if (in_step_is_text(l, index))
		r = in_step_make_text(v, n, l, index, &o->text, e);
	else
		r = -EISDIR;
	if (r == 0 && in_step_is_file(l, index))
		*stable = in_step_may_keep_pages(v, l, index);
	if (r < 0)
		folder_wrap(n->parent, r, e);
	if (r == -ESTALE) /* its name leads to a new node from now on */
		steps_detach(v, n);
	return r;
}

/* Opens what the item of O is read from, as long as it is not a file of the draft's own. B is taken over. */
static int open_base(struct view *v, struct opened *o, struct base_file *b, bool *stable,
		     struct err *e)
{
	int r = in_draft_open_base(v, o->draft, o->item, &b->base, &o->text, stable, e);

	if (r < 0 || !b->base.file) {
		free(b);
		return r;
	}
	b->before = o->base;
	while (!atomic_compare_exchange_weak(&o->base, &b->before, b))
		;
	return 0;
}

static const struct draft_base *base_of(const struct opened *o)
{
	const struct base_file *b = o->base;

	return b ? &b->base : NULL;
}

/* In the draft that O has. */
static int open_in_draft(struct view *v, uint32_t index, const struct how *how, struct opened *o,
			 bool *stable, struct err *e)
{
	struct base_file *b = calloc(1, sizeof *b); /* before anything is truncated */
	int r = b ? draft_open(o->draft, index, how->writing, how->truncate, &o->item, e)
		  : err_set(e, -ENOMEM, "no memory");

	if (r < 0)
		free(b);
	return r < 0 ? r : open_base(v, o, b, stable, e);
}

static int open_in_step(struct view *v, struct node *n, uint32_t index, const struct how *how,
			struct opened *o, bool *stable, struct err *e)
{
	int r = 0;

	if (how->writing)
		r = view_draft_need(v, n, &o->draft, e);
	else
		o->draft = view_draft_of(v, n);
	if (r < 0)
		return r;
	return o->draft ? open_in_draft(v, index, how, o, stable, e)
			: open_in_base(v, n, index, o, stable, e);
}

/* Opens what ID, in N, stands for now. If the draft ends in between it is tried again: then ID stands for something
 * else. */
static int open_id(struct view *v, struct node *n, uint64_t id, struct how how, struct opened **out,
		   bool *stable, struct err *e)
{
	for (;;) {
		struct opened *o = opened_new(how.writing);
		uint32_t index = node_index(n, id);
		bool again;
		int r;

		if (!o)
			return err_set(e, -ENOMEM, "no memory");
		r = status_is(index)       ? open_made_up(v, n, index, &how, o, stable, e)
		    : n->kind == NODE_STEP ? open_in_step(v, n, index, &how, o, stable, e)
					   : open_state(v, n, &how, o, e);
		if (r == 0) {
			*out = o;
			return 0;
		}
		again = o->draft && draft_has_ended(o->draft) && r != DRAFT_LOOK_AGAIN;
		opened_unref(o);
		if (!again)
			return r;
	}
}

/* --- open files -------------------------------------------------------------------------------------------- */

static struct opened *hold(struct view_file *f)
{
	struct opened *o;

	HOLD(&f->lock);
	o = f->now;
	atomic_fetch_add(&o->refs, 1);
	return o;
}

/* Initializes F, which is zeroed. It takes O over. */
static void file_init(struct view_file *f, struct view *v, struct node *n, uint64_t id,
		      struct opened *o)
{
	f->view = v;
	f->node = n;
	f->id = id;
	f->writing = o->writing;
	f->now = o;
	pthread_mutex_init(&f->lock, NULL);
	HOLD(&v->lock);
	f->next = n->files;
	n->files = f;
}

bool view_is_direct(const struct view_file *f)
{
	uint32_t number = node_number(f->id);

	return (status_is(number) && number != STATUS_WHOLE_INDEX) ||
	       (f->writing && f->node->kind == NODE_STATE && !f->node->pending);
}

void view_close(struct view_file *f)
{
	struct view_file **at;

	pthread_mutex_lock(&f->view->lock);
	for (at = &f->node->files; *at != f; at = &(*at)->next)
		;
	*at = f->next;
	pthread_mutex_unlock(&f->view->lock);
	opened_unref(f->now);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static int open_any(struct view *v, uint64_t id, struct how how, struct view_file **out,
		    bool *stable, struct err *e)
{
	struct node *n = view_node(v, id);
	struct view_file *f;
	struct opened *o;
	int r;

	if (!n)
		return -ESTALE;
	if (n->kind == NODE_FOLDER && node_number(id) != STATUS_FILE_INDEX)
		return -EISDIR;
	if (n->kind == NODE_LINK)
		return -ELOOP;
	if (how.writing && !v->writable)
		return -EROFS;
	*stable = false;
	f = calloc(1, sizeof *f); /* before anything is truncated */
	r = f ? open_id(v, n, id, how, &o, stable, e) : err_set(e, -ENOMEM, "no memory");
	if (r < 0) {
		free(f);
		return r == DRAFT_LOOK_AGAIN ? -ESTALE : r;
	}
	file_init(f, v, n, id, o);
	atomic_store(&f->written, how.truncate);
	*out = f;
	return 0;
}

int view_open(struct view *v, uint64_t id, struct view_file **out, bool *stable, struct err *e)
{
	return open_any(v, id, (struct how){0}, out, stable, e);
}

int view_open_to_write(struct view *v, uint64_t id, bool truncate, struct view_file **out,
		       struct err *e)
{
	bool stable; /* not asked: the kernel's pages have what is written */

	return open_any(v, id, (struct how){true, truncate}, out, &stable, e);
}

int open_created(struct view *v, struct node *n, struct draft *d, struct draft_item *i, uint64_t id,
		 struct view_file **out)
{
	struct view_file *f = calloc(1, sizeof *f);
	struct opened *o = f ? opened_new(true) : NULL;

	if (!o) {
		draft_close(d, i, true);
		free(f);
		return -ENOMEM;
	}
	o->draft = draft_ref(d);
	o->item = i;
	file_init(f, v, n, id, o);
	atomic_store(&f->written, true);
	*out = f;
	return 0;
}

/* F's number stands for another thing than OLD now: F has its bytes from that from now on. */
static int reopen(struct view_file *f, struct opened *old, bool writing, struct err *e)
{
	struct opened *o;
	bool stable;
	int r;

	do
		r = open_id(f->view, f->node, f->id, (struct how){writing, false}, &o, &stable, e);
	while (r == DRAFT_LOOK_AGAIN); /* it is the number that counts, wherever its name is */
	if (r < 0)
		return r;
	pthread_mutex_lock(&f->lock);
	if (f->now == old) { /* else another thread was first */
		f->now = o;
		o = old;
	}
	pthread_mutex_unlock(&f->lock);
	opened_unref(o);
	return 0;
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

static int64_t read_text(const struct buf *text, uint64_t off, size_t len, uint8_t *dst)
{
	if (off >= text->n)
		return 0;
	if (len > text->n - off)
		len = text->n - off;
	memcpy(dst, text->p + off, len);
	return (int64_t)len;
}

static int64_t read_opened(const struct opened *o, uint64_t off, size_t len, uint8_t *dst,
			   struct err *e)
{
	int64_t n;

	if (o->item && !draft_item_is_text(o->draft, o->item))
		return draft_read(o->draft, o->item, base_of(o), off, len, dst, e);
	if (o->whole)
		return o->loaded->replaced ? -ESTALE : safetensors_read(o->whole, off, len, dst, e);
	if (o->file)
		return npy_file_read(o->file, off, len, dst, e);
	if (o->fd < 0)
		return read_text(&o->text, off, len, dst);
	n = pread(o->fd, dst, len, (off_t)off);
	return n < 0 ? err_sys(e, -errno, "pread") : n;
}

int64_t view_read(struct view_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	struct opened *o = hold(f);
	int64_t n = read_opened(o, off, len, dst, e);
	int r = 0;

	while (n == -ESTALE && r == 0 && o->item) {
		r = reopen(f, o, false, e);
		opened_unref(o);
		o = hold(f);
		if (r == 0)
			n = read_opened(o, off, len, dst, e);
	}
	opened_unref(o);
	n = r < 0 ? r : n;
	return n < 0 ? folder_wrap(f->node->parent, (int)n, e) : n;
}

/* What is copied in place of the state file is in memory. */
enum { MAX_STATE = 4 << 20 };

/* How the bytes of an open file are changed. */
struct change {
	enum { WRITE, ALLOCATE, CUT } what;
	struct bytes bytes;
	uint64_t off, len;
	int mode;
	const struct behind_asker *early; /* who is answered before it is written; or NULL */
};

static int make(const struct opened *o, const struct change *c, struct err *e)
{
	switch (c->what) {
	case WRITE:
		if (c->early)
			return draft_write_behind(o->draft, o->item, base_of(o), c->bytes, c->off,
						  c->early, e);
		return o->item ? draft_write(o->draft, o->item, base_of(o), c->bytes, c->off, e)
			       : io_write_at(o->fd, c->bytes, c->off, e);
	case ALLOCATE:
		return o->item ? draft_allocate(o->draft, o->item, base_of(o), c->mode, c->off,
						c->len, e)
			       : -EOPNOTSUPP;
	case CUT:
		return o->item ? draft_truncate(o->draft, o->item, base_of(o), c->len, e)
			       : io_truncate(o->fd, c->len, e);
	}
	return -EINVAL;
}

static int change(struct view_file *f, const struct change *c, struct err *e)
{
	uint64_t end = c->off + c->len + c->bytes.n;
	int r = -ESTALE;

	if (!f->writing)
		return -EBADF;
	if (f->node->kind == NODE_STATE && (end > MAX_STATE || end < c->off))
		return err_set(e, -EINVAL, "too large for a state file");
	atomic_store(&f->written, true); /* so it is checked when it is closed */
	while (r == -ESTALE) {
		struct opened *o = hold(f);

		r = o->writing ? make(o, c, e) : -ESTALE;
		if (r == -ESTALE) {
			int opened = reopen(f, o, true, e);

			r = opened < 0 ? opened : r;
			if (opened < 0) {
				opened_unref(o);
				break;
			}
		}
		opened_unref(o);
	}
	return r;
}

int view_write(struct view_file *f, struct bytes b, uint64_t off, struct err *e)
{
	return change(f, &(struct change){WRITE, .bytes = b, .off = off}, e);
}

void view_answer_early(struct view_file *f)
{
	f->early = f->node->kind == NODE_STEP;
}

int view_write_for(struct view_file *f, struct bytes b, uint64_t off, void (*answer)(void *),
		   void *arg, struct err *e)
{
	const struct behind_asker who = {&f->view->room, answer, arg};
	bool early = f->early;
	struct change c = {WRITE, .bytes = b, .off = off, .early = early ? &who : NULL};
	int r = change(f, &c, e);

	if (r == 0 && !early)
		answer(arg);
	return r;
}

int view_allocate(struct view_file *f, int mode, uint64_t off, uint64_t len, struct err *e)
{
	return change(f, &(struct change){ALLOCATE, .mode = mode, .off = off, .len = len}, e);
}

int open_truncate(struct view_file *f, uint64_t size, struct err *e)
{
	return change(f, &(struct change){CUT, .len = size}, e);
}

/* F is the state file, or becomes it by being there. A shell closes it once before anything is written. */
static int flush_state(struct view_file *f, struct opened *o, struct err *e)
{
	struct stat st;

	if (!f->writing || folder_is_aside(f->view, f->node) ||
	    (fstat(o->fd, &st) == 0 && !st.st_size) || !atomic_exchange(&f->written, false))
		return 0;
	if (f->node->pending)
		steps_detach(f->view, f->node);
	return folder_take_state(f->view, f->node->parent, o->fd, e);
}

int view_flush(struct view_file *f, struct err *e)
{
	struct opened *o = hold(f);
	int r = f->node->kind == NODE_STATE ? flush_state(f, o, e)
		: o->item && f->written     ? draft_check(o->draft, o->item, true, e)
					    : 0;

	opened_unref(o);
	return r;
}

int view_fsync(struct view_file *f, struct err *e)
{
	struct opened *o = hold(f);
	int r = o->item ? draft_sync(o->draft, o->item, e) : 0;

	opened_unref(o);
	return r < 0 ? r : view_flush(f, e);
}

int open_getattr(struct view *v, struct node *n, uint64_t id, struct view_entry *out, struct err *e)
{
	struct opened *o = NULL;
	int r = -ESTALE;

	pthread_mutex_lock(&v->lock);
	for (struct view_file *f = n->files; f && !o; f = f->next)
		if (f->id == id)
			o = hold(f);
	pthread_mutex_unlock(&v->lock);
	if (o && o->item)
		r = in_draft_entry_of(v, n, o->draft, o->item, out, e);
	out->id = id;
	opened_unref(o);
	return r;
}

/* --- copies within the mount ------------------------------------------------------------------------------- */

/* Which variable or text of a step O is, if any. */
static bool source_of(struct view *v, const struct node *n, const struct opened *from,
		      uint32_t index, struct draft_source *out)
{
	const struct tree *t = from->loaded && !from->whole ? &from->loaded->tree : NULL;
	bool is_var;

	*out = (struct draft_source){.dirfd = -1};
	if (from->item)
		return draft_source_of(from->draft, from->item, from->text.n, out);
	if (!t)
		return false;
	is_var = index - TREE_FIRST < t->n_files;
	*out = (struct draft_source){step_ref(from->loaded->step), folder_open_parent(v, n, NULL),
				     is_var ? DRAFT_VAR : DRAFT_TEXT,
				     is_var ? t->files[index - TREE_FIRST].var
					    : index - tree_text_index(t, 0),
				     from->text.n};
	if (is_var)
		out->size = npy_file_size(out->step, &out->step->vars[out->number], out->dirfd);
	return true;
}

enum { COPY_PIECE = 1 << 20, COPY_AT_ONCE = 64 << 20 };

static int64_t copy_bytes(struct view_file *from, uint64_t from_off, struct view_file *to,
			  uint64_t to_off, uint64_t len, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(COPY_PIECE);
	uint64_t done = 0;
	int64_t n = 1;
	int r = 0;

	if (!piece)
		return err_set(e, -ENOMEM, "no memory");
	while (r == 0 && done < len && done < COPY_AT_ONCE && n > 0) {
		size_t want = len - done < COPY_PIECE ? len - done : COPY_PIECE;

		n = view_read(from, from_off + done, want, piece, e);
		if (n > 0)
			r = view_write(to, bytes_of(piece, (size_t)n), to_off + done, e);
		if (n > 0 && r == 0)
			done += (uint64_t)n;
	}
	if (!done && (n < 0 || r < 0))
		return n < 0 ? n : r;
	return (int64_t)done;
}

/* 0: the bytes have to be copied; so also if the draft has just ended: they go to the next one. */
static int64_t refer(struct view_file *from, uint64_t off, struct view_file *to, uint64_t len,
		     struct err *e)
{
	struct opened *a = hold(from), *b = hold(to);
	struct draft_source source;
	struct base_file *base;
	bool stable;
	int64_t n = 0;

	if (b->item && b->writing &&
	    source_of(from->view, from->node, a, node_index(from->node, from->id), &source)) {
		n = draft_refer(b->draft, b->item, &source, off, len, e);
		step_unref(source.step);
		closep(&source.dirfd);
	}
	/* If it is a variable now, it must be readable after the draft has ended. */
	if (n > 0 && (base = calloc(1, sizeof *base)))
		open_base(to->view, b, base, &stable, NULL);
	opened_unref(a);
	opened_unref(b);
	return n == -ESTALE ? 0 : n;
}

int64_t view_copy_range(struct view_file *from, uint64_t from_off, struct view_file *to,
			uint64_t to_off, uint64_t len, struct err *e)
{
	int64_t n = 0;

	if (!to->writing)
		return -EBADF;
	len = len < 0x7ffff000 ? len : 0x7ffff000; /* the answer has 32 bits */
	if (from_off == to_off)
		n = refer(from, from_off, to, len, e);
	atomic_store(&to->written, true);
	return n ? n : copy_bytes(from, from_off, to, to_off, len, e);
}
