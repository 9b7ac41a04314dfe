/* src/view/readdir.c: open folders. */
#include "base/cleanup.h"
#include "step/attr.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/lookup.h"
#include "view/snapshot.h"
#include "view/status.h"
#include "view/steps.h"
#include <limits.h>

struct view_dir {
	struct node *node;
	int fd; /* of a folder: its directory; else -1 */
	struct snapshot *snapshot; /* of a folder: what was in it; else NULL */
	struct loaded *loaded; /* in a saved step: the step; else NULL */
	uint32_t dir; /* and the folder in its tree */
	struct buf items,
		names; /* struct draft_entry: in a draft all; of a folder: the new steps in it */
	bool drafted; /* or it is .ckptfs (view/status.h) */
	uint64_t parent; /* in a step: the inode number of the folder */
	bool wholes; /* of a folder: each saved step is also a file (view/status.h) */
	/* What was given last: */
	const struct listed *item; /* of `snapshot`; or NULL */
	bool is_whole; /* it is ITEM as a file */
	uint32_t index; /* in a step */
	mode_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
	struct buf name;
};

enum { POS_DOT, POS_DOTDOT, POS_FIRST };

/* Lists the steps in N that are not on disk yet, but nothing but their drafts. */
static int list_new_steps(struct view *v, const struct node *n, const struct snapshot *s,
			  struct buf *items, struct buf *names)
{
	int r = 0;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && r == 0 && n->drafts; i++) {
		const struct node *step = v->nodes.slots[i];
		struct draft_entry name = {NODE_ROOT_ID, S_IFDIR, names->n};

		if (!step || step->parent != n || !step->draft || step->detached ||
		    listing_find(&s->listing, LISTED_STEP, step->place->name))
			continue;
		r = name_from_entry(bytes_str(step->place->name), false, names);
		if (r == 0)
			r = buf_add_byte(names, 0);
		if (r == 0)
			r = buf_add(items, &name, sizeof name);
	}
	return r;
}

static int open_in_base(struct view *v, struct node *n, uint32_t index, struct view_dir *d,
			struct err *e)
{
	int r = !index || index >= DRAFT_DYNAMIC ? -ESTALE : steps_get(v, n, &d->loaded, e);

	if (r < 0)
		return r;
	if (in_step_is_file(d->loaded, index) || in_step_is_text(d->loaded, index))
		return -ENOTDIR;
	d->dir = in_step_dir(d->loaded, index);
	return 0;
}

static int open_in_step(struct view *v, struct node *n, uint64_t id, struct view_dir *d,
			struct err *e)
{
	struct asking a = {0};
	int r = 0;

	d->parent = id;
	while (view_draft_ask(&a, v, n, r)) {
		d->drafted = a.draft;
		d->items.n = d->names.n = 0;
		r = a.draft ? draft_list(a.draft, node_index(n, id), &d->items, &d->names)
			    : open_in_base(v, n, node_index(n, id), d, e);
	}
	return r;
}

static int open_folder(struct view *v, struct node *n, struct view_dir *d, struct err *e)
{
	int r = snapshot_get(v, n, &d->fd, &d->snapshot, e);

	d->wholes = v->safetensors;
	return r == 0 ? list_new_steps(v, n, d->snapshot, &d->items, &d->names) : r;
}

/* .ckptfs, in a step or folder. */
static int open_status(uint64_t id, struct view_dir *d)
{
	const struct draft_entry file = {STATUS_FILE_INDEX, S_IFREG, 0};
	int r = buf_add(&d->names, STATUS_FILE, sizeof STATUS_FILE);

	d->parent = id;
	d->drafted = true;
	return r < 0 ? r : buf_add(&d->items, &file, sizeof file);
}

int view_opendir(struct view *v, uint64_t id, struct view_dir **out, bool *stable, struct err *e)
{
	struct node *n = view_node(v, id);
	struct view_dir *d;
	int r = -ENOTDIR;

	if (!n)
		return -ESTALE;
	d = calloc(1, sizeof *d);
	if (!d)
		return err_set(e, -ENOMEM, "no memory");
	d->node = n;
	d->fd = -1;
	if (node_number(id) == STATUS_FOLDER_INDEX)
		r = open_status(id, d);
	else if (n->kind == NODE_STEP && !status_is(node_number(id)))
		r = open_in_step(v, n, id, d, e);
	else if (n->kind == NODE_FOLDER)
		r = open_folder(v, n, d, e);
	if (r < 0) {
		view_closedir(d);
		return r;
	}
	*stable = d->loaded;
	*out = d;
	return 0;
}

void view_closedir(struct view_dir *d)
{
	closep(&d->fd);
	snapshot_unref(d->snapshot);
	loaded_unref(d->loaded);
	buf_release(&d->items);
	buf_release(&d->names);
	buf_release(&d->name);
	free(d);
}

/* The name under which ITEM is shown. -ENOENT: it is not shown, since another one has that name. */
static int item_name(const struct listing *l, const struct listed *item, struct buf *out)
{
	bool step_too = item->kind != LISTED_STEP && listing_find(l, LISTED_STEP, item->place.name);
	bool folder_too = listing_find(l, LISTED_FOLDER, item->place.name);
	bool state_too = listing_find(l, LISTED_STATE, item->place.name);

	if (item->kind == LISTED_STATE && (step_too || folder_too))
		return -ENOENT;
	if (item->kind == LISTED_LINK && (step_too || folder_too || state_too))
		return -ENOENT;
	return name_from_entry(bytes_str(item->place.name), step_too, out);
}

static int next_item(struct view_dir *d, uint32_t *pos)
{
	const struct listing *l = &d->snapshot->listing;

	while (*pos < l->n) {
		d->item = &l->items[(*pos)++];
		int r = item_name(l, d->item, &d->name);

		d->type = d->item->kind == LISTED_STATE  ? S_IFREG
			  : d->item->kind == LISTED_LINK ? S_IFLNK
							 : S_IFDIR;
		if (r == 0)
			return 1;
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

static int next_text(struct view_dir *d, uint32_t *pos)
{
	const struct loaded *l = d->loaded;

	while (*pos - l->tree.n_files < N_TEXTS) {
		enum text_kind kind = (*pos)++ - l->tree.n_files;

		if (l->texts.there[kind]) {
			d->index = tree_text_index(&l->tree, kind);
			d->type = S_IFREG;
			return buf_add_str(&d->name, text_name(kind)) < 0 ? -ENOMEM : 1;
		}
	}
	return 0;
}

/* In the step's own folder the texts come after the variables. */
static int next_child(struct view_dir *d, uint32_t *pos)
{
	struct tree_child child;
	int r;

	if (!tree_next(&d->loaded->tree, d->dir, pos, &child))
		return d->dir ? 0 : next_text(d, pos);
	d->index = child.is_dir ? tree_dir_index(&d->loaded->tree, child.index)
				: tree_file_index(child.index);
	d->type = child.is_dir ? S_IFDIR : S_IFREG;
	r = buf_add(&d->name, child.name.p, child.name.n);
	if (r == 0 && !child.is_dir)
		r = buf_add_str(&d->name, ".npy");
	return r < 0 ? r : 1;
}

/* Gives NUMBER of d->items. */
static int next_named(struct view_dir *d, uint32_t number)
{
	const struct draft_entry *item;

	if (number >= d->items.n / sizeof *item)
		return 0;
	item = (const struct draft_entry *)d->items.p + number;
	d->item = NULL;
	d->index = item->index;
	d->type = item->type;
	return buf_add_str(&d->name, (char *)d->names.p + item->name) < 0 ? -ENOMEM : 1;
}

/* Is something else shown as d->name, which is that of a step or link as a file? 1, 0, or -ENOMEM. */
static int is_taken(const struct view_dir *d)
{
	const struct listing *l = &d->snapshot->listing;
	CLEANUP(buf_release) struct buf name = {0}; /* as in a listing, not escaped */
	const char *names = (char *)d->names.p, *n;

	if (buf_printf(&name, "%s%s%c", d->item->place.name, VIEW_WHOLE, 0) < 0)
		return -ENOMEM;
	for (enum listed_kind k = LISTED_STEP; k <= LISTED_LINK; k++)
		if (listing_find(l, k, (char *)name.p))
			return 1;
	for (n = names; n < names + d->names.n; n += strlen(n) + 1)
		if (bytes_eq(bytes_str(n), buf_bytes(&d->name)))
			return 1;
	return 0;
}

/* The name of d->item as a file. 1: it is shown; 0: it is not; -ENOMEM. */
static int whole_name(struct view_dir *d)
{
	int r;

	if (d->item->kind != LISTED_STEP && d->item->kind != LISTED_LINK)
		return 0;
	d->name.n = 0;
	r = item_name(&d->snapshot->listing, d->item, &d->name);
	if (r == 0)
		r = buf_add_str(&d->name, VIEW_WHOLE);
	if (r < 0 || d->name.n > NAME_MAX)
		return r == -ENOMEM ? r : 0;
	r = is_taken(d);
	return r < 0 ? r : !r;
}

/* Steps and links as files; *POS counts in the listing. */
static int next_whole(struct view_dir *d, uint32_t *pos)
{
	const struct listing *l = &d->snapshot->listing;
	int r = 0;

	while (*pos < l->n && r == 0) {
		d->item = &l->items[(*pos)++];
		d->type = d->item->kind == LISTED_LINK ? S_IFLNK : S_IFREG;
		r = whole_name(d);
	}
	d->is_whole = r > 0;
	return r;
}

/* Gives the entry at *POS, and moves that on. In a folder what is on disk comes first, and steps as files last: so who removes what is
 * listed removes a step before that. */
static int next_entry(struct view_dir *d, uint32_t *pos)
{
	uint32_t on_disk = d->snapshot ? d->snapshot->listing.n : 0;
	uint32_t others = on_disk + (uint32_t)(d->items.n / sizeof(struct draft_entry)), at;
	int r = 0;

	d->is_whole = false;
	if (d->loaded)
		return next_child(d, pos);
	if (*pos < on_disk)
		r = next_item(d, pos);
	if (r)
		return r;
	if (*pos < others)
		return next_named(d, (*pos)++ - on_disk);
	if (!d->wholes)
		return 0;
	at = *pos - others;
	r = next_whole(d, &at);
	*pos = at + others;
	return r;
}

int view_readdir(struct view_dir *d, uint64_t pos, struct view_dirent *out, struct err *e)
{
	uint32_t at = pos < POS_FIRST ? 0 : (uint32_t)(pos - POS_FIRST);
	int r;

	d->name.n = 0;
	if (pos < POS_FIRST) {
		*out = (struct view_dirent){pos == POS_DOT ? "." : "..", S_IFDIR, pos + 1};
		return 1;
	}
	r = next_entry(d, &at);
	if (r > 0)
		r = buf_add_byte(&d->name, 0) < 0 ? -ENOMEM : 1;
	if (r < 0)
		return err_set(e, r, "no memory");
	out->name = (char *)d->name.p;
	out->next = (uint64_t)at + POS_FIRST;
	out->type = d->type;
	return r;
}

/* Is the entry given last a text of a size that is not known yet? */
static bool is_unmade_text(const struct view_dir *d)
{
	return d->loaded && in_step_is_text(d->loaded, d->index) &&
	       !text_size_is_known(&d->loaded->texts, in_step_text(d->loaded, d->index));
}

/* st_ino of the step, or link, as a file: its size is known when it was parsed. */
static int look_up_whole(struct view *v, struct view_dir *d, struct view_entry *out, struct err *e)
{
	struct view_entry of = {0};
	int r = lookup_item(v, d->node, d->fd, d->snapshot, d->item, &of, e);

	if (r < 0)
		return r;
	in_step_whole_attr(&of.st, d->type, 0, &out->st);
	view_forget(v, of.id, 1);
	return -EAGAIN;
}

int view_dirent_lookup(struct view *v, struct view_dir *d, bool brief, struct view_entry *out,
		       struct err *e)
{
	if (d->is_whole)
		return look_up_whole(v, d, out, e);
	if (d->drafted || (!d->loaded && !d->item))
		return view_lookup(v, d->drafted ? d->parent : node_id(d->node, NODE_ROOT_ID),
				   (char *)d->name.p, out, e);
	/* Where the link leads is in the listing, which may be old. All else is looked at on disk. */
	if (!d->loaded && d->item->kind == LISTED_LINK &&
	    !snapshot_is_current(v, d->node, d->snapshot))
		return lookup_in_folder(v, d->node, d->item->place.name, out, e);
	if (!d->loaded)
		return lookup_item(v, d->node, d->fd, d->snapshot, d->item, out, e);
	if (is_unmade_text(d)) {
		enum text_kind kind = in_step_text(d->loaded, d->index);

		attr_of_text(&d->loaded->texts.st[kind], kind, 0, &out->st);
		return -EAGAIN;
	}
	if (brief && in_step_is_file(d->loaded, d->index)) {
		out->st.st_ino = attr_var_ino(d->loaded->step, in_step_var(d->loaded, d->index));
		return -EAGAIN;
	}
	in_step_entry(v, d->node, d->loaded, d->index, out);
	view_hold(v, d->node);
	return 0;
}
