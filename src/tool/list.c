#include "tool/list.h"
#include "base/cleanup.h"
#include "message/state.h"
#include <stdlib.h>
#include <sys/stat.h>

void list_release(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i].name);
	buf_release(&l->array);
	*l = (struct list){0};
}

/* A new item, which NAME is, with SUFFIX behind it. NULL: no memory. */
static struct item *add(struct list *l, enum item_kind kind, struct bytes name, const char *suffix)
{
	struct item item = {.kind = kind, .name = malloc(name.n + strlen(suffix) + 1)};

	if (!item.name || buf_add(&l->array, &item, sizeof item) < 0) {
		free(item.name);
		return NULL;
	}
	if (name.n)
		memcpy(item.name, name.p, name.n);
	strcpy(item.name + name.n, suffix);
	l->items = (struct item *)(void *)l->array.p;
	return &l->items[l->n++];
}

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "no memory");
}

void item_put_sizes(const struct item *i, struct json_object *o)
{
	if (i->why.code < 0) {
		json_put(o, "error", json_bytes(bytes_str(i->why.text)));
		return;
	}
	json_put(o, "variables", json_object_new_uint64(i->variables));
	json_put(o, "bytes", json_object_new_uint64(i->bytes));
	if (i->kind != ITEM_STEP)
		return;
	json_put(o, "own_bytes", json_object_new_uint64(i->own));
	json_put(o, "saved",
		 json_object_new_double((double)i->time.tv_sec + (double)i->time.tv_nsec / 1e9));
}

/* --- in a step ------------------------------------------------------------------------------------------------ */

/* NAME is a path or a part of one, with a length. */
static int add_var(struct list *l, uint32_t file, struct bytes name)
{
	struct item *i = add(l, ITEM_VAR, name, VAR_ENDING);

	if (!i)
		return -ENOMEM;
	i->at = file;
	i->bytes = item_var(l, i)->size;
	return 0;
}

static int add_scope(struct list *l, uint32_t dir, struct bytes name)
{
	const struct tree *t = &l->loaded->tree;
	struct item *i = add(l, ITEM_SCOPE, name, "");

	if (!i)
		return -ENOMEM;
	i->at = dir;
	i->variables = t->dirs[dir].hi - t->dirs[dir].lo;
	for (uint32_t k = t->dirs[dir].lo; k < t->dirs[dir].hi; k++)
		i->bytes += l->loaded->step->vars[t->files[k].var].size;
	return 0;
}

static int add_children(struct list *l, uint32_t dir)
{
	struct tree_child child;
	uint32_t pos = 0;
	int r = 0;

	while (r == 0 && tree_next(&l->loaded->tree, dir, &pos, &child))
		r = child.is_dir ? add_scope(l, child.index, child.name)
				 : add_var(l, child.index, child.name);
	for (int k = 0; k < N_TEXTS && r == 0 && dir == 0; k++)
		if (l->loaded->texts.there[k] && !add(l, ITEM_TEXT, bytes_str(text_name(k)), ""))
			r = -ENOMEM;
	return r;
}

int list_step(const struct place *p, bool all, struct list *out, struct err *e)
{
	const struct tree *t = &p->loaded->tree;
	uint32_t dir = p->kind == PLACE_SCOPE ? p->at : 0;
	const struct tree_dir *d = &t->dirs[dir];
	int r = 0;

	*out = (struct list){.loaded = p->loaded};
	if (!all)
		r = add_children(out, dir);
	for (uint32_t i = d->lo; i < d->hi && all && r == 0; i++) {
		const struct tree_file *f = &t->files[i];

		r = add_var(out, i, bytes_of(f->stem + d->prefix, f->n - d->prefix));
	}
	return r < 0 ? no_memory(e) : 0;
}

int list_one(const struct place *p, struct list *out, struct err *e)
{
	const struct tree_file *f = p->kind == PLACE_VAR ? &p->loaded->tree.files[p->at] : NULL;
	int r = 0;

	*out = (struct list){.loaded = p->loaded};
	if (f)
		r = add_var(out, p->at, bytes_of(f->stem, f->n));
	else if (!add(out, p->kind == PLACE_TEXT ? ITEM_TEXT : ITEM_STATE,
		      bytes_str(p->kind == PLACE_TEXT ? text_name(p->at) : STATE_NAME), ""))
		r = -ENOMEM;
	return r < 0 ? no_memory(e) : 0;
}

/* --- in a folder ---------------------------------------------------------------------------------------------- */

/* A file that a step has. */
struct holding {
	uint64_t dev, ino, size;
	size_t item; /* of the list */
};

static int compare_holdings(const void *a, const void *b)
{
	const struct holding *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item);
}

/* Each file that only one step has counts as its own. */
static void count_own(struct list *l, struct holding *all, size_t n)
{
	if (n)
		qsort(all, n, sizeof *all, compare_holdings);
	for (size_t i = 0; i < n; i++) {
		const struct holding *h = &all[i];
		bool before = i && h[-1].dev == h->dev && h[-1].ino == h->ino;
		bool after = i + 1 < n && h[1].dev == h->dev && h[1].ino == h->ino;

		l->items[h->item].own += before || after ? 0 : h->size;
	}
}

static int add_holding(struct list *l, const struct file_id *id, struct buf *holdings)
{
	const struct holding h = {id->dev, id->ino, id->size, l->n - 1};

	l->items[l->n - 1].bytes += id->size;
	return buf_add(holdings, &h, sizeof h);
}

/* The last item is the step of P. */
static int describe_step(struct list *l, const struct place *p, struct buf *holdings)
{
	const struct step *s = p->loaded->step;
	struct item *i = &l->items[l->n - 1];
	int r = s->place.format == STEP_V2 ? add_holding(l, &s->id, holdings) : 0;

	i->variables = p->loaded->tree.n_files;
	i->time = s->index.st_mtim;
	for (uint32_t k = 0; k < s->n_shards && r == 0; k++)
		if (s->shards[k].status == 0)
			r = add_holding(l, &s->shards[k].id, holdings);
	return r;
}

static int describe(const struct place *p, struct list *l, struct buf *holdings)
{
	CLEANUP(place_release) struct place in = PLACE_EMPTY;
	struct item *i = &l->items[l->n - 1];
	struct err why = {0};
	int r = place_in(p, i->name, &in, &why);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		i->why = why;
		i->why.code = r;
		return 0;
	}
	if (in.kind != PLACE_STEP) {
		i->kind = ITEM_FOLDER;
		return 0;
	}
	return describe_step(l, &in, holdings);
}

static int add_entry(const struct place *p, const struct view_dirent *de, bool details,
		     struct list *l, struct buf *holdings)
{
	enum item_kind kind = S_ISDIR(de->type)   ? ITEM_STEP
			      : S_ISLNK(de->type) ? ITEM_LINK
						  : ITEM_STATE;

	if (!strcmp(de->name, ".") || !strcmp(de->name, ".."))
		return 0;
	if (!add(l, kind, bytes_str(de->name), ""))
		return -ENOMEM;
	return details && kind == ITEM_STEP ? describe(p, l, holdings) : 0;
}

int list_folder(const struct place *p, bool details, struct list *out, struct err *e)
{
	CLEANUP(buf_release) struct buf holdings = {0};
	struct view_dirent de = {0};
	struct view_dir *d;
	bool stable;
	int r = view_opendir(p->view, p->id, &d, &stable, e);

	*out = (struct list){0};
	if (r < 0)
		return r;
	while ((r = view_readdir(d, de.next, &de, e)) > 0) {
		r = add_entry(p, &de, details, out, &holdings);
		if (r < 0) {
			err_set(e, r, "no memory");
			break;
		}
	}
	view_closedir(d);
	count_own(out, (struct holding *)(void *)holdings.p, holdings.n / sizeof(struct holding));
	return r;
}

/* --- the order ------------------------------------------------------------------------------------------------ */

struct ordering {
	enum list_order order;
	bool reverse;
};

static int compare_times(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

static int compare_items(const void *a, const void *b, void *arg)
{
	const struct item *x = a, *y = b;
	const struct ordering *o = arg;
	int r = 0;

	if (o->order == ORDER_SIZE)
		r = (y->bytes > x->bytes) - (y->bytes < x->bytes);
	else if (o->order == ORDER_TIME)
		r = compare_times(&y->time, &x->time);
	if (r == 0)
		r = strcmp(x->name, y->name);
	return o->reverse ? -r : r;
}

void list_sort(struct list *l, enum list_order order, bool reverse)
{
	struct ordering o = {order, reverse};

	if (l->n)
		qsort_r(l->items, l->n, sizeof *l->items, compare_items, &o);
}
