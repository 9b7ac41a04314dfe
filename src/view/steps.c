#include "view/steps.h"
#include "base/cleanup.h"
#include "view/folder.h"

static struct loaded *use_loaded(struct view *v, struct node *n)
{
	struct loaded *l;

	HOLD(&v->lock);
	l = n->loaded ? loaded_ref(n->loaded) : NULL;
	if (l)
		n->last_used = ++v->clock;
	return l;
}

/* Also if a file of it is open, for it must stay known which bytes were verified. Under v->lock, without which nobody
 * begins to use it. */
static bool is_in_use(struct loaded *l)
{
	return atomic_load(&l->refs) > 1 || atomic_load(&l->step->refs) > 1;
}

/* Takes a parsed step from its node: the one used longest ago of those that are not in use, and not KEEP's, if there are too many,
 * or it was not used after SINCE. NULL: there is none. */
static struct loaded *evict_one(struct view *v, const struct node *keep, uint64_t since)
{
	struct node *oldest = NULL;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots; i++) {
		struct node *n = v->nodes.slots[i];

		if (n && n != keep && n->loaded && !is_in_use(n->loaded) &&
		    (!oldest || n->last_used < oldest->last_used))
			oldest = n;
	}
	return oldest && (v->nodes.loaded_memory > v->cache || oldest->last_used <= since)
		       ? node_unload(&v->nodes, oldest)
		       : NULL;
}

/* Without the lock: to drop one may take long. */
static void evict(struct view *v, const struct node *keep, uint64_t since)
{
	struct loaded *old;

	while ((old = evict_one(v, keep, since)))
		loaded_unref(old);
}

void steps_committed(struct view *v)
{
	uint64_t since;

	pthread_mutex_lock(&v->lock);
	since = v->clock_at[0];
	memmove(v->clock_at, v->clock_at + 1, sizeof v->clock_at - sizeof *v->clock_at);
	v->clock_at[VIEW_COMMITS - 1] = v->clock;
	pthread_mutex_unlock(&v->lock);
	evict(v, NULL, since);
}

static void install_loaded(struct view *v, struct node *n, struct loaded *l)
{
	if (!step_is_known(l->step)) /* it is parsed again when it is next asked for */
		return;
	loaded_ref(l);
	pthread_mutex_lock(&v->lock);
	node_load(&v->nodes, n, l);
	n->last_used = ++v->clock;
	pthread_mutex_unlock(&v->lock);
	evict(v, n, 0);
}

/* Makes the tree of S, whose files are in FD, and looks for its texts. Takes the caller's reference to S. */
static int load_step(const struct view *v, struct step *s, int fd, struct loaded **out,
		     struct err *e)
{
	struct loaded *l = calloc(1, sizeof *l);
	int r;

	if (!l) {
		step_unref(s);
		return err_set(e, -ENOMEM, "no memory");
	}
	l->step = s;
	r = tree_init(&l->tree, s, e);
	if (r == 0 && !(l->opened = calloc(l->tree.n_files + (size_t)1, 1)))
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0 &&
	    (r = texts_init(&l->texts, l->step, fd, v->meta_suffix, v->strip_default_attrs)) < 0)
		err_sys(e, r, "what is beside %s", l->step->place.file);
	atomic_init(&l->refs, 1);
	if (r < 0)
		loaded_unref(l);
	else
		*out = l;
	return r;
}

static bool is_step_of(struct view *v, const struct node *n, const struct step *s)
{
	HOLD(&v->lock);
	return file_id_eq(&s->id, &n->id);
}

/* Opens the step that N has in FD, with full names if it is to show these, and without what it hides. */
static int open_step(struct view *v, const struct node *n, int fd, struct step **out, struct err *e)
{
	int r = step_open(fd, n->place, v->verify, out, e);
	const struct seen *seen;
	bool full;

	if (r < 0)
		return r;
	(*out)->kept_as = kept_owner(&v->kept);
	pthread_mutex_lock(&v->lock);
	full = n->kept_names ? n->names == NODE_FULL_NAMES : v->full_names;
	seen = n->kept_names ? &n->seen : &v->seen;
	if (n->parent->watch) /* so they are closed when one of them is removed */
		(*out)->kept = &v->kept;
	pthread_mutex_unlock(&v->lock);
	if (full)
		r = sidecar_full_names(*out, fd, e);
	if (r == 0)
		r = sidecar_limit(*out, fd, v->meta_suffix, seen, e);
	if (r < 0)
		step_unref(*out);
	return r;
}

static enum node_names names_of(const struct step *s)
{
	return s->full ? NODE_FULL_NAMES : NODE_KEYS;
}

/* Is the meta graph in FD, by which S shows its variables, still that of N? */
static bool has_meta_of(struct view *v, const struct node *n, int fd, const struct step *s)
{
	struct file_id now;

	if (!s->seen.collection)
		return true;
	now = folder_meta_id(v, fd, n->place);
	HOLD(&v->lock);
	return file_id_eq(&now, &n->meta);
}

/* S is what N shows from now on. False: its names are others than those that N has numbers of. */
static bool keeps_names(struct view *v, struct node *n, const struct step *s)
{
	HOLD(&v->lock);
	if (n->names == NODE_NOT_NAMED)
		n->names = names_of(s);
	return n->names == names_of(s);
}

static int parse_step(struct view *v, struct node *n, struct loaded **out, struct err *e)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, e);
	struct step *s;
	int r;

	if (fd < 0)
		return fd;
	r = open_step(v, n, fd, &s, e);
	if (r == 0 && !(is_step_of(v, n, s) && has_meta_of(v, n, fd, s) && keeps_names(v, n, s))) {
		step_unref(s);
		r = err_set(e, -ESTALE, "%s: was replaced", n->place->file);
	}
	if (r == 0)
		r = load_step(v, s, fd, out, e);
	return folder_wrap(n->parent, r, e);
}

int steps_adopt(struct view *v, struct node *n, struct step *s, int dirfd, struct loaded **out,
		struct err *e)
{
	struct seen seen;
	int r = seen_copy(&s->seen, &seen);

	if (r < 0)
		return err_set(e, r, "no memory");
	r = load_step(v, step_ref(s), dirfd, out, e);
	pthread_mutex_lock(&v->lock);
	n->kept_names = true;
	n->names = names_of(s);
	n->seen = seen;
	pthread_mutex_unlock(&v->lock);
	if (r == 0)
		install_loaded(v, n, *out);
	return r;
}

static bool has_same_paths(const struct tree *a, const struct tree *b)
{
	bool same = a->n_files == b->n_files && a->n_dirs == b->n_dirs;

	for (uint32_t i = 0; same && i < a->n_files; i++)
		same = bytes_eq(bytes_of(a->files[i].stem, a->files[i].n),
				bytes_of(b->files[i].stem, b->files[i].n));
	return same;
}

bool steps_follow(struct view *v, struct node *n, struct loaded *base)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	struct loaded *l = NULL, *old = NULL;
	struct step *s;
	bool same;

	if (fd < 0 || open_step(v, n, fd, &s, NULL) < 0 || load_step(v, s, fd, &l, NULL) < 0)
		return false;
	same = step_is_known(l->step) && has_same_paths(&base->tree, &l->tree);
	view_take_turn(v, &n->parsing);
	pthread_mutex_lock(&v->lock);
	if (same) {
		old = node_unload(&v->nodes, n);
		n->id = l->step->id;
		n->names = names_of(l->step);
		node_load(&v->nodes, n, loaded_ref(l));
		n->last_used = ++v->clock;
	}
	pthread_mutex_unlock(&v->lock);
	view_end_turn(v, &n->parsing);
	if (same)
		base->replaced = true;
	if (old)
		old->replaced = true;
	loaded_unref(old);
	loaded_unref(l);
	return same;
}

void steps_detach(struct view *v, struct node *n)
{
	HOLD(&v->lock);
	node_detach(&v->nodes, n);
}

bool steps_lose(struct view *v, struct node *n)
{
	bool known;

	HOLD(&v->lock);
	known = n->gone;
	n->gone = known || !n->detached;
	node_detach(&v->nodes, n);
	return known;
}

/* What is in the index is wrong: it stays so as long as it is the same file. */
static bool is_final(int r)
{
	return r == -EUCLEAN || r == -EBADMSG || r == -ENOTSUP || r == -EFBIG || r == -E2BIG;
}

int steps_get(struct view *v, struct node *n, struct loaded **out, struct err *e)
{
	int r = 0;

	if ((*out = use_loaded(v, n)))
		return 0;
	if (n->unborn)
		return err_set(e, -ENOENT, "%s: has no variables yet", n->place->name);
	view_take_turn(v, &n->parsing);
	*out = use_loaded(v, n);
	if (!*out && n->failure.code) {
		if (e)
			*e = n->failure;
		r = n->failure.code;
	} else if (!*out) {
		struct err why = {0};

		r = parse_step(v, n, out, &why);
		if (r == 0)
			install_loaded(v, n, *out);
		else if (r == -ESTALE)
			steps_detach(v, n);
		else if (r == -ENOENT)
			steps_lose(v, n);
		else if (is_final(r))
			n->failure = why;
		if (r < 0 && e)
			*e = why;
	}
	view_end_turn(v, &n->parsing);
	return r;
}

int view_saved_step(struct view *v, uint64_t id, struct loaded **out, struct err *e)
{
	struct node *n = view_node(v, id);

	if (!n)
		return -ESTALE;
	return n->kind == NODE_STEP ? steps_get(v, n, out, e) : -ENOTDIR;
}
