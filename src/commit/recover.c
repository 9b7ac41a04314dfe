#include "commit/recover.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "commit/noted.h"
#include "commit/publish.h"
#include "commit/record.h"
#include "directory/drafts_list.h"
#include "directory/placed.h"
#include "directory/step_files.h"
#include "directory/step_switch.h"
#include "draft/draft_state.h"
#include <fcntl.h>

/* --- one draft --------------------------------------------------------------------------------------------- */

struct context {
	const struct draft_config *c;
	const struct commit_config *commit;
	const struct recovery *r;
	int drafts;
};

static void say(const struct context *x, const char *fmt, const char *a, const char *b)
{
	struct err text;

	err_set(&text, 0, fmt, a, b);
	x->r->say(x->r->arg, text.text);
}

/* PUBLISHED: the step that it has become already, or NULL; it becomes the draft's, which then can't be changed. */
static void take_up(const struct context *x, const char *folder, const char *prefix,
		    char *published)
{
	struct draft_config c = *x->c;
	struct draft *d;
	struct err why = {0};

	c.name = prefix;
	c.first_dynamic = DRAFT_DYNAMIC;
	if (draft_take_up(&c, folder, &d, &why) < 0) {
		say(x, "a draft can't be taken up, and stays as it is: %s%s", why.text, "");
		free(published);
		return;
	}
	if (!published)
		say(x, "%s%s: its draft is taken up", prefix, "");
	d->published = published;
	x->r->found(x->r->arg, d);
}

/* The step NAME is noted with the draft, which goes on. */
static int note_published(const struct context *x, int draft, const char *name, struct err *e)
{
	int r = noted_make(draft, x->c->top, name, e);

	return r < 0 ? r : record_forget(draft, e);
}

/* The draft's step NAME is there already: what is left is the state file, and to remove the draft, or to note the step if
 * the draft goes on. If that can't be done PUBLISHED gets NAME. As resume. */
static int end_committed(const struct context *x, int draft, const char *folder, const char *prefix,
			 const char *name, char **published)
{
	char old[DRAFTS_OLD_SIZE];
	struct err why = {0};
	bool retired = false;
	int goes_on = record_goes_on(draft, &why);
	int r = goes_on < 0 ? goes_on
			    : publish_in_state(draft, x->c->top, x->commit, prefix, name, &why);

	if (r == 0) /* what can't be removed is left over */
		record_drop_old(x->c->top, draft, NULL);
	if (r == 0 && goes_on)
		r = note_published(x, draft, name, &why);
	else if (r == 0) {
		r = drafts_retire(x->c->top, folder, old, &why);
		retired = r == 0;
	}
	if (r == 0 && !goes_on)
		r = drafts_sweep(x->c->top, old, &why);
	if (r == 0) {
		say(x, "%s: a commit of %s that was interrupted is finished", name, prefix);
		return !goes_on;
	}
	say(x, "%s: its commit was interrupted, and can't be finished yet: %s", name, why.text);
	if (retired)
		return 1; /* what is left has another name, and goes with the next mount */
	*published = strdup(name);
	return *published ? 0 : -ENOMEM;
}

/* What was under way when it was interrupted. 1: the draft was committed, and is gone; 0: it is there; else it
 * stays as it is. */
static int resume(const struct context *x, int draft, const char *folder, const char *prefix,
		  char **published)
{
	char name[NAME_MAX + 1];
	struct err why = {0};
	int r = record_read_name(draft, name, &why);

	if (r == 0) {
		record_forget(draft, NULL);
		return 0;
	}
	if (r == 1)
		r = record_is_published(x->c->top, draft, name, &why);
	if (r == 1)
		return end_committed(x, draft, folder, prefix, name, published);
	if (r < 0) {
		say(x, "whether the draft of %s is committed can't be known, it stays as it is: %s",
		    prefix, why.text);
		return r;
	}
	r = record_take_back(x->c->top, draft, &why);
	if (r > 0)
		say(x, "%s: what an interrupted commit of %s had begun is taken back", name,
		    prefix);
	if (r < 0) /* the draft's next commit begins with that */
		say(x, "%s: what an interrupted commit had begun can't be taken back yet: %s", name,
		    why.text);
	else
		record_forget(draft, NULL);
	return 0;
}

/* Has a process without a mount begun the draft, so that nobody goes on with it? What can't be known is no reason to discard it. */
static bool is_of_tool(int draft)
{
	return faccessat(draft, DRAFT_OF_TOOL, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* That process had the lock which is held now, so it has ended. */
static void discard(const struct context *x, const char *folder, const char *prefix)
{
	char old[DRAFTS_OLD_SIZE];
	struct err why = {0};
	int r = drafts_retire(x->c->top, folder, old, &why);

	if (r < 0)
		say(x, "%s: what a killed program had begun can't be discarded yet: %s", prefix,
		    why.text);
	else
		say(x, "%s%s: what a killed program had begun is discarded", prefix, "");
	if (r == 0) /* what stays has another name, and goes with the next mount */
		drafts_sweep(x->c->top, old, NULL);
}

static void recover_one(const struct context *x, const char *folder)
{
	CLEANUP(buf_release) struct buf prefix = {0};
	struct err why = {0};
	CLEANUP(closep) int draft = dir_fd(x->drafts, folder, &why);
	char *published = NULL;
	int r = draft < 0 ? draft : drafts_prefix(folder, &prefix);

	if (r == -ENOTDIR || r == -ENOENT) {
		say(x, ".ckptfs/drafts/%s%s: is no draft", folder, "");
		return;
	}
	if (r < 0) {
		say(x, "the draft .ckptfs/drafts/%s can't be taken up, and stays as it is: %s",
		    folder, draft < 0 ? why.text : "no memory");
		return;
	}
	r = resume(x, draft, folder, (char *)prefix.p, &published);
	if (r == 0 && (published || !is_of_tool(draft)))
		take_up(x, folder, (char *)prefix.p, published);
	else if (r == 0 && !record_is_there(draft)) /* what it says is still to be taken back */
		discard(x, folder, (char *)prefix.p);
}

/* --- all of them ------------------------------------------------------------------------------------------- */

/* A step that was being renamed or removed. */
static void resume_step(const struct context *x)
{
	CLEANUP(buf_release) struct buf done = {0};
	struct err why;

	if (step_files_resume(x->c->top, x->commit->state_name, &done, &why) < 0)
		say(x, "a step that was being renamed or removed stays as it is: %s%s", why.text,
		    "");
	else if (done.n)
		x->r->say(x->r->arg, (char *)done.p);
}

/* A step that was getting other files. */
static void resume_switch(const struct context *x)
{
	CLEANUP(buf_release) struct buf done = {0};
	struct err why;

	if (step_switch_resume(x->c->top, &done, &why) < 0)
		say(x, "a step that was to share its shards stays as it is: %s%s", why.text, "");
	else if (done.n)
		x->r->say(x->r->arg, (char *)done.p);
}

int recover(const struct draft_config *c, const struct commit_config *commit,
	    const struct recovery *rec, struct err *e)
{
	CLEANUP(closep) int drafts = drafts_open(c->top);
	CLEANUP(buf_release) struct buf names = {0};
	const struct context x = {c, commit, rec, drafts};
	int r;

	r = placed_put_back(c->top, e);
	if (r < 0)
		return r;
	resume_step(&x);
	resume_switch(&x);
	if (drafts < 0)
		return drafts == -ENOENT ? 0 : err_sys(e, drafts, ".ckptfs/drafts");
	r = drafts_remove_old(c->top, e);
	if (r == 0)
		r = drafts_list(c->top, &names, e);
	if (r < 0)
		return r;
	for (const char *n = (char *)names.p; n && n < (char *)names.p + names.n;
	     n += strlen(n) + 1)
		recover_one(&x, n);
	drafts_tidy(c->top);
	return 0;
}
