#include "view/recovery.h"
#include "base/cleanup.h"
#include "commit/recover.h"
#include "directory/drafts_list.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/steps.h"
#include <fcntl.h>
#include <sys/resource.h>

struct recovering {
	struct view *v;
	struct draft **drafts;
	size_t n;
};

/* D can't be taken up, R says why: it stays on disk, but is not shown. */
static void waits(struct view *v, const struct draft *d, int r)
{
	view_tell(v, "%s: its draft can't be taken up, and stays as it is until the next mount: %s",
		  draft_name(d), strerror(-r));
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

static void tell_of(void *arg, const char *text)
{
	const struct recovering *r = arg;

	view_tell(r->v, "%s", text);
}

/* N, the node of the draft D, gets the step that D is over. BASE gets it, too, parsed. */
static int attach_base(struct view *v, struct node *folder, struct node *n, struct draft *d,
		       struct loaded **base)
{
	struct step *s = draft_base_step(d);
	CLEANUP(closep) int dir = draft_open_pin(d, 0, NULL);
	CLEANUP(closep) int fd = folder_open(v, folder, NULL);
	struct file_id meta = {0};
	int r;

	if (dir < 0)
		return dir;
	if (fd >= 0)
		meta = folder_meta_id(v, fd, &s->place);
	pthread_mutex_lock(&v->lock);
	r = node_rename(&v->nodes, n, &s->place);
	n->unborn = false;
	n->id = s->id;
	n->meta = meta;
	pthread_mutex_unlock(&v->lock);
	return r < 0 ? r : steps_adopt(v, n, s, dir, base, NULL);
}

/* Gives the draft its node. */
static void attach(struct view *v, struct node *folder, struct draft *d)
{
	struct loaded *base = NULL;
	struct err why;
	struct node *n = view_draft_node(v, folder, draft_name(d));
	int r = n ? 0 : -ENOMEM;

	if (r == 0 && draft_base_step(d))
		r = attach_base(v, folder, n, d, &base);
	if (r < 0) {
		waits(v, d, r);
		if (n)
			steps_detach(v, n);
	} else {
		view_take_turn(v, &folder->drafting);
		view_draft_attach(v, n, d, base);
		view_end_turn(v, &folder->drafting);
		if (draft_take_why(d, &why) && v->remind) {
			folder_wrap(n, why.code, &why);
			v->remind(v->warn_arg, why.text);
		}
	}
	if (n)
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
}

static void take_up(struct view *v, struct node *folder)
{
	struct err e = {0};
	CLEANUP(closep) int top = folder_open(v, folder, &e);
	struct recovering r = {.v = v};
	const struct recovery rec = {found, tell_of, &r};
	const struct draft_config c = {.top = top,
				       .name = "",
				       .meta = v->meta_suffix,
				       .mode = v->verify,
				       .reshape = v->reshape,
				       .strip_default_attrs = v->strip_default_attrs,
				       .no_meta_graph = v->commit.makes.no_meta_graph,
				       .first_dynamic = DRAFT_DYNAMIC};
	uint32_t waiting = top < 0 ? 0 : drafts_count(top);
	struct stat st;
	bool locked;

	if (top >= 0 && fstatat(top, ".ckptfs", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return;
		err_sys(&e, -errno, ".ckptfs");
	}
	if (e.code) {
		view_warn(v, &e);
		return;
	}
	if (!v->writable) {
		if (!waiting)
			return;
		view_tell(v, "%u draft%s in .ckptfs for a mount that may write", waiting,
			  waiting == 1 ? " waits" : "s wait");
		return;
	}
	/* Also without a draft: the rest of one may be there, or a lock that nobody holds. */
	locked = view_draft_lock_folder(v, folder, top, &e) == 0;
	if (!locked || recover(&c, &v->commit, &rec, &e) < 0)
		view_warn(v, &e);
	for (size_t i = 0; i < r.n; i++) {
		attach(v, folder, r.drafts[i]);
		draft_unref(r.drafts[i]);
	}
	free(r.drafts);
	if (locked)
		view_draft_unlock_folder(v, folder, top);
}

void recover_folder(struct view *v, struct node *n)
{
	if (n->recovered)
		return;
	view_take_turn(v, &n->recovering); /* nobody else looks into it before */
	if (!n->recovered)
		take_up(v, n);
	n->recovered = true;
	view_end_turn(v, &n->recovering);
}

void view_look(struct view *v)
{
	recover_folder(v, view_node(v, NODE_ROOT_ID));
}

int view_with_directory(struct view *v, view_directory_fn *f, void *arg, struct err *e)
{
	struct node *root = view_node(v, NODE_ROOT_ID);
	CLEANUP(closep) int top = -1;
	int r;

	recover_folder(v, root);
	HOLD(&v->committing);
	r = top = folder_open(v, root, e);
	if (r >= 0)
		r = view_draft_lock_folder(v, root, top, e);
	if (r < 0)
		return r;
	r = f(arg, top, e);
	view_draft_unlock_folder(v, root, top);
	return r;
}

/* --- steps over which a trainer has saved ------------------------------------------------------------------ */

/* Each has a descriptor, and they may only have a part of all. Their copies of indexes take room on the disk; the last one is kept
 * in any case. */
enum { MAX_RESCUED = 64, PART_OF_DESCRIPTORS = 8, MAX_RESCUED_BYTES = 256 << 20 };

static size_t max_rescued(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur / PART_OF_DESCRIPTORS >= MAX_RESCUED)
		return MAX_RESCUED;
	return l.rlim_cur / PART_OF_DESCRIPTORS;
}

static size_t count_rescued(const struct view *v)
{
	return v->rescued.n / sizeof(struct rescued_step);
}

static void forget_rescued(struct view *v, size_t at)
{
	struct rescued_step *k = (struct rescued_step *)v->rescued.p + at;

	rescue_release(&k->rescue);
	view_forget(v, node_id(k->folder, NODE_ROOT_ID), 1);
	v->rescued.n -= sizeof *k;
	memmove(k, k + 1, v->rescued.n - at * sizeof *k);
}

/* Is there room for one of SIZE more? */
static bool has_room(const struct view *v, uint64_t size)
{
	const struct rescued_step *k = (const struct rescued_step *)v->rescued.p;

	for (size_t i = 0; i < count_rescued(v); i++)
		size += k[i].rescue.size;
	return count_rescued(v) < max_rescued() && size <= MAX_RESCUED_BYTES;
}

void rescued_steps_add(struct view *v, struct node *n, struct rescue *rescue)
{
	struct rescued_step k = {.rescue = *rescue, .folder = n->parent};

	while (count_rescued(v) && !has_room(v, rescue->size))
		forget_rescued(v, 0);
	if (max_rescued() && buf_add(&v->rescued, &k, sizeof k) == 0)
		view_hold(v, k.folder);
	else
		rescue_release(&k.rescue);
}

/* Is it known, without looking, that nothing has changed in its folder? */
static bool is_current(struct view *v, struct rescued_step *k)
{
	bool current;

	HOLD(&v->lock);
	current = k->looked && k->folder->watch && k->folder->changes == k->at;
	k->at = k->folder->changes;
	k->looked = true;
	return current;
}

static void say_renamed(struct view *v, const char *old, const char *name)
{
	struct err line;

	err_set(&line, 0, "%s: another step was saved under its name; what was committed is now %s",
		old, name);
	view_tell(v, "%s", line.text);
	view_keep_line(v, line.text);
}

/* As rescue_restore. */
static int restore_rescued(struct view *v, struct rescued_step *k, bool all)
{
	CLEANUP(freep) char *old = NULL;
	CLEANUP(closep) int top = -1;
	struct err e = {0};
	int r;

	if (is_current(v, k) && !all)
		return 0;
	old = strdup(k->rescue.name);
	r = top = folder_open(v, k->folder, &e);
	if (r >= 0) {
		view_take_turn(v, &k->folder->drafting); /* .ckptfs goes when it is empty */
		r = rescue_restore(&k->rescue, top, v->meta_suffix, &e);
		view_end_turn(v, &k->folder->drafting);
	}
	if (r > 0 && old)
		say_renamed(v, old, k->rescue.name);
	if (r < 0 && r != -ENOENT)
		view_warn(v, &e);
	k->looked = k->looked && r >= 0;
	return r;
}

/* The step was removed, or nothing is left of it. After any other error it is tried again. */
static bool is_lost(int r)
{
	return r == -ENOENT || r == -ESTALE;
}

void rescued_steps_restore(struct view *v, bool all)
{
	HOLD(&v->committing);
	for (size_t i = 0; i < count_rescued(v);)
		if (is_lost(restore_rescued(v, (struct rescued_step *)v->rescued.p + i, all)))
			forget_rescued(v, i);
		else
			i++;
}
