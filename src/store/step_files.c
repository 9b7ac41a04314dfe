#include "store/step_files.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "store/companion.h"
#include "store/listing.h"
#include "store/state_update.h"
#include <fcntl.h>

/* The names of all files of the step but its index, each with its NUL. */
static int list_files(const struct step_files *f, const struct step_place *p, struct buf *out,
		      struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(f->top, ".");
	size_t n = strlen(p->name), prefix;
	const struct dirent *de;
	uint32_t of;
	int r = 0;

	if (!s)
		return err_sys(e, -errno, "the checkpoint directory");
	while (r == 0 && (de = dir_next(s))) {
		bool own = p->format == STEP_V2
				   ? name_is_data(de->d_name, &prefix, &of) && prefix == n &&
					     !strncmp(de->d_name, p->name, n)
				   : name_without_shard(de->d_name, &of) == n && of == p->shards &&
					     !strncmp(de->d_name, p->name, n);

		if (own)
			r = buf_add(out, de->d_name, strlen(de->d_name) + 1);
	}
	if (r == 0)
		r = companion_name(p, f->meta, out);
	if (r == 0)
		r = companion_name(p, "debug", out);
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

/* What FILE of the step FROM is called as one of TO. */
static int new_name(const char *file, const struct step_place *from, const char *to,
		    struct buf *out)
{
	size_t n = strlen(from->name), stem = companion_stem(from->name);
	bool is_companion = n != stem && file[stem] == '.';
	int r = is_companion ? buf_add(out, to, companion_stem(to)) : buf_add_str(out, to);

	if (r == 0)
		r = buf_add_str(out, file + (is_companion ? stem : n));
	return r == 0 ? buf_add_byte(out, 0) : r;
}

/* Each of FILES, if it is there, under its new name too. */
static int link_all(const struct step_files *f, const struct buf *files,
		    const struct step_place *from, const char *to, struct err *e)
{
	int r = 0;

	for (const char *n = (char *)files->p; r == 0 && n && n < (char *)files->p + files->n;
	     n += strlen(n) + 1) {
		CLEANUP(buf_release) struct buf name = {0};

		if (new_name(n, from, to, &name) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = io_place(f->top, n, f->top, (char *)name.p, e);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

static int remove_all(const struct step_files *f, const struct buf *files, struct err *e)
{
	int r = 0;

	for (const char *n = (char *)files->p; r == 0 && n && n < (char *)files->p + files->n;
	     n += strlen(n) + 1) {
		r = io_remove_file(f->top, n, e);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

/* Takes the new names away again. */
static void unlink_new(const struct step_files *f, const struct buf *files,
		       const struct step_place *from, const char *to)
{
	for (const char *n = (char *)files->p; n && n < (char *)files->p + files->n;
	     n += strlen(n) + 1) {
		CLEANUP(buf_release) struct buf name = {0};

		if (new_name(n, from, to, &name) == 0)
			io_remove_file(f->top, (char *)name.p, NULL);
	}
}

int step_rename(const struct step_files *f, const struct step_place *from, const char *to,
		struct err *e)
{
	CLEANUP(buf_release) struct buf files = {0}, index = {0};
	struct step_place place = *from;
	int r;

	if (!step_name_is_free(f->top, to))
		return err_set(e, -EEXIST, "%s: something of that name is there", to);
	place.name = (char *)to;
	r = list_files(f, from, &files, e);
	if (r == 0 && (buf_printf(&index, "%s.index", to) < 0 || buf_add_byte(&index, 0) < 0))
		r = err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		return r;
	r = link_all(f, &files, from, to, e);
	if (r == 0 && from->format == STEP_V2)
		r = io_place(f->top, from->file, f->top, (char *)index.p, e);
	if (r < 0) {
		unlink_new(f, &files, from, to);
		return r;
	}
	r = io_sync(f->top, "the checkpoint directory", e);
	if (r == 0)
		r = state_rename(f->top, f->state_name, from, &place, e);
	if (r == 0 && from->format == STEP_V2)
		r = io_remove_file(f->top, from->file, e);
	return r < 0 ? r : remove_all(f, &files, e);
}

int step_remove(const struct step_files *f, const struct step_place *place, struct err *e)
{
	CLEANUP(buf_release) struct buf files = {0};
	int r = list_files(f, place, &files, e);

	if (r == 0)
		r = state_drop(f->top, f->state_name, place, e);
	if (r == 0 && place->format == STEP_V2) {
		r = io_remove_file(f->top, place->file, e);
		r = r == -ENOENT ? 0 : r;
	}
	return r < 0 ? r : remove_all(f, &files, e);
}
