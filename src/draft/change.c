/* src/draft/change.c: items are made, removed and renamed. */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/lacks.h"
#include "draft/copy.h"
#include "draft/disk.h"
#include "draft/file.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/seal.h"
#include "draft/staged.h"
#include "draft/walk.h"
#include "step/full_names.h"
#include "step/text_kind.h"
#include "step/tree.h"
#include <fcntl.h>
#include <stdio.h>

/* --- names ------------------------------------------------------------------------------------------------- */

/* What is hidden can't be made: it could not be seen, and the base may have one. */
static int check_seen(const struct draft *d, struct bytes stem, struct bytes key, struct err *e)
{
	const char *option = tree_hides(&d->seen, d->base_members, stem, key);

	return option ? err_set(e, -EPERM, "%.*s.npy: %s=%s hides this name", (int)stem.n,
				(char *)stem.p, option,
				strcmp(option, "var_list") ? d->seen.collection : d->seen.var_list)
		      : 0;
}

/* Could a variable with that stem be committed? KEY gets its key. */
static int find_key(const struct draft *d, struct bytes stem, struct buf *key, struct err *e)
{
	int r = full_names_key(d->base_names, d->object_based ? NAME_OBJECT : NAME_PLAIN, stem, key,
			       e);

	if (r == -EINVAL && !d->has_base) /* whether it is object-based is not known yet */
		r = full_names_key(NULL, NAME_OBJECT, stem, key, e);
	return r;
}

/* And would it be seen? */
static int check_stem(const struct draft *d, struct bytes stem, struct err *e)
{
	CLEANUP(buf_release) struct buf key = {0};
	int r = find_key(d, stem, &key, e);

	return r < 0 ? r : check_seen(d, stem, buf_bytes(&key), e);
}

/* PATH: of a new folder. */
static int check_folder(const struct draft *d, struct buf *path, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf key = {0};
	int r = buf_add_str(path, "/x");

	if (r < 0)
		return err_set(e, r, "no memory");
	r = find_key(d, buf_bytes(path), &key, e);
	return r == -EINVAL
		       ? err_set(e, r,
				 "%s: no variable can be in a folder of this name, see NAMES in ckptfs(5)",
				 name)
		       : r;
}

/* A path that no variable's name gives could not be committed, nor could what is put into a folder of such a path. */
static int check_path(const struct draft *d, const struct draft_item *dir, const char *name,
		      bool folder, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	bool is_var = !folder && bytes_ends(bytes_str(name), bytes_str(VAR_ENDING));
	int r;

	if (name[0] == '.' || draft_is_hidden(dir) || (!folder && !is_var) ||
	    (folder && bytes_ends(bytes_str(name), bytes_str("%")))) /* a piece of a long name */
		return 0;
	r = dir->parent ? draft_path(dir, &path) : 0;
	if (r == 0 && path.n)
		r = buf_add_byte(&path, '/');
	if (r == 0)
		r = buf_add(&path, name, strlen(name) - (is_var ? strlen(VAR_ENDING) : 0));
	if (r < 0)
		return err_set(e, r, "no memory");
	return folder ? check_folder(d, &path, name, e) : check_stem(d, buf_bytes(&path), e);
}

/* -EINVAL if a new file, or FOLDER, in DIR may not be called that. */
static int check_name(const struct draft *d, const struct draft_item *dir, const char *name,
		      bool folder, struct err *e)
{
	struct bytes n = bytes_str(name);

	if (n.n > 255)
		return -ENAMETOOLONG;
	if (!strcmp(name, GONE))
		return err_set(e, -EINVAL, "%s: a name that ckptfs uses itself", name);
	if (folder && file_ending(n))
		return err_set(e, -EINVAL, "%s: a folder may not have the name of a file", name);
	return check_path(d, dir, name, folder, e);
}

/* The folder INDEX, in which something may be changed. -ESTALE: it is none, or gone; -ENOMEM; as draft_check_open. */
static int need_dir(struct draft *d, uint32_t index, struct draft_item **out, struct err *e)
{
	int r = overlay_need(d, index, out);

	if (r == -ENOMEM)
		return err_set(e, r, "no memory");
	if (r < 0 || (*out)->what != DRAFT_DIR || (*out)->gone)
		return -ESTALE;
	return draft_check_open(d, e);
}

/* NAME in DIR; NULL: there is none. -ENOMEM. */
static int need_named(struct draft *d, struct draft_item *dir, const char *name,
		      struct draft_item **out, struct err *e)
{
	int r = overlay_need_named(d, dir, name, out);

	if (r == -ENOENT)
		*out = NULL;
	return r == -ENOMEM ? err_set(e, r, "no memory") : 0;
}

/* --- making and removing ----------------------------------------------------------------------------------- */

/* Whether a file or FOLDER may be made as NAME in PARENT. */
static int check_new(struct draft *d, struct draft_item *parent, const char *name, bool folder,
		     struct err *e)
{
	struct draft_glance g;
	int r = check_name(d, parent, name, folder, e);

	return r == 0 && draft_find(d, parent, name, &g) ? -EEXIST : r;
}

static int make_folder(struct draft *d, struct draft_item *i, struct err *e)
{
	CLEANUP(closep) int fd = disk_folder(d, i, true, e);

	if (fd < 0)
		disk_remove_folder(d, i, NULL); /* it may be there, and not opened */
	i->on_disk = fd >= 0;
	return fd < 0 ? fd : 0;
}

/* A new file of OWNER; NULL: a folder. */
static int make_item(struct draft *d, struct draft_item *parent, const char *name,
		     const struct draft_owner *owner, struct draft_item **out, struct err *e)
{
	struct draft_item *i =
		items_add(d, parent, name, strlen(name), owner ? DRAFT_STAGED : DRAFT_DIR, 0);
	int r;

	if (!i)
		return err_set(e, -ENOMEM, "no memory");
	r = !owner                      ? make_folder(d, i, e)
	    : items_stage(i, owner) < 0 ? err_set(e, -ENOMEM, "no memory")
					: 0;
	if (r < 0) {
		items_remove(d, i);
		return r;
	}
	i->refs++;
	items_entered(parent);
	items_changed(d);
	*out = i;
	return 0;
}

static int make(struct draft *d, uint32_t dir, const char *name, const struct draft_owner *owner,
		bool open, struct draft_item **out, struct err *e)
{
	struct draft_item *parent;
	int r = draft_lock_to_change_in(d, dir, dir);

	if (r == 0)
		r = need_dir(d, dir, &parent, e);
	if (r == 0)
		r = check_new(d, parent, name, !owner, e);
	if (r == 0)
		r = make_item(d, parent, name, owner, out, e);
	if (r == 0 && open)
		draft_count_open(d, *out, true);
	overlay_let_go(d, dir);
	pthread_mutex_unlock(&d->lock);
	return r;
}

int draft_create(struct draft *d, uint32_t dir, const char *name, const struct draft_owner *owner,
		 bool open, struct draft_item **out, struct err *e)
{
	return make(d, dir, name, owner, open, out, e);
}

int draft_mkdir(struct draft *d, uint32_t dir, const char *name, struct draft_item **out,
		struct err *e)
{
	return make(d, dir, name, NULL, false, out, e);
}

/* I, of a new step, is removed or renamed: what is made in its place need not be like it (commit/meta.h). */
static void note_removed(struct draft *d, const struct draft_item *i)
{
	CLEANUP(buf_release) struct buf path = {0};

	if (!d->has_base && draft_is_variable(i) && draft_path(i, &path) == 0 &&
	    buf_add_byte(&path, 0) == 0)
		buf_add(&d->removed, path.p, path.n);
}

/* Takes I away from disk and tree. */
static int remove_item(struct draft *d, struct draft_item *i, struct err *e)
{
	bool on_disk, referring = i->what == DRAFT_STAGED && i->staged->ref_pin != DRAFT_NONE;
	int r = i->under ? disk_mark_gone(d, i, e) : 0;

	/* Who has it open goes on with what was copied so far. That must not keep it from being removed. */
	if (r == 0 && i->opens && referring)
		draft_copy_referred(d, i, NULL);
	on_disk = i->on_disk;

	/* A link in whose place a file would come that is not there yet. */
	if (i->what == DRAFT_STAGED && !on_disk && !i->gone) {
		CLEANUP(closep) int dir = disk_folder(d, i->parent, false, NULL);
		struct stat st;

		on_disk = dir >= 0 && fstatat(dir, i->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	}
	if (r == 0 && i->what == DRAFT_DIR) {
		r = disk_remove_folder(d, i, e);
	} else if (r == 0 && on_disk) {
		r = draft_keep_bytes(d, i, e);
		if (r == 0)
			r = disk_remove(d, i, e);
		if (r == -ENOENT && i->parent->links == LINKS_SOME) /* it is none of those links */
			r = 0;
	}
	if (r < 0)
		return r;
	note_removed(d, i);
	items_entered(i->parent);
	items_remove(d, i);
	items_changed(d);
	return 0;
}

static int remove_named(struct draft *d, uint32_t dir, const char *name, bool folder, struct err *e)
{
	struct draft_item *parent, *i = NULL;
	uint32_t index;
	int r = draft_lock_to_change_in(d, dir, dir);
	if (r == 0)
		r = need_dir(d, dir, &parent, e);
	if (r == 0)
		r = need_named(d, parent, name, &i, e);
	index = i ? i->index : dir;
	if (r == 0 && !i)
		r = -ENOENT;
	else if (r == 0 && (i->what == DRAFT_DIR) != folder)
		r = folder ? -ENOTDIR : -EISDIR;
	else if (r == 0)
		r = draft_is_empty(d, i) ? remove_item(d, i, e) : -ENOTEMPTY;
	overlay_let_go(d, index);
	overlay_let_go(d, dir);
	pthread_mutex_unlock(&d->lock);
	return r;
}

int draft_unlink(struct draft *d, uint32_t dir, const char *name, struct err *e)
{
	return remove_named(d, dir, name, false, e);
}

int draft_rmdir(struct draft *d, uint32_t dir, const char *name, struct err *e)
{
	return remove_named(d, dir, name, true, e);
}

/* --- renaming ---------------------------------------------------------------------------------------------- */

/* Spells out on disk what I is, so that it can be moved (rule 2 of draft.h). */
static int spell_out(struct draft *d, struct draft_item *i, struct err *e)
{
	if (i->what == DRAFT_DIR) {
		CLEANUP(closep) int fd = disk_folder(d, i, true, e);

		return fd < 0 ? fd : 0;
	}
	if (i->what == DRAFT_STAGED) {
		int r = draft_copy_referred(d, i, e);

		if (r < 0 || i->on_disk)
			return r;
		r = draft_item_open(d, i, e);
		if (r == 0 && !i->opens)
			closep(&i->staged->fd);
		return r;
	}
	if (i->on_disk && i->parent->links != LINKS_SOME)
		return 0;
	int r = disk_place_link(d, i, e);

	i->on_disk = r == 0;
	return r;
}

static void set_links(struct draft_item *root, enum draft_links links)
{
	for (struct draft_item *i = root; i; i = items_next(root, i))
		if (i->base_dir != DRAFT_NONE)
			i->links = links;
}

/* The same for the folder ROOT of the base with all that is in it. */
static int spell_out_folder(struct draft *d, struct draft_item *root, struct err *e)
{
	struct draft_walk w = {.below = root};
	struct draft_item *i;
	int r = 0, walked;

	while (r == 0 && (i = draft_walk(d, &w)))
		r = spell_out(d, i, e);
	walked = draft_walk_end(&w);
	if (r == 0 && walked < 0)
		r = err_set(e, walked, "no memory");
	set_links(root, r == 0 ? LINKS_ALL : LINKS_SOME);
	return r;
}

static int spell_out_all(struct draft *d, struct draft_item *root, struct err *e)
{
	int r = spell_out(d, root, e);

	if (r == 0 && root->what == DRAFT_DIR && root->under)
		r = spell_out_folder(d, root, e);
	return r == 0 && root->under ? disk_mark_gone(d, root, e) : r;
}

/* Of ROOT and what is below it nothing is in the place that it has in the base, or had in a commit. */
static void forget_place(struct draft_item *root)
{
	for (struct draft_item *i = root; i; i = items_next(root, i)) {
		i->under = false;
		i->committed = false;
		if (i->what == DRAFT_DIR)
			i->on_disk = true;
		if (i->staged) {
			i->staged->refusal.code = 0;
			i->staged->committed = 0;
		}
	}
}

/* Would all variables in the folder ROOT be seen, if that were TO in TO_DIR? */
static int check_below(const struct draft *d, struct draft_item *root,
		       const struct draft_item *to_dir, const char *to, struct err *e)
{
	CLEANUP(buf_release) struct buf old = {0}, path = {0};
	bool is_limited = d->seen.var_list || d->seen.collection;
	struct draft_walk w = {.below = root};
	struct draft_item *i;
	size_t prefix, start;
	int r = draft_path(root, &old), walked;

	prefix = old.n;
	if (r == 0 && to_dir->parent)
		r = draft_path(to_dir, &path);
	if (r == 0)
		r = buf_printf(&path, "%s%s", path.n ? "/" : "", to);
	start = path.n;
	while (r == 0 && is_limited && (i = draft_walk(d, &w))) {
		old.n = 0;
		path.n = start;
		if (!draft_is_variable(i))
			continue;
		r = draft_path(i, &old);
		if (r == 0)
			r = buf_add(&path, old.p + prefix, old.n - prefix);
		if (r == 0)
			r = check_stem(d, bytes_of(path.p, path.n - strlen(VAR_ENDING)), e);
	}
	walked = draft_walk_end(&w);
	r = r < 0 ? r : walked;
	return r == -ENOMEM ? err_set(e, r, "no memory") : r;
}

/* May I get the name TO in TO_DIR? -EINVAL: no such thing has that name; -EPERM: it would be hidden. */
static int check_new_name(const struct draft *d, struct draft_item *i,
			  const struct draft_item *to_dir, const char *to, struct err *e)
{
	enum text_kind kind = to_dir->parent ? N_TEXTS : text_kind_of(to);
	int r = check_name(d, to_dir, to, i->what == DRAFT_DIR, e);

	if (r == 0 && i->what == DRAFT_DIR)
		r = check_below(d, i, to_dir, to, e);
	if (r < 0)
		return r;
	if (i->what == DRAFT_VAR && kind < N_TEXTS)
		return err_set(e, -EINVAL, "%s: a variable can't be a text of the step", to);
	if (i->what == DRAFT_TEXT && (bytes_ends(bytes_str(to), bytes_str(VAR_ENDING)) ||
				      (kind < N_TEXTS && kind != i->number)))
		return err_set(e, -EINVAL, "%s: %s can't have this name", to, text_name(i->number));
	return 0;
}

static bool is_in(const struct draft_item *i, const struct draft_item *root)
{
	while (i && i != root)
		i = i->parent;
	return i;
}

/* What FROM would be in place of TO, which may be NULL. */
static int check_target(const struct draft *d, const struct draft_item *from, struct draft_item *to,
			struct err *e)
{
	bool folder = from->what == DRAFT_DIR;

	if (!to)
		return 0;
	if (folder != (to->what == DRAFT_DIR))
		return folder ? -ENOTDIR : -EISDIR;
	if (folder && !draft_is_empty(d, to))
		return -ENOTEMPTY;
	return from->what == DRAFT_VAR
		       ? staged_fits(d, draft_var(d, from), d->pins[from->pin].step, to, e)
		       : 0;
}

/* What takes the place of a variable has to be like it. */
static void inherit(struct draft_item *i, const struct draft_item *from)
{
	if (from->what == DRAFT_VAR) {
		i->expect_pin = from->pin;
		i->expect_var = from->number;
	} else if (from->expect_var != DRAFT_NONE) {
		i->expect_pin = from->expect_pin;
		i->expect_var = from->expect_var;
	}
}

static int move_item(struct draft *d, struct draft_item *i, struct draft_item *to_dir,
		     const char *to, struct draft_item *target, struct err *e)
{
	CLEANUP(freep) char *name = strdup(to);
	bool under = target && target->under;
	int r = name ? spell_out_all(d, i, e) : err_set(e, -ENOMEM, "no memory");

	/* An empty folder: without the marks in it, it is one on disk too, in whose place another can be moved. */
	if (r == 0 && target && target->what == DRAFT_DIR) {
		r = under ? disk_mark_gone(d, target, e) : 0;
		if (r == 0)
			r = disk_remove_marks(d, target, e);
		under = false;
	}
	if (r == 0 && target)
		r = draft_keep_bytes(d, target, e);
	if (r == 0)
		r = disk_move(d, i, to_dir, to, e);
	if (r < 0)
		return r;
	note_removed(d, i);
	if (target) {
		inherit(i, target);
		items_remove(d, target);
	}
	forget_place(i);
	i->under = under;
	items_entered(i->parent);
	items_entered(to_dir);
	items_move(d, i, to_dir, TAKE(name, NULL));
	items_changed(d);
	return 0;
}

static int exchange(struct draft *d, struct draft_item *a, struct draft_item *b, struct err *e)
{
	CLEANUP(freep) char *to_a = strdup(b->name);
	CLEANUP(freep) char *to_b = strdup(a->name);
	struct draft_item *dir = b->parent;
	int r = to_a && to_b ? spell_out_all(d, a, e) : err_set(e, -ENOMEM, "no memory");

	if (r == 0)
		r = spell_out_all(d, b, e);
	if (r == 0)
		r = disk_exchange(d, a, b, e);
	if (r < 0)
		return r;
	forget_place(a);
	forget_place(b);
	items_entered(a->parent);
	items_entered(b->parent);
	items_move(d, b, a->parent, TAKE(to_b, NULL));
	items_move(d, a, dir, TAKE(to_a, NULL));
	items_changed(d);
	return 0;
}

/* I, which is FROM in FROM_DIR, to the place of TARGET, which is TO in TO_DIR; they may be NULL. */
static int rename_item(struct draft *d, struct draft_item *from_dir, const char *from,
		       struct draft_item *i, struct draft_item *to_dir, const char *to,
		       struct draft_item *target, unsigned flags, struct err *e)
{
	int r;

	if (!i || (flags & RENAME_EXCHANGE && !target))
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && target)
		return -EEXIST;
	if (i == target)
		return 0;
	if ((i->what == DRAFT_DIR || (target && target->what == DRAFT_DIR)) &&
	    lacks_at(d->top) & LACKS_FOLDERS)
		return -EXDEV; /* mv then copies */
	if (is_in(to_dir, i) || (flags & RENAME_EXCHANGE && is_in(from_dir, target)))
		return -EINVAL;
	r = check_new_name(d, i, to_dir, to, e);
	if (r == 0 && flags & RENAME_EXCHANGE) {
		r = check_new_name(d, target, from_dir, from, e);
		return r == 0 ? exchange(d, i, target, e) : r;
	}
	if (r == 0)
		r = check_target(d, i, target, e);
	return r == 0 ? move_item(d, i, to_dir, to, target, e) : r;
}

static int rename_locked(struct draft *d, uint32_t from_dir, const char *from, uint32_t to_dir,
			 const char *to, unsigned flags, struct err *e)
{
	struct draft_item *a, *b, *i = NULL, *target = NULL;
	uint32_t index, over;
	int r = need_dir(d, from_dir, &a, e);

	if (r == 0)
		r = need_dir(d, to_dir, &b, e);
	if (r == 0)
		r = need_named(d, a, from, &i, e);
	if (r == 0)
		r = need_named(d, b, to, &target, e);
	index = i ? i->index : from_dir;
	over = target ? target->index : to_dir;
	if (r == 0)
		r = rename_item(d, a, from, i, b, to, target, flags, e);
	if (r == 0)
		staged_look(d, i);
	overlay_let_go(d, index);
	overlay_let_go(d, over);
	overlay_let_go(d, from_dir);
	overlay_let_go(d, to_dir);
	return r;
}

int draft_rename(struct draft *d, uint32_t from_dir, const char *from, uint32_t to_dir,
		 const char *to, unsigned flags, struct err *e)
{
	int r;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = draft_lock_to_change_in(d, from_dir, to_dir);
	if (r == 0)
		r = rename_locked(d, from_dir, from, to_dir, to, flags, e);
	pthread_mutex_unlock(&d->lock);
	return r;
}
