#include "view/status.h"
#include "base/cleanup.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/steps.h"

int status_of_saved(struct view *v, struct node *n, struct buf *out)
{
	CLEANUP(closep) int fd = -1;
	struct err why = {0};
	struct loaded *l;
	int r;

	if (n->unborn)
		return 0;
	if (steps_get(v, n, &l, &why) < 0)
		return buf_add_str(out, why.text);
	fd = folder_open_parent(v, n, NULL);
	r = fd < 0 ? fd : step_add_lacking(l->step, fd, out);
	loaded_unref(l);
	return r;
}

/* Each of LINES. */
static int add_errors(const struct buf *lines, struct buf *out)
{
	struct bytes line, rest = buf_bytes(lines);
	int r = 0;

	while (r == 0 && bytes_next_line(&rest, &line))
		r = buf_printf(out, "error: %.*s\n", (int)line.n, (char *)line.p);
	return r;
}

/* Which step the next commit of D makes, and when. */
static int add_next(const struct view *v, const struct node *n, struct draft *d, uint32_t changes,
		    bool refused, struct buf *out)
{
	CLEANUP(buf_release) struct buf name = {0};
	int news = commit_foresee(d, &v->commit, &name, NULL), r;

	if (news < 0)
		return 0; /* it can't be known */
	if (!news)
		return buf_printf(out, "next commit: no step, %s has these changes\n",
				  (char *)name.p);
	if (draft_lost_all(d))
		return buf_add_str(out, "next commit: no step, no variable is left\n");
	if (!changes)
		return buf_printf(out, "next commit: no step, %s\n",
				  n->unborn ? "there are no variables yet" : "nothing differs");
	r = buf_printf(out, "next commit: %s, ", (char *)name.p);
	if (r == 0 && refused)
		r = buf_add_str(out, "not before the error is corrected; then ");
	if (r == 0 && v->commit_ms >= 0)
		r = buf_printf(out, "after %g s without a change, ", (double)v->commit_ms / 1000);
	return r < 0 ? r
		     : buf_add_str(out, "at sync of this folder or the mount, or at the unmount\n");
}

static int add_draft(const struct view *v, struct node *n, struct draft *d, struct buf *out)
{
	CLEANUP(buf_release) struct buf lines = {0}, why = {0};
	uint32_t changes = draft_describe(d, &lines);
	int r = buf_printf(out, "changes: %u\n", changes);

	if (r == 0)
		r = buf_add(out, lines.p, lines.n);
	if (r == 0)
		r = draft_why(d, &why);
	if (r == 0)
		r = add_errors(&why, out);
	return r < 0 ? r : add_next(v, n, d, changes, why.n, out);
}

static int add_step(struct view *v, struct node *n, struct buf *out)
{
	CLEANUP(buf_release) struct buf why = {0};
	size_t start = out->n;
	bool ended;
	int r;

	do { /* a draft may end while it is asked: then ask again */
		struct draft *d = view_draft_of(v, n);

		out->n = start;
		r = d ? add_draft(v, n, d, out) : buf_add_str(out, "changes: none\n");
		ended = d && draft_has_ended(d);
		draft_unref(d);
	} while (ended);
	if (r == 0 && n->kind == NODE_STEP)
		r = status_of_saved(v, n, &why);
	return r < 0 ? r : add_errors(&why, out);
}

/* The steps with drafts that are in the folder N, or below it. */
static int add_steps(struct view *v, struct node *n, struct buf *out)
{
	CLEANUP(buf_release) struct buf nodes = {0};
	int r = view_list_drafted(v, n, &nodes);

	for (size_t i = 0; i < nodes.n / sizeof n; i++) {
		struct node *step = ((struct node **)nodes.p)[i];

		if (r == 0)
			r = buf_add_str(out, "step: ");
		if (r == 0)
			r = folder_add_path(step, n, out);
		if (r == 0)
			r = buf_add_byte(out, '\n');
		if (r == 0)
			r = add_step(v, step, out);
		view_forget(v, node_id(step, NODE_ROOT_ID), 1);
	}
	return r == 0 && !nodes.n ? buf_add_str(out, "changes: none\n") : r;
}

static int add_state(const struct node *n, struct buf *out, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	struct state s = {.n_paths = 1};

	if (buf_printf(&path, "../%s", n->place->name) < 0 || buf_add_byte(&path, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	s.latest = (char *)path.p;
	s.paths = (char *const *)&path.p;
	return state_print(&s, out, e);
}

uint32_t status_find(const struct node *n, const char *name)
{
	if (!strcmp(name, STATUS_FOLDER))
		return STATUS_FOLDER_INDEX;
	return n->kind == NODE_STEP && !n->unborn && !strcmp(name, STATE_NAME) ? STATUS_STATE_INDEX
									       : 0;
}

int status_make(struct view *v, struct node *n, uint32_t index, struct buf *out, struct err *e)
{
	int r;

	if (index == STATUS_STATE_INDEX)
		return add_state(n, out, e);
	r = n->kind == NODE_STEP ? add_step(v, n, out) : add_steps(v, n, out);
	return r == -ENOMEM ? err_set(e, r, "no memory") : r;
}
