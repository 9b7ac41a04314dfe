#include "base/cleanup.h"
#include "base/lacks.h"
#include "dedup/dedup_state.h"
#include "directory/step_switch.h"
#include <stdlib.h>

void dedup_report_release(struct dedup_report *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		free(r->steps[i].name);
	freep(&r->steps);
	r->n = 0;
}

static void release(struct dedup_state *d)
{
	for (uint32_t i = 0; i < d->n_steps; i++) {
		step_unref(d->steps[i].step);
		free(d->steps[i].ranges);
		free(d->steps[i].files);
	}
	free(d->steps);
	free(d->files);
	free(d->users);
	free(d->ranges);
	free(d->alike);
	closep(&d->folder);
}

/* A file counts as saved when it is in no step any more. */
static void sum_up(const struct dedup_state *d)
{
	struct dedup_report *report = d->report;

	for (uint32_t f = 0; f < d->n_files; f++) {
		const struct dedup_file *file = &d->files[f];
		struct dedup_result *of = d->steps[file->step].result;
		bool gone = file->fate != FILE_STAYS;

		for (uint32_t i = 0; i < file->names; i++)
			gone &= d->steps[d->users[file->users + i]].changed;
		of->saved += gone ? (int64_t)file->blocks : 0;
		of->saved -= file->fate == FILE_ANEW ? (int64_t)file->new_blocks : 0;
	}
	for (uint32_t i = 0; i < report->n; i++) {
		report->saved += report->steps[i].saved;
		report->n_shares += report->steps[i].what == DEDUP_SHARES;
	}
}

int dedup(int top, const struct dedup_config *c, struct dedup_report *out, struct err *e)
{
	enum { NEEDED = LACKS_LINKS | LACKS_INODES | LACKS_SYMLINKS | LACKS_FOLDERS };
	CLEANUP(release) struct dedup_state d = {.top = top, .folder = -1, .c = c, .report = out};
	int r = 0;

	*out = (struct dedup_report){0};
	if (lacks_at(top) & NEEDED)
		return err_set(e, -EOPNOTSUPP,
			       "the filesystem has no hard links, or can't rename folders: nothing "
			       "can be shared");
	r = dedup_gather(&d, e);
	if (r == 0)
		r = dedup_choose(&d, e);
	if (r == 0 && !c->dry_run)
		r = d.folder = step_switch_begin(top, e);
	if (r >= 0)
		r = dedup_apply(&d, e);
	if (d.folder >= 0)
		step_switch_end(top, NULL); /* else the next mount does it */
	sum_up(&d);
	return r;
}
