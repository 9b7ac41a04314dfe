#include "view/drafts_end.h"
#include "base/cleanup.h"
#include "base/lacks.h"
#include "directory/drafts_list.h"
#include "directory/export.h"
#include "directory/family.h"
#include "directory/rotation.h"
#include "directory/step_files.h"
#include "step/attr.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/open.h"
#include "view/recovery.h"
#include "view/snapshot.h"
#include "view/status.h"
#include "view/steps.h"
#include <fcntl.h>

/* --- what the kernel must forget ----------------------------------------------------------------------------- */

/* What the kernel must forget when the draft has ended. The calls are made with the draft's lock held. */
struct ending {
	struct view *view;
	struct node *node;
	struct buf changes; /* struct view_change */
	struct buf
		moved; /* struct number: the folders of the base that were moved, without the number */
};

static void ending_release(struct ending *ending)
{
	buf_release(&ending->changes);
	buf_release(&ending->moved);
}

static void note_change(void *arg, uint32_t index, const char *name, bool moved)
{
	struct ending *ending = arg;
	struct number is = {.index = index};

	view_add_change(&ending->changes, node_id(ending->node, index), name);
	if (moved)
		buf_add(&ending->moved, &is, sizeof is);
}

static void note_changes(void *arg, struct draft *d)
{
	struct ending *ending = arg;

	in_draft_number_orphans(ending->view, ending->node, d);
	draft_list_differences(d, note_change, ending);
}

/* A folder that was moved in D has the number of the base's folder. D does not show it any more, and the number would
 * lead to the old place again. So the base's folder gets another one: what is still asked with the first, by the new
 * path, is looked up again. */
static void number_moved_folders(void *arg, struct draft *d)
{
	struct ending *ending = arg;
	struct number *numbers = (struct number *)ending->moved.p;
	size_t count = 0;

	while (count < ending->moved.n / sizeof *numbers &&
	       (numbers[count].number = draft_new_number(d)) != 0)
		count++;
	HOLD(&ending->view->lock);
	node_add_numbers(ending->node, numbers, count);
}

/* The kernel may have pages of the files in CHANGES, as they were in the draft. It is told to forget them, but from
 * another thread, a little later; so it is also told not to keep them when the file is next opened. */
static void drop_pages(const struct node *n, const struct draft *d, const struct buf *changes)
{
	const struct view_change *c = (const struct view_change *)changes->p;
	struct loaded *base = in_draft_base(d);

	for (size_t k = 0; base && k < changes->n / sizeof *c; k++) {
		uint32_t file = node_index(n, c[k].id) - TREE_FIRST;

		if (!*c[k].name && file < base->tree.n_files)
			atomic_store(&base->opened[file], 0);
	}
}

/* --- a step whose name another has ----------------------------------------------------------------------------- */

/* The step of a SavedModel was replaced while N had the draft D. Called when that has ended, before it is let go. COMMITTED:
 * what is there now is what D held; then what the kernel has of it is right. */
static void follow_export(struct view *v, struct node *n, struct draft *d, bool committed,
			  struct buf *changes)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	struct loaded *base = in_draft_base(d);
	struct file_id id;
	struct stat st;
	bool same;

	if (!base || strcmp(n->place->name, EXPORT_STEP) != 0 || fd < 0 ||
	    fstatat(fd, n->place->file, &st, 0) < 0)
		return;
	id = file_id_of(&st);
	pthread_mutex_lock(&v->lock);
	same = file_id_eq(&id, &n->id);
	pthread_mutex_unlock(&v->lock);
	if (same)
		return;
	if (committed && steps_follow(v, n, base)) {
		view_add_change(changes, node_id(n, STATUS_WHOLE_INDEX), NULL);
		return;
	}
	steps_detach(v, n);
	view_add_change(changes, node_id(n->parent, NODE_ROOT_ID), EXPORT_STEP);
}

/* --- one draft --------------------------------------------------------------------------------------------- */

int view_draft_discard(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		       struct err *e)
{
	CLEANUP(ending_release) struct ending ending = {.view = v, .node = n};
	const struct draft_watch watch = {note_changes, number_moved_folders, &ending};
	int r = draft_end(d, &watch, e);

	if (r == 0)
		view_draft_await(v, n, d);
	if (r <= 0)
		return r;
	drop_pages(n, d, &ending.changes);
	follow_export(v, n, d, false, &ending.changes);
	view_draft_leave(v, n, d);
	if (changes)
		buf_add(changes, ending.changes.p, ending.changes.n);
	return 0;
}

/* --- a new step is saved ------------------------------------------------------------------------------------- */

/* N, a new step, stands for the step that is on disk now; but not if that had to get another name than NAME. */
static bool stands_for_saved(struct view *v, struct node *n, const char *name)
{
	const struct step_place v1 = {n->place->name, n->place->name, STEP_V1, 0};
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	struct file_id meta = {0};
	struct stat st;
	bool same = name && !strcmp(name, n->place->name) && fd >= 0, saved, is_v1;

	saved = same && fstatat(fd, n->place->file, &st, 0) == 0;
	is_v1 = same && !saved && fstatat(fd, v1.file, &st, 0) == 0;
	if (saved || is_v1)
		meta = folder_meta_id(v, fd, n->place);
	HOLD(&v->lock);
	if (saved || (is_v1 && node_rename(&v->nodes, n, &v1) == 0)) {
		saved = true;
		n->id = file_id_of(&st);
		n->meta = meta;
		n->unborn = false;
	} else {
		node_detach(&v->nodes, n);
	}
	return saved;
}

/* From what is in the draft to what it is in the saved step. */
struct mapping {
	struct node *node;
	const struct loaded *step;
	struct buf numbers; /* struct number */
	struct buf changes;
	int failed;
};

/* What the step does not have is gone. */
static uint32_t map_item(void *arg, uint32_t within, uint32_t dir, uint32_t index, const char *name)
{
	struct mapping *m = arg;
	struct number is = {.number = index};

	if (m->failed)
		return 0;
	is.index = in_step_find(m->step, within, name);
	if (!is.index)
		m->failed = view_add_change(&m->changes, node_id(m->node, dir), name);
	else if ((m->failed = buf_add(&m->numbers, &is, sizeof is)) == 0)
		m->failed = view_add_change(&m->changes, node_id(m->node, index), NULL);
	return is.index;
}

/* For a new step: all that is in it keeps the numbers that the kernel has, and CHANGES becomes what the kernel must
 * forget. Called after the draft D of N was committed as NAME and has ended, before it is let go. */
static void keep_numbers(struct view *v, struct node *n, struct draft *d, const char *name,
			 struct buf *changes)
{
	struct mapping m = {.node = n};
	struct loaded *l;

	if (!n->unborn || !stands_for_saved(v, n, name) || steps_get(v, n, &l, NULL) < 0)
		return;
	m.step = l;
	draft_map(d, TREE_ROOT, map_item, &m);
	pthread_mutex_lock(&v->lock);
	if (!m.failed)
		m.failed = node_add_numbers(n, (struct number *)m.numbers.p,
					    m.numbers.n / sizeof(struct number));
	pthread_mutex_unlock(&v->lock);
	if (!m.failed) /* else the kernel forgets the names, and looks them up again */
		buf_swap(changes, &m.changes);
	buf_release(&m.numbers);
	buf_release(&m.changes);
	loaded_unref(l);
}

/* --- max_to_keep --------------------------------------------------------------------------------------------- */

struct rotating {
	struct view *v;
	struct node *folder;
	int top;
	struct buf *changes; /* or NULL */
};

/* Is the step NAME open, or has it a draft, also one that could not be taken up? Or is it not shown? */
static bool is_in_use(void *arg, const char *name)
{
	const struct rotating *t = arg;
	CLEANUP(buf_release) struct buf path = {0};
	const struct node *n;
	struct stat st;

	if ((t->v->family && !same_family(name, t->v->family)) ||
	    buf_add_str(&path, ".ckptfs/drafts/") < 0 || drafts_folder_name(name, &path) < 0 ||
	    fstatat(t->top, (char *)path.p, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return true;
	HOLD(&t->v->lock);
	n = node_find(&t->v->nodes, t->folder, NODE_STEP, name);
	return n && (n->draft || n->files);
}

/* The step at PLACE goes, if it is there, and from the state file. */
static int remove_rotated(const struct rotating *t, const struct step_place *place, struct err *e)
{
	const struct step_files files = {t->top, t->v->state_name, t->v->meta_suffix};
	CLEANUP(buf_release) struct buf shown = {0};
	struct node *n;
	int r = step_remove(&files, place, e);

	if (r < 0)
		return r;
	step_remove_end(&files);
	view_tell(t->v, "%s: removed, as max_to_keep says", place->name);
	pthread_mutex_lock(&t->v->lock);
	n = node_find(&t->v->nodes, t->folder, NODE_STEP, place->name);
	if (n)
		node_detach(&t->v->nodes, n);
	pthread_mutex_unlock(&t->v->lock);
	if (n && t->changes && name_from_entry(bytes_str(place->name), false, &shown) == 0 &&
	    buf_add_byte(&shown, 0) == 0)
		view_add_change(t->changes, node_id(t->folder, NODE_ROOT_ID), (char *)shown.p);
	return 0;
}

/* The step at PLACE stays for good, and is no longer listed. */
static int keep_rotated(const struct rotating *t, const struct step_place *place, struct err *e)
{
	int r = state_preserve(t->top, t->v->state_name, place, e);

	t->folder->kept += r == 0;
	return r;
}

/* Saver removes one step for each that it saves. One that is in use goes with a later commit. */
static int remove_oldest(const struct rotating *t, const char *latest, struct err *e)
{
	const struct view *v = t->v;
	struct rotation rotation = {v->state_name, latest,   v->max_to_keep, v->keep_seconds, 0,
				    is_in_use,     (void *)t};
	uint32_t due = t->folder->overdue + 1;
	int r = 1;

	for (; due && r > 0; due -= r > 0) {
		CLEANUP(step_place_release) struct step_place place = {0};

		rotation.next_kept = v->started + (t->folder->kept + 1) * v->keep_seconds;
		r = rotation_next(t->top, &rotation, &place, e);
		if (r == ROTATION_KEEP)
			r = keep_rotated(t, &place, e);
		else if (r == ROTATION_REMOVE)
			r = remove_rotated(t, &place, e);
		else
			break;
		r = r < 0 ? r : 1;
	}
	t->folder->overdue = due - (r == 0);
	return r == -EBUSY || r > 0 ? 0 : r;
}

/* LATEST was committed in FOLDER. If it is the latest in the state file, what is more than max_to_keep is removed. No draft
 * begins meanwhile; without hard links any that there is may need any step. */
static void rotate(struct view *v, struct node *folder, const char *latest, struct buf *changes)
{
	struct err e = {0};
	CLEANUP(closep) int top = folder_open(v, folder, &e);
	int r = top < 0 ? top : view_draft_lock_folder(v, folder, top, &e);

	if (r == 0) {
		pthread_mutex_lock(&v->committing);
		view_take_turn(v, &folder->drafting);
		if (folder->drafts && lacks_at(top) & LACKS_LINKS)
			folder->overdue++;
		else
			r = remove_oldest(&(struct rotating){v, folder, top, changes}, latest, &e);
		view_end_turn(v, &folder->drafting);
		pthread_mutex_unlock(&v->committing);
		view_draft_unlock_folder(v, folder, top);
	} else {
		HOLD(&v->committing);
		folder->overdue++;
	}
	if (folder_wrap(folder, r, &e) < 0)
		view_warn(v, &e);
}

/* --- commits ----------------------------------------------------------------------------------------------- */

enum { MAX_OTHERS = 64 };

/* The other steps of N's folder that are parsed, each with a reference. */
static size_t list_others(struct view *v, const struct node *n, int dirfd, struct commit_other *out)
{
	size_t count = 0;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && count < MAX_OTHERS; i++) {
		const struct node *other = v->nodes.slots[i];

		if (other && other != n && other->parent == n->parent && other->loaded &&
		    !other->detached)
			out[count++] = (struct commit_other){step_ref(other->loaded->step), dirfd};
	}
	return count;
}

/* How a draft is committed. */
struct how {
	bool goes_on; /* a draft over a base goes on as a whole */
	bool rotates; /* then max_to_keep is seen to */
	const struct step *over; /* as in commit_config */
};

/* What goes on has its files anyway: they need not be found in other steps. */
static int commit_beside_others(struct view *v, struct node *n, struct draft *d,
				const struct how *how, struct ending *ending,
				struct commit_done *done, struct err *e)
{
	CLEANUP(closep) int dirfd = folder_open_parent(v, n, NULL);
	const struct draft_watch watch = {note_changes, number_moved_folders, ending};
	struct commit_other others[MAX_OTHERS];
	struct snapshot_lister held = {v, n->parent, NULL};
	const struct commit_lister lister = {snapshot_list, &held};
	struct commit_config c = v->commit;
	int r;

	c.watch = &watch;
	c.lister = &lister;
	c.goes_on = how->goes_on;
	c.over = how->over;
	c.others = others;
	c.n_others = dirfd < 0 || how->goes_on ? 0 : list_others(v, n, dirfd, others);
	pthread_mutex_lock(&v->committing);
	r = commit(d, &c, done, e);
	if (done->rescue.name)
		rescued_steps_add(v, n, &done->rescue);
	pthread_mutex_unlock(&v->committing);
	snapshot_unref(held.snapshot);
	for (size_t i = 0; i < c.n_others; i++)
		step_unref(others[i].step);
	return r;
}

/* The new step, which differs in COUNT variables, goes into the log, and also what other objects had of what was removed. */
static void say_committed(struct view *v, const struct commit_done *done, uint32_t count)
{
	const char *name = (char *)done->name.p;
	struct err line;

	err_set(&line, 0, "%s: committed, changes: %u", name, count);
	view_tell(v, "%s", line.text);
	view_keep_line(v, line.text);
	if (!done->shared.text[0])
		return;
	err_set(&line, 0, "%s: %s", name, done->shared.text);
	view_warn(v, &line);
	view_keep_line(v, line.text);
}

/* What N was before has another name now, and that has its file: stat(2) must not show both as the same folder. */
static void take_new_ino(struct view *v, struct node *n)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	struct stat st;

	if (fd >= 0 && fstatat(fd, n->place->file, &st, 0) == 0)
		n->ino = attr_step_ino(&st);
}

/* What was committed has N's name now, or had it already. */
static bool is_in_place(const struct node *n, const struct commit_done *done)
{
	return done->result == COMMIT_SAME ||
	       (done->result == COMMIT_DONE && !strcmp((char *)done->name.p, n->place->name));
}

/* What there is to do in the view when N's draft D was committed. */
static void after_commit(struct view *v, struct node *n, struct draft *d, struct ending *ending,
			 const struct commit_done *done)
{
	drop_pages(n, d, &ending->changes);
	if (done->kept.n)
		take_new_ino(v, n);
	if (done->ended) {
		keep_numbers(v, n, d, (char *)done->name.p, &ending->changes);
		follow_export(v, n, d, is_in_place(n, done), &ending->changes);
		view_draft_leave(v, n, d);
	}
	if (done->result == COMMIT_DONE)
		steps_committed(v);
	if (done->result == COMMIT_EMPTY)
		view_tell(v, "%s: no variable was left, so no step was made", n->place->name);
	if (done->left_meta && done->ended)
		view_tell(v, "%s: what was written to %s is in no step, as nowrite_meta_graph says",
			  n->place->name, text_name(TEXT_META_GRAPH));
	if (done->kept.n)
		view_tell(v, "%s: what %s was before", (char *)done->kept.p, (char *)done->name.p);
}

/* As view_draft_commit, but E does not name the step. */
static int commit_draft(struct view *v, struct node *n, struct draft *d, struct how how,
			struct buf *changes, struct err *e)
{
	CLEANUP(ending_release) struct ending ending = {.view = v, .node = n};
	struct commit_done done = {.result = COMMIT_NOTHING};
	uint32_t count = draft_count(d);
	int r = commit_beside_others(v, n, d, &how, &ending, &done, e);

	if (done.result == COMMIT_LATE) {
		view_draft_await(v, n, d);
	} else if (done.ended || (done.result == COMMIT_DONE && r == 0)) {
		if (done.result == COMMIT_DONE && how.over)
			view_tell(v, "%s: what %s was before", (char *)done.name.p, n->place->name);
		else if (done.result == COMMIT_DONE)
			say_committed(v, &done, count);
		after_commit(v, n, d, &ending, &done);
		if (changes)
			buf_add(changes, ending.changes.p, ending.changes.n);
	}
	if (how.rotates && v->max_to_keep && v->commit.write_state && done.result == COMMIT_DONE &&
	    r == 0)
		rotate(v, n->parent, (char *)done.name.p, changes);
	buf_release(&done.name);
	buf_release(&done.kept);
	return r;
}

int view_draft_commit(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		      struct err *e)
{
	return folder_wrap(n, commit_draft(v, n, d, (struct how){.rotates = true}, changes, e), e);
}

int view_draft_commit_over(struct view *v, struct node *n, struct draft *d, const struct step *over,
			   struct buf *changes, struct err *e)
{
	return folder_wrap(n, commit_draft(v, n, d, (struct how){.over = over}, changes, e), e);
}

/* Commits the draft of N, if it has one. */
static int sync_step(struct view *v, struct node *n, const struct view_asker *who,
		     struct buf *changes, struct err *e)
{
	struct draft *d = view_draft_of(v, n);
	struct view_entry entry;
	int r = 0;

	if (d && who) {
		r = in_draft_entry(v, n, d, NODE_ROOT_ID, NULL, &entry, e);
		if (r == 0 && !who->may_write(who->arg, &entry.st))
			r = -EACCES;
		if (r < 0 && draft_has_ended(d)) /* somebody else has committed all of it */
			r = 0;
	}
	if (d && r == 0)
		r = view_draft_commit(v, n, d, changes, e);
	draft_unref(d);
	return r;
}

/* What was made and removed in the folder INDEX of N is on disk, as draft. */
static int sync_scope(struct view *v, struct node *n, uint32_t index, struct err *e)
{
	struct draft *d = view_draft_of(v, n);
	int r = d ? draft_sync_folder(d, index, e) : 0;

	draft_unref(d);
	return r;
}

static int sync_folder(struct view *v, const struct node *folder, const struct view_asker *who,
		       struct buf *changes, struct err *e)
{
	CLEANUP(buf_release) struct buf nodes = {0};
	int r = view_list_drafted(v, folder, &nodes);

	if (r < 0)
		err_set(e, r, "no memory");
	for (size_t i = 0; i < nodes.n / sizeof(struct node *); i++) {
		struct node *n = ((struct node **)nodes.p)[i];
		int own = sync_step(v, n, who, changes, r < 0 ? NULL : e);

		r = r < 0 ? r : own;
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	}
	return r;
}

int view_sync(struct view *v, uint64_t id, const struct view_asker *who, struct buf *changes,
	      struct err *e)
{
	struct node *n = view_node(v, id);

	if (!n)
		return -ESTALE;
	if (status_is(node_number(id)))
		return 0;
	if (n->kind == NODE_FOLDER)
		return sync_folder(v, n, who, changes, e);
	return node_index(n, id) == NODE_ROOT_ID ? sync_step(v, n, who, changes, e)
						 : sync_scope(v, n, node_index(n, id), e);
}

enum { LOOK_AGAIN_MS = 1000 }; /* while there are drafts */

int64_t view_commit_due(struct view *v, struct buf *changes)
{
	CLEANUP(buf_release) struct buf nodes = {0};
	int64_t next = -1;

	rescued_steps_restore(v, false);
	if (v->commit_ms >= 0 && view_list_drafted(v, NULL, &nodes) < 0)
		next = LOOK_AGAIN_MS; /* there may be more */
	for (size_t i = 0; i < nodes.n / sizeof(struct node *); i++) {
		struct node *n = ((struct node **)nodes.p)[i];
		struct draft *d = view_draft_of(v, n);
		struct err e = {0};
		int64_t wait = -1;

		if (d && draft_is_due(d, v->commit_ms, &wait)) {
			int r = commit_draft(v, n, d,
					     (struct how){.goes_on = true, .rotates = true},
					     changes, &e);

			if (folder_wrap(n, r, &e) < 0 && draft_is_news(d, &e))
				view_warn(v, &e);
			wait = v->commit_ms;
		}
		wait = wait < 0 || wait > LOOK_AGAIN_MS ? LOOK_AGAIN_MS : wait;
		next = next < 0 || wait < next ? wait : next;
		draft_unref(d);
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	}
	return next;
}

void view_commit_all(struct view *v)
{
	CLEANUP(buf_release) struct buf nodes = {0};
	struct err why;

	rescued_steps_restore(v, true);
	if (view_list_drafted(v, NULL, &nodes) < 0) {
		err_set(&why, -ENOMEM, "no memory to commit all drafts; some may stay");
		view_warn(v, &why);
	}
	for (size_t i = 0; i < nodes.n / sizeof(struct node *); i++) {
		struct node *n = ((struct node **)nodes.p)[i];
		struct draft *d = view_draft_of(v, n);
		struct err e = {0};
		int r;

		if (d && (r = commit_draft(v, n, d, (struct how){.rotates = true}, NULL, &e)) < 0) {
			draft_leave_why(d, &e);
			folder_wrap(n, r, &e);
			view_warn(v, &e);
		} else if (d && draft_is_rest(d)) { /* it is what was committed */
			view_draft_discard(v, n, d, NULL, NULL);
		}
		draft_unref(d);
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	}
}
