#include "directory/state_edit.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "directory/latest.h"
#include <fcntl.h>

/* --- the text ---------------------------------------------------------------------------------------------- */

int state_text_read(int dirfd, const char *name, struct state_text *out, struct err *e)
{
	struct err why;
	struct stat st;
	int r;

	*out = (struct state_text){.mode = 0644};
	r = state_file_read(dirfd, name, &out->text, &why);
	out->exists = r == 0;
	if (r < 0)
		return r == -ENOENT ? 0 : err_set(e, r, "%s", why.text);
	if (fstatat(dirfd, name, &st, 0) == 0)
		out->mode = st.st_mode;
	return 0;
}

void state_text_release(struct state_text *t)
{
	buf_release(&t->text);
}

int state_text_replace(const struct state_text *old, int made_in, int dirfd, const char *name,
		       struct bytes new, struct err *e)
{
	CLEANUP(state_text_release) struct state_text now;
	int r = state_text_read(dirfd, name, &now, e);

	if (r < 0)
		return err_wrap(e, r, "%s", name);
	if (now.exists != old->exists || !bytes_eq(buf_bytes(&now.text), buf_bytes(&old->text)))
		return 1;
	if (new.n)
		return io_replace_file(made_in, dirfd, name, new, old->mode, e);
	r = io_remove_file(dirfd, name, e);
	if (r == 0 && fsync(dirfd) < 0)
		r = err_sys(e, -errno, "%s: syncing its directory", name);
	return r;
}

/* --- what it says ------------------------------------------------------------------------------------------ */

int state_edit_begin(struct state_edit *s, struct bytes text, struct err *e)
{
	int r;

	*s = (struct state_edit){0};
	r = state_parse(text, &s->old, e);
	s->new.last_preserved = s->old.last_preserved;
	s->new.unknown = s->old.unknown;
	return r;
}

void state_edit_release(struct state_edit *s)
{
	for (size_t i = 0; i < s->new.n_paths; i++)
		free(s->new.paths[i]);
	buf_release(&s->paths);
	buf_release(&s->times);
	state_release(&s->old);
}

const double *state_edit_time(const struct state_edit *s, size_t i)
{
	return state_is_timed(&s->old) ? &s->old.timestamps[i] : NULL;
}

int state_edit_add(struct state_edit *s, char *path, const double *time)
{
	int r = path ? buf_add(&s->paths, &path, sizeof path) : -ENOMEM;

	if (r < 0) {
		free(path);
		return r;
	}
	s->new.paths = (char *const *)s->paths.p;
	s->new.n_paths++;
	r = time ? buf_add(&s->times, time, sizeof *time) : 0;
	s->new.timestamps = (const double *)s->times.p;
	s->new.n_timestamps = s->times.n / sizeof *time;
	return r;
}
