#include "directory/step_files.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/lacks.h"
#include "directory/drafts_list.h"
#include "directory/family.h"
#include "directory/file_stamp.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "directory/state_update.h"
#include "step/sidecar.h"
#include <fcntl.h>
#include <stdio.h>

/* The record while it is made, and while it is removed. */
#define UNMADE ".ckptfs/leaving.new"

/* While this is there, the record is being made or removed under its own name: where folders can't be renamed. */
#define MAKING ".ckptfs/leaving.making"

/* --- names ------------------------------------------------------------------------------------------------- */

/* Appends the names of all files that the step may have, each with its NUL. */
static int list_files(const struct step_files *f, const struct step_place *p, struct buf *out,
		      struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(f->top, ".");
	size_t n = strlen(p->name);
	const struct dirent *de;
	uint32_t of;
	int r = 0;

	if (!s)
		return err_sys(e, -errno, "the checkpoint directory");
	while (r == 0 && (de = dir_read(s, &r))) {
		bool own = p->format == STEP_V2
				   ? name_is_data_of(de->d_name, p->name)
				   : name_without_shard(de->d_name, &of) == n && of == p->shards &&
					     !strncmp(de->d_name, p->name, n);

		if (own)
			r = buf_add(out, de->d_name, strlen(de->d_name) + 1);
	}
	if (r == 0 && p->format == STEP_V2)
		r = buf_add(out, p->file, strlen(p->file) + 1);
	for (enum text_kind kind = 0; kind < N_TEXTS && r == 0; kind++)
		if (text_sidecar(kind, f->meta))
			r = sidecar_name(p, text_sidecar(kind, f->meta), out);
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

/* Appends the name that FILE of the step FROM gets as a file of TO, with its NUL. */
static int new_name(const char *file, const char *from, const char *to, struct buf *out)
{
	size_t n = strlen(from), stem = sidecar_stem(from);
	bool is_sidecar = n != stem && file[stem] == '.';
	int r = is_sidecar ? buf_add(out, to, sidecar_stem(to)) : buf_add_str(out, to);

	if (r == 0)
		r = buf_add_str(out, file + (is_sidecar ? stem : n));
	return r == 0 ? buf_add_byte(out, 0) : r;
}

/* --- the record -------------------------------------------------------------------------------------------- */

/* Makes a stamp of each of FILES of the step FROM, in the folder STAMPS; with TO under its name as a file of TO. */
static int stamp_files(const struct step_files *f, const struct buf *files, const char *from,
		       const char *to, int stamps, struct err *e)
{
	int r = 0;

	for (const char *n = (char *)files->p; r == 0 && n < (char *)files->p + files->n;
	     n += strlen(n) + 1) {
		CLEANUP(buf_release) struct buf as = {0};

		if (to && new_name(n, from, to, &as) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = file_stamp_make(f->top, n, stamps, to ? (char *)as.p : n, e);
		if (r == -ENOENT) /* the step has no such file */
			r = err_set(e, 0, "%s", "");
	}
	return r == 0 ? io_sync(stamps, UNMADE, e) : r;
}

int step_link_make(const char *prefix, int fd, const char *name, struct err *e)
{
	return io_make_link(*prefix ? prefix : ".", fd, name, e);
}

int step_link_read(int fd, const char *name, char prefix[NAME_MAX + 1])
{
	ssize_t n = io_read_link(fd, name, prefix, NAME_MAX);

	if (n < 0)
		return (int)n;
	prefix[n] = 0;
	if (!strcmp(prefix, "."))
		prefix[0] = 0;
	return 0;
}

/* Is a record made under its own name, with the mark MAKING? */
static bool made_in_place(int top)
{
	return lacks_at(top) & LACKS_FOLDERS;
}

/* Makes the record in INTO, as UNMADE or in its place: FROM is to be renamed to TO, or with NULL to be removed; or where
 * INTO is another folder, FROM arrives there as TO. */
static int prepare_record(const struct step_files *f, const struct step_place *from, int into,
			  const char *to, struct err *e)
{
	bool arrives = into != f->top;
	CLEANUP(buf_release) struct buf files = {0};
	CLEANUP(closep) int fd = -1, files_fd = -1;
	bool in_place = made_in_place(into);
	int r = list_files(f, from, &files, e);

	if (r == 0)
		r = io_remove_all(into, UNMADE, e);
	if (r == 0 && in_place)
		r = io_mark(into, MAKING, e);
	if (r == 0)
		r = io_make_folder(into, in_place ? STEP_LEAVING : UNMADE, 0777, e);
	if (r == 0)
		r = fd = dir_fd(into, in_place ? STEP_LEAVING : UNMADE, e);
	if (r >= 0)
		r = step_link_make(arrives ? to : from->name, fd, "from", e);
	if (r == 0 && to)
		r = step_link_make(to, fd, arrives ? "arriving" : "to", e);
	if (r == 0)
		r = io_make_folder(fd, "files", 0777, e);
	if (r == 0)
		r = files_fd = dir_fd(fd, "files", e);
	if (r >= 0)
		r = stamp_files(f, &files, from->name, arrives ? to : NULL, files_fd, e);
	return r == 0 ? io_sync(fd, UNMADE, e) : r;
}

/* What was prepared counts from now on. */
static int enter_record(int top, struct err *e)
{
	return made_in_place(top) ? io_remove_file(top, MAKING, e)
				  : io_move_new(top, UNMADE, top, STEP_LEAVING, e);
}

/* Removes a record of which only a part was made. */
static int remove_part(int top, struct err *e)
{
	int r;

	if (faccessat(top, MAKING, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, MAKING);
	r = io_remove_all(top, STEP_LEAVING, e);
	return r < 0 ? r : io_remove_file(top, MAKING, e);
}

/* Renames the record first: half of one must not be found. */
static int remove_record(int top, struct err *e)
{
	bool in_place = made_in_place(top);
	int r = in_place ? io_mark(top, MAKING, e) : io_move(top, STEP_LEAVING, top, UNMADE, e);

	if (in_place)
		return r < 0 ? r : remove_part(top, e);
	return r < 0 && r != -ENOENT ? r : io_remove_all(top, UNMADE, e);
}

/* --- each file --------------------------------------------------------------------------------------------- */

/* What is under way. */
struct leaving {
	int top, to_top; /* the folders of `from` and `to`: one, but while a step is moved */
	int stamps; /* the folder of them in the record */
	const char *state_name;
	struct step_place from, to;
	bool renamed; /* false: it is removed, and `to` is not used */
	bool arriving; /* it was to be moved here */
};

/* Does something with FILE of l->from. AS: its name as a file of l->to; NULL: the step is removed. */
typedef int (*file_fn)(const struct leaving *l, const char *file, const char *as, struct err *e);

static int call(const struct leaving *l, const char *file, file_fn f, struct err *e)
{
	CLEANUP(buf_release) struct buf as = {0};

	if (l->renamed && new_name(file, l->from.name, l->to.name, &as) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return f(l, file, (char *)as.p, e);
}

/* Calls F for each file that has a stamp, until a call returns something else than 0. The index, if the step has
 * one, comes first, or with INDEX_LAST last. */
static int for_each_file(const struct leaving *l, bool index_last, file_fn f, struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(l->stamps, ".");
	const char *index = l->from.file;
	const struct dirent *de;
	bool has_index;
	int r;

	if (!s)
		return err_sys(e, -errno, STEP_LEAVING);
	has_index = faccessat(l->stamps, index, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	r = has_index && !index_last ? call(l, index, f, e) : 0;
	while (r == 0 && (de = dir_read(s, &r)))
		if (strcmp(de->d_name, index) != 0)
			r = call(l, de->d_name, f, e);
	return r == 0 && has_index && index_last ? call(l, index, f, e) : r;
}

/* Removes NAME, an old or new one of FILE, as placed_remove_stamped. That it is another's is no error. */
static int remove_ours(const struct leaving *l, const char *file, const char *name, bool or_mark,
		       struct err *e)
{
	int r = placed_remove_stamped(l->top, name, l->stamps, file, or_mark, e);

	return r < 0 ? r : 0;
}

/* Is FILE a symbolic link that would lead elsewhere from another folder? */
static bool is_relative_link(int dirfd, const char *file)
{
	char first;

	return readlinkat(dirfd, file, &first, 1) == 1 && first != '/';
}

/* Gives FILE its new name. Where there are no hard links it loses the old one at once. -ESTALE: a trainer has saved
 * under the old name meanwhile, and the step that was to be renamed is gone. */
static int give_name(const struct leaving *l, const char *file, const char *as, struct err *e)
{
	bool leaves = l->to_top != l->top;
	int r = leaves && is_relative_link(l->top, file) ? -EXDEV
							 : io_link(l->top, file, l->to_top, as, e);
	bool moved = io_needs_copy(r);
	int fits;

	if (moved && leaves)
		return err_set(e, -EXDEV, "%s: can't have a name in the other folder", file);
	if (moved)
		r = io_move_new(l->top, file, l->top, as, e);
	if (r < 0)
		return r;
	fits = file_stamp_fits(l->stamps, file, l->to_top, as, e);
	if (fits == 1)
		return 0;
	if (moved)
		io_move_new(l->top, as, l->top, file, NULL);
	else
		io_remove_file(l->to_top, as, NULL);
	return fits < 0 ? fits : err_set(e, -ESTALE, "%s: was replaced meanwhile", file);
}

/* Gives FILE its old name back, unless a trainer has saved under that meanwhile, and takes the new one away. */
static int take_name_back(const struct leaving *l, const char *file, const char *as, struct err *e)
{
	int r = file_stamp_fits(l->stamps, file, l->top, as, e);

	if (r <= 0)
		return r < 0 ? r : remove_ours(l, file, as, true, e);
	r = io_link(l->top, as, l->top, file, e);
	if (io_needs_copy(r)) {
		r = io_move_new(l->top, as, l->top, file, e);
		if (r != -EEXIST)
			return r;
	}
	return r < 0 && r != -EEXIST ? r : remove_ours(l, file, as, false, e);
}

/* 1: FILE does not have its new name. */
static int lacks_name(const struct leaving *l, const char *file, const char *as, struct err *e)
{
	int r = file_stamp_fits(l->stamps, file, l->top, as, e);

	return r < 0 ? r : !r;
}

static int take_old_name(const struct leaving *l, const char *file, const char *as, struct err *e)
{
	(void)as;
	return remove_ours(l, file, file, false, e);
}

/* Takes away the name that a file that was to be moved has in the other folder. */
static int take_name_there(const struct leaving *l, const char *file, const char *as, struct err *e)
{
	int r = placed_remove_stamped(l->to_top, as, l->stamps, file, false, e);

	return r < 0 ? r : 0;
}

static int update_state(const struct leaving *l, struct err *e)
{
	return l->renamed ? state_rename(l->top, l->state_name, &l->from, &l->to, e)
			  : state_drop(l->top, l->state_name, &l->from, e);
}

/* --- after a crash ----------------------------------------------------------------------------------------- */

static void leaving_release(struct leaving *l)
{
	step_place_release(&l->from);
	step_place_release(&l->to);
	closep(&l->stamps);
}

/* The place of the step NAME, of the same format as ITEM; NULL: V2. */
static int place_of(const char *name, const struct listed *item, struct step_place *out)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct step_place place = {.name = (char *)name, .format = STEP_V2};

	if (step_index_name(name, &file) < 0)
		return -ENOMEM;
	place.file = (char *)file.p;
	if (item) {
		place.format = item->place.format;
		place.shards = item->place.shards;
	}
	return step_place_copy(&place, out);
}

/* Reads the record into L, which is zeroed. -ENOENT: there is none; -EUCLEAN: it is not whole. */
static int read_record(int top, struct leaving *l, struct err *e)
{
	CLEANUP(closep) int fd = dir_fd(top, STEP_LEAVING, e);
	CLEANUP(listing_release) struct listing list = {0};
	char from[NAME_MAX + 1], to[NAME_MAX + 1];
	const struct listed *item;
	int r = fd < 0 ? fd : step_link_read(fd, "from", from);

	if (fd < 0 || r < 0)
		return fd < 0 ? fd : err_sys(e, r == -ENOENT ? -EUCLEAN : r, STEP_LEAVING "/from");
	l->arriving = step_link_read(fd, "arriving", to) == 0;
	l->renamed = step_link_read(fd, "to", to) == 0;
	l->stamps = dir_fd(fd, "files", e);
	r = l->stamps < 0 ? l->stamps : listing_read(top, l->state_name, &list, e);
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	item = listing_find(&list, LISTED_STEP, from);
	if (!item && l->renamed)
		item = listing_find(&list, LISTED_STEP, to);
	if (!item && (r = listing_is_sure(&list, e)) < 0)
		return r;
	r = place_of(from, item, &l->from);
	if (r == 0 && l->renamed)
		r = place_of(to, item, &l->to);
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

static int describe(const struct leaving *l, bool whole, struct buf *done)
{
	int r;

	if (l->renamed)
		r = buf_printf(done, "%s: renaming it to %s was interrupted, and is %s",
			       l->from.name, l->to.name, whole ? "finished" : "taken back");
	else if (l->arriving)
		r = buf_printf(done, "%s: moving it here was interrupted, and is taken back",
			       l->from.name);
	else
		r = buf_printf(done, "%s: removing it was interrupted, and is finished",
			       l->from.name);
	return r == 0 ? buf_add_byte(done, 0) : r;
}

/* END_DRAFT: the draft of a step that is removed is removed too. Nobody may be at work on it. */
static int resume(int top, const char *state_name, bool end_draft, struct buf *done, struct err *e)
{
	CLEANUP(leaving_release)
	struct leaving l = {.top = top, .to_top = top, .stamps = -1, .state_name = state_name};
	int r = remove_part(top, e);
	bool whole;

	if (r == 0)
		r = read_record(top, &l, e);

	if (r < 0)
		return r == -ENOENT ? io_remove_all(top, UNMADE, e) : r;
	r = l.renamed ? for_each_file(&l, true, lacks_name, e) : 0;
	if (r < 0)
		return r;
	whole = r == 0;
	if (r == 0 && end_draft && !l.renamed && !l.arriving)
		r = drafts_remove(top, l.from.name, e);
	if (whole && r == 0 && !l.arriving)
		r = update_state(&l, e);
	if (r >= 0)
		r = for_each_file(&l, false, whole ? take_old_name : take_name_back, e);
	if (r == 0)
		r = remove_record(top, e);
	if (r == 0 && describe(&l, whole, done) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	return r;
}

int step_files_resume(int top, const char *state_name, struct buf *done, struct err *e)
{
	return resume(top, state_name, true, done, e);
}

/* --- renaming and removing --------------------------------------------------------------------------------- */

/* Makes the record, and L of it. What an earlier record says is done first: it is of something that failed. TO: or
 * NULL. */
static int start(const struct step_files *f, const struct step_place *from, const char *to,
		 struct leaving *l, struct err *e)
{
	CLEANUP(buf_release) struct buf done = {0};
	int r = resume(f->top, f->state_name, false, &done, e);

	if (r == 0)
		r = prepare_record(f, from, f->top, to, e);
	if (r == 0)
		r = enter_record(f->top, e);
	if (r < 0)
		return r;
	*l = (struct leaving){
		.top = f->top, .to_top = f->top, .state_name = f->state_name, .from = *from};
	r = l->stamps = dir_fd(f->top, STEP_LEAVING "/files", e);
	if (r < 0) /* nothing is done, now or later */
		remove_record(f->top, NULL);
	return r < 0 ? r : 0;
}

/* Takes all back. No old name was taken away yet. */
static void give_up(struct leaving *l)
{
	if (l->renamed && for_each_file(l, false, take_name_back, NULL) < 0)
		return;
	remove_record(l->top, NULL);
}

/* If R is 0: changes the state file and takes the old names away. Else, or if the state file can't be changed,
 * takes all back. It is changed twice: where only its sync has failed, there is nothing to change then. */
static int finish(struct leaving *l, int r, struct err *e)
{
	if (r == 0 && (r = update_state(l, e)) < 0)
		r = update_state(l, NULL) == 0 ? 0 : r;
	if (r < 0)
		give_up(l);
	else
		r = for_each_file(l, false, take_old_name, e);
	closep(&l->stamps);
	return r;
}

int step_rename(const struct step_files *f, const struct step_place *from, const char *to,
		struct err *e)
{
	struct leaving l;
	int r;

	r = step_name_is_free(f->top, NULL, to, e);
	if (r <= 0)
		return r < 0 ? r : err_set(e, -EEXIST, "%s: something of that name is there", to);
	r = start(f, from, to, &l, e);
	if (r < 0)
		return r;
	l.renamed = true;
	l.to = *from;
	l.to.name = (char *)to;
	r = for_each_file(&l, true, give_name, e);
	if (r == 0)
		r = io_sync(f->top, "the checkpoint directory", e);
	r = finish(&l, r, e);
	return r < 0 ? r : remove_record(f->top, e);
}

int step_remove(const struct step_files *f, const struct step_place *place, struct err *e)
{
	struct leaving l;
	int r = start(f, place, NULL, &l, e);

	if (r < 0)
		return r;
	return finish(&l, 0, e);
}

void step_remove_end(const struct step_files *f)
{
	remove_record(f->top, NULL);
}

/* --- to another folder ------------------------------------------------------------------------------------- */

/* The record of TOP counts no longer, also after a crash; its stamps are still there. */
static int suspend_record(int top, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	int r = made_in_place(top) ? io_mark(top, MAKING, e)
				   : io_move(top, STEP_LEAVING, top, UNMADE, e);

	if (r == 0)
		r = fd = dir_fd(top, ".ckptfs", e);
	return r < 0 ? r : io_sync(fd, ".ckptfs", e);
}

/* A record that was prepared or suspended is not needed any more. */
static void drop_record(int top)
{
	io_remove_all(top, UNMADE, NULL);
	remove_part(top, NULL);
}

/* Prepares the record of the removal, and enters that of the arrival. */
static int start_move(const struct step_files *f, const struct step_place *from, int to_dir,
		      const char *to, struct err *e)
{
	CLEANUP(buf_release) struct buf done = {0};
	int r = resume(f->top, f->state_name, false, &done, e);

	if (r == 0)
		r = resume(to_dir, f->state_name, false, &done, e);
	if (r == 0 && (r = step_name_is_free(to_dir, NULL, to, e)) >= 0)
		r = r ? 0 : err_set(e, -EEXIST, "%s: something of that name is there", to);
	if (r == 0)
		r = prepare_record(f, from, f->top, NULL, e);
	if (r == 0)
		r = prepare_record(f, from, to_dir, to, e);
	return r == 0 ? enter_record(to_dir, e) : r;
}

/* Places all files, and lets the removal begin. */
static int arrive(struct leaving *l, struct err *e)
{
	int r = l->stamps =
		dir_fd(l->top, made_in_place(l->top) ? STEP_LEAVING "/files" : UNMADE "/files", e);

	if (r >= 0)
		r = for_each_file(l, true, give_name, e);
	if (r == 0)
		r = io_sync(l->to_top, "the checkpoint directory", e);
	if (r == 0)
		r = suspend_record(l->to_top, e);
	if (r == 0)
		r = enter_record(l->top, e);
	return r == 0 ? state_drop(l->top, l->state_name, &l->from, e) : r;
}

/* Takes all back. No old name was taken away yet. First of all nothing must be removed after a crash; if that can't be
 * had, the move is ended by the next mount. */
static void take_back(struct leaving *l)
{
	int r = suspend_record(l->top, NULL);

	if (r < 0 && r != -ENOENT)
		return;
	r = enter_record(l->to_top, NULL); /* it may be there still */
	if ((r < 0 && r != -EEXIST && r != -ENOENT) ||
	    for_each_file(l, false, take_name_there, NULL) < 0)
		return;
	remove_record(l->to_top, NULL);
}

int step_move(const struct step_files *f, const struct step_place *from, int to_dir, const char *to,
	      struct err *e)
{
	struct leaving l = {.top = f->top,
			    .to_top = to_dir,
			    .stamps = -1,
			    .state_name = f->state_name,
			    .from = *from,
			    .to = *from,
			    .renamed = true};
	int r = 0;

	/* Nor may a record be left there, by which a copy could be removed. */
	if (lacks_at(to_dir) & LACKS_LINKS)
		return err_set(e, -EXDEV, "%s: there are no hard links to move it by", from->name);
	r = start_move(f, from, to_dir, to, e);
	l.to.name = (char *)to;
	if (r == 0 && (r = arrive(&l, e)) < 0)
		take_back(&l);
	if (r == 0) {
		l.renamed = false;
		r = for_each_file(&l, false, take_old_name, e);
		if (r == 0)
			r = remove_record(f->top, e);
	}
	closep(&l.stamps);
	drop_record(to_dir);
	drop_record(f->top);
	return r;
}
