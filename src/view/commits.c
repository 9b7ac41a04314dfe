#include "view/commits.h"
#include "base/cleanup.h"
#include "commit/recover.h"
#include "directory/drafts_list.h"
#include "draft/items.h"
#include "view/born.h"
#include "view/draft_view.h"
#include "view/folder.h"
#include "view/kept_steps.h"
#include "view/open.h"
#include "view/step_folder.h"
#include "view/steps.h"
#include <fcntl.h>
#include <stdio.h>

/* --- one draft --------------------------------------------------------------------------------------------- */

int commits_end(struct view *v, struct node *n, struct draft *d, struct buf *changes, struct err *e)
{
	CLEANUP(buf_release) struct buf own = {0};
	bool ended, ours;
	int r = 0;

	pthread_mutex_lock(&d->lock);
	ours = !d->ended;
	if (ours) {
		open_number_orphans(v, n, d);
		draft_changes(n, d, &own);
		r = draft_discard(d, e);
	}
	ended = d->ended;
	pthread_mutex_unlock(&d->lock);
	if (!ended)
		return r;
	if (!ours) {
		draft_await(v, n, d);
		return 0;
	}
	draft_drop_pages(n, d, &own);
	draft_leave(v, n, d);
	if (changes)
		buf_add(changes, own.p, own.n);
	return r;
}

/* --- commits ----------------------------------------------------------------------------------------------- */

static void tell(struct view *v, const char *fmt, const char *a, const char *b)
{
	struct err text;

	err_set(&text, 0, fmt, a, b);
	if (v->tell)
		v->tell(v->warn_arg, text.text);
}

enum { MAX_OTHERS = 64 };

/* The steps of N's folder that somebody has looked into, each with a reference. */
static size_t list_others(struct view *v, const struct node *n, int dirfd, struct commit_other *out)
{
	size_t count = 0;

	pthread_mutex_lock(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && count < MAX_OTHERS; i++) {
		const struct node *other = v->nodes.slots[i];

		if (other && other != n && other->parent == n->parent && other->loaded &&
		    !other->detached)
			out[count++] = (struct commit_other){step_ref(other->loaded->step), dirfd};
	}
	pthread_mutex_unlock(&v->lock);
	return count;
}

/* What the kernel must forget when the draft has ended. */
struct ending {
	struct view *view;
	struct node *node;
	struct buf changes;
};

static void note_changes(void *arg, struct draft *d)
{
	struct ending *ending = arg;

	open_number_orphans(ending->view, ending->node, d);
	draft_changes(ending->node, d, &ending->changes);
}

static int commit_beside_others(struct view *v, struct node *n, struct draft *d,
				struct ending *ending, struct commit_done *done, struct err *e)
{
	CLEANUP(closep) int dirfd = folder_open_parent(v, n, NULL);
	struct commit_other others[MAX_OTHERS];
	struct commit_config c = v->commit;
	int r;

	c.ending = note_changes;
	c.arg = ending;
	c.others = others;
	c.n_others = dirfd < 0 ? 0 : list_others(v, n, dirfd, others);
	pthread_mutex_lock(&v->committing);
	r = commit(d, &c, done, e);
	pthread_mutex_unlock(&v->committing);
	for (size_t i = 0; i < c.n_others; i++)
		step_unref(others[i].step);
	return r;
}

/* The view is told what a commit of N's draft D has done. */
static void settle_commit(struct view *v, struct node *n, struct draft *d, struct ending *ending,
			  const struct commit_done *done, uint32_t count)
{
	char changed[32];

	draft_drop_pages(n, d, &ending->changes);
	if (done->ended) {
		born_settle(v, n, d, (char *)done->name.p, &ending->changes);
		draft_leave(v, n, d);
	}
	if (done->result != COMMIT_DONE)
		return;
	snprintf(changed, sizeof changed, "%u", count);
	tell(v, "%s: committed, changes: %s", (char *)done->name.p, changed);
}

int commits_node(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		 struct err *e)
{
	struct ending ending = {.view = v, .node = n};
	struct commit_done done = {.result = COMMIT_NOTHING};
	uint32_t count = draft_count(d);
	int r = commit_beside_others(v, n, d, &ending, &done, e);

	if (done.rescue.name)
		kept_steps_add(v, n, &done.rescue);
	if (r < 0)
		folder_wrap(n->parent, err_wrap(e, r, "%s", n->place->name), e);
	if (done.result == COMMIT_LATE) {
		draft_await(v, n, d);
	} else if (done.ended || (done.result == COMMIT_DONE && r == 0)) {
		settle_commit(v, n, d, &ending, &done, count);
		if (changes)
			buf_add(changes, ending.changes.p, ending.changes.n);
	}
	buf_release(&ending.changes);
	buf_release(&done.name);
	return r;
}

/* What is left of N's draft after its commit, for files that are still open, is what was committed. */
static void end_rest(struct view *v, struct node *n, struct draft *d)
{
	bool rest;

	pthread_mutex_lock(&d->lock);
	rest = !d->ended && d->writers && !d->failure.code;
	pthread_mutex_unlock(&d->lock);
	if (rest)
		commits_end(v, n, d, NULL, NULL);
}

/* Commits the draft of N, if it has one. */
static int sync_step(struct view *v, struct node *n, const struct view_asker *who,
		     struct buf *changes, struct err *e)
{
	struct draft *d = draft_of(v, n);
	struct view_entry entry;
	int r = 0;

	if (d && who) {
		r = draft_getattr(v, n, d, NODE_ROOT_ID, &entry, e);
		if (r == 0 && !who->may_write(who->arg, &entry.st))
			r = -EACCES;
		if (r < 0 && d->ended) /* by somebody else, so all is in a commit */
			r = 0;
	}
	if (d && r == 0)
		r = commits_node(v, n, d, changes, e);
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
	return n->kind == NODE_FOLDER ? sync_folder(v, n, who, changes, e)
				      : sync_step(v, n, who, changes, e);
}

enum { LOOK_AGAIN_MS = 1000 }; /* for drafts that wait for a change */

int64_t view_commit_due(struct view *v, struct buf *changes)
{
	CLEANUP(buf_release) struct buf nodes = {0};
	int64_t next = -1;

	kept_steps_restore(v, false);
	if (v->commit_ms >= 0 && view_list_drafted(v, NULL, &nodes) < 0)
		next = LOOK_AGAIN_MS; /* there may be more */
	for (size_t i = 0; i < nodes.n / sizeof(struct node *); i++) {
		struct node *n = ((struct node **)nodes.p)[i];
		struct draft *d = draft_of(v, n);
		struct err e = {0};
		int64_t wait = -1;

		if (d && draft_is_due(d, v->commit_ms, &wait)) {
			if (commits_node(v, n, d, changes, &e) < 0 && v->warn &&
			    draft_is_news(d, &e))
				v->warn(v->warn_arg, &e);
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

	kept_steps_restore(v, true);
	if (view_list_drafted(v, NULL, &nodes) < 0 && v->warn) {
		err_set(&why, -ENOMEM, "no memory to commit all drafts; some may stay");
		v->warn(v->warn_arg, &why);
	}
	for (size_t i = 0; i < nodes.n / sizeof(struct node *); i++) {
		struct node *n = ((struct node **)nodes.p)[i];
		struct draft *d = draft_of(v, n);
		struct err e = {0};

		if (d && commits_node(v, n, d, NULL, &e) < 0 && v->warn)
			v->warn(v->warn_arg, &e);
		else if (d)
			end_rest(v, n, d);
		draft_unref(d);
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	}
}

/* --- what an earlier process has left ---------------------------------------------------------------------- */

struct recovering {
	struct view *v;
	struct draft **drafts;
	size_t n;
};

/* D could not be taken up, for R: nothing is lost, but it is not shown. */
static void waits(struct view *v, const struct draft *d, int r)
{
	tell(v, "%s: its draft can't be taken up, and stays as it is until the next mount: %s",
	     d->name, strerror(-r));
}

static void found(void *arg, struct draft *d)
{
	struct recovering *r = arg;
	struct draft **more = realloc(r->drafts, (r->n + 1) * sizeof(*more));

	if (!more) {
		waits(r->v, d, -ENOMEM);
		draft_unref(d);
		return;
	}
	r->drafts = more;
	r->drafts[r->n++] = d;
}

static void say(void *arg, const char *text)
{
	struct recovering *r = arg;

	if (r->v->tell)
		r->v->tell(r->v->warn_arg, text);
}

/* N, which was made for the draft D, stands for the step that D is over. BASE gets that, parsed. */
static int attach_base(struct view *v, struct node *folder, struct node *n, const struct draft *d,
		       struct loaded **base)
{
	struct pin *p = &d->pins[0];
	CLEANUP(closep) int dir = draft_pin_dir(d, p, NULL);
	CLEANUP(closep) int fd = folder_open(v, folder, NULL);
	struct file_id meta = {0};
	int r;

	if (dir < 0)
		return dir;
	if (fd >= 0)
		meta = folder_meta_id(v, fd, &p->step->place);
	pthread_mutex_lock(&v->lock);
	r = node_rename(&v->nodes, n, &p->step->place);
	n->unborn = false;
	n->id = p->step->id;
	n->meta = meta;
	pthread_mutex_unlock(&v->lock);
	return r < 0 ? r : steps_adopt(v, n, p->step, dir, base, NULL);
}

/* Gives the draft its node. */
static void attach(struct view *v, struct node *folder, struct draft *d)
{
	struct loaded *base = NULL;
	struct node *n = step_folder_node(v, folder, d->name);
	int r = n ? 0 : -ENOMEM;

	if (r == 0 && d->has_base)
		r = attach_base(v, folder, n, d, &base);
	if (r < 0) {
		waits(v, d, r);
		if (n)
			steps_detach(v, n);
	} else {
		pthread_mutex_lock(&v->loading);
		draft_attach(v, n, d, base);
		pthread_mutex_unlock(&v->loading);
	}
	if (n)
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
}

void view_recover(struct view *v, struct node *folder)
{
	struct err e = {0};
	CLEANUP(closep) int top = folder_open(v, folder, &e);
	struct recovering r = {.v = v};
	const struct recovery rec = {found, say, &r};
	const struct draft_config c = {.top = top,
				       .name = "",
				       .meta = v->meta_suffix,
				       .mode = v->verify,
				       .first_dynamic = DRAFT_DYNAMIC};
	uint32_t waiting = top < 0 ? 0 : drafts_count(top);
	struct stat st;
	char text[64];
	bool locked;

	if (top >= 0 && fstatat(top, ".ckptfs", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return;
		err_sys(&e, -errno, ".ckptfs");
	}
	if (e.code && v->warn)
		v->warn(v->warn_arg, &e);
	if (e.code)
		return;
	if (!v->writable) {
		if (!waiting)
			return;
		snprintf(text, sizeof text, "%u", waiting);
		tell(v, "%s drafts wait in .ckptfs for a mount that may write%s", text, "");
		return;
	}
	/* Without a draft there can still be the rest of one, or a lock that is no one's. */
	locked = draft_lock_folder(v, folder, top, &e) == 0;
	if (!locked || recover(&c, &v->commit, &rec, &e) < 0)
		v->warn(v->warn_arg, &e);
	for (size_t i = 0; i < r.n; i++) {
		attach(v, folder, r.drafts[i]);
		draft_unref(r.drafts[i]);
	}
	free(r.drafts);
	if (locked)
		draft_unlock_folder(v, folder, top);
}
