#include "raw/node.h"
#include "base/cleanup.h"
#include <fcntl.h>

enum { FEW_BUCKETS = 64 };

/* --- the table: all with raw.lock held ------------------------------------------------------------------------- */

static struct raw_node *node_of(const struct raw *r, uint64_t id)
{
	uint64_t slot = id & ~RAW_BIT;

	return raw_is(id) && slot < r->n_slots ? r->slots[slot] : NULL;
}

static struct raw_node **bucket_of(const struct raw *r, uint64_t parent, const char *name)
{
	uint64_t h = parent * UINT64_C(0x9e3779b97f4a7c15);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return &r->buckets[(h >> 20) & (r->n_buckets - 1)];
}

static struct raw_node *find(const struct raw *r, uint64_t parent, const char *name)
{
	struct raw_node *n = r->n_buckets ? *bucket_of(r, parent, name) : NULL;

	while (n && (n->parent != parent || strcmp(n->name, name) != 0))
		n = n->next;
	return n;
}

static void put_in_bucket(struct raw *r, struct raw_node *n)
{
	struct raw_node **b = bucket_of(r, n->parent, n->name);

	n->next = *b;
	*b = n;
	n->detached = false;
}

static void detach(struct raw *r, struct raw_node *n)
{
	struct raw_node **at;

	if (!n || n->detached)
		return;
	for (at = bucket_of(r, n->parent, n->name); *at != n; at = &(*at)->next)
		;
	*at = n->next;
	n->detached = true;
}

/* There are as many buckets as nodes, or more. Without memory the lists get longer. */
static int grow_buckets(struct raw *r)
{
	uint32_t before = r->n_buckets;
	struct raw_node **old = r->buckets, **b;

	if (before > r->n_nodes)
		return 0;
	b = calloc(before ? 2 * (size_t)before : FEW_BUCKETS, sizeof(struct raw_node *));
	if (!b)
		return before ? 0 : -ENOMEM;
	r->buckets = b;
	r->n_buckets = before ? 2 * before : FEW_BUCKETS;
	for (uint32_t i = 0; i < before; i++)
		for (struct raw_node *n = old[i], *next; n; n = next) {
			next = n->next;
			put_in_bucket(r, n);
		}
	free(old);
	return 0;
}

/* A slot that is free; -ENOMEM. */
static int take_slot(struct raw *r, uint32_t *slot)
{
	struct raw_node **more;
	uint32_t n = r->n_slots ? 2 * r->n_slots : FEW_BUCKETS;

	if (!r->free_slots.n) {
		/* Then a slot that is given back always has room. */
		if (buf_reserve(&r->free_slots, n * sizeof *slot) < 0)
			return -ENOMEM;
		more = realloc(r->slots, n * sizeof(struct raw_node *));
		if (!more)
			return -ENOMEM;
		r->slots = more;
		for (uint32_t i = n; i-- > r->n_slots;) {
			r->slots[i] = NULL;
			buf_add(&r->free_slots, &i, sizeof i);
		}
		r->n_slots = n;
	}
	r->free_slots.n -= sizeof *slot;
	memcpy(slot, r->free_slots.p + r->free_slots.n, sizeof *slot);
	return 0;
}

static void give_back_slot(struct raw *r, uint32_t slot)
{
	r->slots[slot] = NULL;
	buf_add(&r->free_slots, &slot, sizeof slot);
}

static void node_free(struct raw_node *n)
{
	free(n->name);
	free(n);
}

/* One with a reference. NULL: no memory. */
static struct raw_node *make(struct raw *r, uint64_t parent, const char *name,
			     const struct stat *st)
{
	struct raw_node *n = calloc(1, sizeof *n);
	uint32_t slot;

	if (!n || !(n->name = strdup(name)) || grow_buckets(r) < 0 || take_slot(r, &slot) < 0) {
		if (n)
			node_free(n);
		return NULL;
	}
	n->id = RAW_BIT | slot;
	n->parent = parent;
	n->type = st->st_mode & S_IFMT;
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	n->lookups = 1;
	r->slots[slot] = n;
	r->n_nodes++;
	put_in_bucket(r, n);
	return n;
}

/* Takes COUNT references back. Gives the number of the folder that lost one, too, or 0. */
static uint64_t put(struct raw *r, struct raw_node *n, uint64_t count)
{
	uint64_t parent = n->parent;

	n->lookups -= count < n->lookups ? count : n->lookups;
	if (n->lookups)
		return 0;
	detach(r, n);
	give_back_slot(r, (uint32_t)(n->id & ~RAW_BIT));
	r->n_nodes--;
	node_free(n);
	return parent;
}

/* --- references --------------------------------------------------------------------------------------------------- */

void raw_node_release_all(struct raw *r)
{
	for (uint32_t i = 0; i < r->n_slots; i++)
		if (r->slots[i])
			node_free(r->slots[i]);
	free(r->slots);
	free(r->buckets);
	buf_release(&r->free_slots);
}

void raw_forget(struct raw *r, uint64_t id, uint64_t count)
{
	while (id) {
		struct raw_node *n;

		if (!raw_is(id)) {
			view_forget(r->view, id, count);
			return;
		}
		pthread_mutex_lock(&r->lock);
		n = node_of(r, id);
		id = n ? put(r, n, count) : 0;
		pthread_mutex_unlock(&r->lock);
		count = 1;
	}
}

/* One reference more on the folder ID. With raw.lock held: so the folder can't go before. */
static void hold_folder(struct raw *r, uint64_t id)
{
	struct raw_node *n = node_of(r, id);

	if (n)
		n->lookups++;
	else if (!raw_is(id))
		view_remember(r->view, id);
}

uint64_t raw_node_enter(struct raw *r, uint64_t parent, const char *name, const struct stat *st)
{
	struct raw_node *n;
	uint64_t id = 0;

	pthread_mutex_lock(&r->lock);
	n = find(r, parent, name);
	if (n &&
	    (n->dev != st->st_dev || n->ino != st->st_ino || n->type != (st->st_mode & S_IFMT))) {
		detach(r, n);
		n = NULL;
	}
	if (n)
		n->lookups++;
	else if ((n = make(r, parent, name, st)))
		hold_folder(r, parent);
	if (n)
		id = n->id;
	pthread_mutex_unlock(&r->lock);
	return id;
}

void raw_node_leave(struct raw *r, uint64_t parent, const char *name)
{
	HOLD(&r->lock);
	detach(r, find(r, parent, name));
}

mode_t raw_node_is_gone(struct raw *r, uint64_t id, uint64_t *parent)
{
	const struct raw_node *n;

	HOLD(&r->lock);
	n = node_of(r, id);
	if (!n || n->dev)
		return 0;
	if (parent)
		*parent = n->parent;
	return n->type;
}

/* With the lock held, which is given up meanwhile. */
static void wait_while_busy(struct raw *r, const struct raw_node *n)
{
	while (behind_is_busy(&n->behind))
		pthread_cond_wait(&r->written, &r->lock);
}

bool raw_node_settle(struct raw *r, uint64_t parent, const char *name)
{
	struct raw_node *n;

	HOLD(&r->lock);
	while ((n = find(r, parent, name)) && behind_is_busy(&n->behind))
		pthread_cond_wait(&r->written, &r->lock);
	return n;
}

/* N, which is detached, is NAME in PARENT from now on; NAME is taken over. */
static void attach(struct raw *r, struct raw_node *n, uint64_t parent, char *name)
{
	free(n->name);
	n->name = name;
	n->parent = parent;
	put_in_bucket(r, n);
}

int raw_node_move(struct raw *r, uint64_t parent, const char *name, uint64_t to_parent,
		  const char *to, bool exchange)
{
	char *there = strdup(to), *back = strdup(name);
	uint64_t left[2] = {to_parent, parent}; /* folders that a node has no more */
	struct raw_node *a, *b;
	int result = there && back ? 0 : -ENOMEM;

	pthread_mutex_lock(&r->lock);
	hold_folder(r, to_parent);
	hold_folder(r, parent);
	a = find(r, parent, name);
	b = find(r, to_parent, to);
	detach(r, a);
	if (b != a)
		detach(r, b);
	if (a && result == 0) {
		left[0] = a->parent;
		attach(r, a, to_parent, TAKE(there, NULL));
	}
	if (b && b != a && exchange && result == 0) {
		left[1] = b->parent;
		attach(r, b, parent, TAKE(back, NULL));
	}
	pthread_mutex_unlock(&r->lock);
	raw_forget(r, left[0], 1);
	raw_forget(r, left[1], 1);
	free(there);
	free(back);
	return result;
}

/* --- on disk ------------------------------------------------------------------------------------------------------ */

/* Where a node is: what raw_node_hold needs of it without the lock. */
struct spot {
	uint64_t parent; /* with a reference */
	char *name; /* NULL: it has none, or there is no memory: */
	int failure; /* 0, or -ENOMEM */
	mode_t type;
	dev_t dev;
	ino_t ino;
	int fd; /* of an open file; or -1 */
};

static int spot_of(struct raw *r, uint64_t id, struct spot *s)
{
	struct raw_node *n;

	pthread_mutex_lock(&r->lock);
	n = node_of(r, id);
	if (n) {
		wait_while_busy(r, n);
		*s = (struct spot){.parent = n->parent,
				   .name = n->detached ? NULL : strdup(n->name),
				   .type = n->type,
				   .dev = n->dev,
				   .ino = n->ino,
				   .fd = n->files ? fcntl(n->files->fd, F_DUPFD_CLOEXEC, 0) : -1};
		s->failure = s->name || n->detached ? 0 : -ENOMEM;
		hold_folder(r, n->parent);
	}
	pthread_mutex_unlock(&r->lock);
	return n ? 0 : -ESTALE;
}

/* What the spot leads to, with FLAGS: a file that a symbolic link leads to, a link itself, a folder. */
static int open_spot(struct raw *r, const struct spot *s, int flags, struct err *e)
{
	CLEANUP(closep)
	int dirfd = s->name ? raw_node_open_folder(r, s->parent, e) : -ESTALE;
	CLEANUP(closep) int fd = -1;
	struct stat st;

	if (s->failure)
		return err_set(e, s->failure, "no memory");
	if (dirfd < 0)
		return dirfd == -ENOENT ? -ESTALE : dirfd;
	fd = openat(dirfd, s->name, flags | O_CLOEXEC | (s->type == S_IFREG ? 0 : O_NOFOLLOW));
	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR))
		return -ESTALE;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, -errno, "%s", s->name);
	if (st.st_dev != s->dev || st.st_ino != s->ino)
		return -ESTALE;
	return TAKE(fd, -1);
}

static int open_node(struct raw *r, uint64_t id, int flags, struct err *e)
{
	struct spot s;
	int fd = spot_of(r, id, &s);

	if (fd < 0)
		return fd;
	fd = s.fd >= 0 ? s.fd : open_spot(r, &s, flags, e);
	raw_forget(r, s.parent, 1);
	free(s.name);
	return fd;
}

int raw_node_hold(struct raw *r, uint64_t id, struct err *e)
{
	return open_node(r, id, O_PATH, e);
}

int raw_node_open_folder(struct raw *r, uint64_t id, struct err *e)
{
	return raw_is(id) ? open_node(r, id, O_RDONLY | O_DIRECTORY, e)
			  : view_open_folder(r->view, id, e);
}

/* --- open files ----------------------------------------------------------------------------------------------------- */

void raw_node_add_file(struct raw *r, uint64_t id, struct raw_file *f)
{
	HOLD(&r->lock);
	f->node = node_of(r, id);
	f->node->lookups++;
	f->next = f->node->files;
	f->node->files = f;
}

uint32_t raw_node_take_write(struct raw_file *f)
{
	behind_room_take(&f->raw->view->room);
	HOLD(&f->raw->lock);
	return behind_take(&f->node->behind);
}

void raw_node_begin_write(struct raw_file *f, uint32_t number)
{
	HOLD(&f->raw->lock);
	behind_await_turn(&f->node->behind, number, &f->raw->written, &f->raw->lock);
}

void raw_node_end_write(struct raw_file *f, int r)
{
	struct raw *raw = f->raw;

	pthread_mutex_lock(&raw->lock);
	if (!f->failed)
		f->failed = r;
	behind_end(&f->node->behind, &raw->written);
	pthread_mutex_unlock(&raw->lock);
	behind_room_give(&raw->view->room);
}

void raw_node_settle_file(const struct raw_file *f)
{
	HOLD(&f->raw->lock);
	wait_while_busy(f->raw, f->node);
}

int raw_node_wait(struct raw_file *f)
{
	HOLD(&f->raw->lock);
	wait_while_busy(f->raw, f->node);
	return TAKE(f->failed, 0);
}

void raw_node_drop_file(struct raw *r, struct raw_file *f)
{
	struct raw_file **at;

	pthread_mutex_lock(&r->lock);
	for (at = &f->node->files; *at != f; at = &(*at)->next)
		;
	*at = f->next;
	pthread_mutex_unlock(&r->lock);
	raw_forget(r, f->node->id, 1);
}
