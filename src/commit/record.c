#include "commit/record.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "directory/file_stamp.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "directory/step_files.h"
#include "step/sidecar.h"
#include <fcntl.h>

/* --- the name ---------------------------------------------------------------------------------------------- */

int record_name(int fd, const char *name, bool goes_on, struct err *e)
{
	int r = io_remove_all(fd, "name", e);

	if (r == 0 && goes_on)
		r = io_mark(fd, "goes-on", e);
	return r < 0 ? r : step_link_make(name, fd, "name", e);
}

int record_read_name(int draft, char name[NAME_MAX + 1], struct err *e)
{
	int r = step_link_read(draft, "commit/name", name);

	if (r < 0) /* EINVAL: it was being made, before anything was done */
		return r == -ENOENT || r == -EINVAL ? 0 : err_sys(e, r, "commit/name");
	return 1;
}

int record_goes_on(int draft, struct err *e)
{
	if (faccessat(draft, "commit/goes-on", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, -errno, "commit/goes-on");
}

/* Is NAME in the folder FOLDER of DR? 1, 0, or why that can't be known. */
static int is_in(int draft, const char *folder, const char *name, struct err *e)
{
	CLEANUP(closep) int fd = dir_fd(draft, folder, NULL);

	if (fd < 0)
		return fd == -ENOENT ? 0 : err_sys(e, fd, "%s", folder);
	if (faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", name);
}

/* The format (enum step_format) of the step NAME that the commit under way makes, or why that can't be known. */
static int find_format(int draft, const char *name, struct err *e)
{
	int r = is_in(draft, "commit", RECORD_V1, e);

	if (r == 0)
		r = is_in(draft, "commit/moved", name, e);
	return r < 0 ? r : r ? STEP_V1 : STEP_V2;
}

int record_is_published(int top, int draft, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	CLEANUP(closep) int moved = -1;
	int format = find_format(draft, name, e);
	const char *own = format == STEP_V2 ? "commit/" RECORD_INDEX : "commit/" RECORD_V1;
	struct stat ours, there;

	if (format < 0)
		return format;
	if (step_file_name((enum step_format)format, name, &file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (fstatat(top, (char *)file.p, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", (char *)file.p);
	if (fstatat(draft, own, &ours, AT_SYMLINK_NOFOLLOW) == 0)
		return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
	if (errno != ENOENT)
		return err_sys(e, -errno, "%s", own);
	moved = dir_fd(draft, "commit/moved", NULL); /* where there are no hard links */
	if (moved < 0)
		return errno == ENOENT ? 0 : err_sys(e, moved, "commit/moved");
	return file_stamp_fits(moved, (char *)file.p, top, (char *)file.p, e);
}

int record_kept(int fd, const char *name, struct err *e)
{
	int r = io_remove_all(fd, "kept", e);

	return r < 0 || !name ? r : step_link_make(name, fd, "kept", e);
}

/* --- what is replaced -------------------------------------------------------------------------------------- */

int record_old(int fd, int top, const char *name, struct err *e)
{
	CLEANUP(closep) int stamps = -1;
	int r = io_make_folder(fd, "old", 0777, e);

	if (r == 0 || r == -EEXIST)
		r = stamps = dir_fd(fd, "old", e);
	return r < 0 ? r : file_stamp_make(top, name, stamps, name, e);
}

/* Calls placed_remove_stamped for each name in the folder STAMPS. How many are gone. */
static int remove_stamped(int top, int draft, const char *stamps, bool or_mark, struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(draft, stamps);
	const struct dirent *de;
	int r = s || errno == ENOENT ? 0 : err_sys(e, -errno, "%s", stamps), n = 0;

	while (s && r >= 0 && (de = dir_read(s, &r))) {
		r = placed_remove_stamped(top, de->d_name, dirfd(s), de->d_name, or_mark, e);
		n += r > 0;
	}
	return r < 0 ? r : n;
}

int record_drop_old(int top, int draft, struct err *e)
{
	return remove_stamped(top, draft, "commit/old", false, e);
}

/* Is the file NAME of TOP one that was there before? */
static bool is_old(int draft, const char *name)
{
	return is_in(draft, "commit/old", name, NULL) == 1;
}

/* --- whose a file is --------------------------------------------------------------------------------------- */

/* The files of a draft's folder: struct file_id, of which only dev and ino count. While a file is there no other can
 * have them. */
static int gather_ids(int parent, const char *name, struct buf *out)
{
	CLEANUP(dir_closep) DIR *s = dir_open(parent, name);
	const struct dirent *de;
	struct stat st;
	int r = s ? 0 : -errno;

	while (r == 0 && (de = dir_read(s, &r))) {
		if (fstatat(dirfd(s), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = errno == ENOENT ? 0 : -errno;
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			r = gather_ids(dirfd(s), de->d_name, out);
		} else if (S_ISREG(st.st_mode)) {
			struct file_id id = file_id_of(&st);

			r = buf_add(out, &id, sizeof id);
		}
	}
	return r;
}

static int is_one_of(const void *gathered, int dirfd, const char *name, struct err *e)
{
	const struct buf *in = gathered;
	const struct file_id *ids = (const struct file_id *)in->p;
	struct file_id id;
	int r = file_id_at(dirfd, name, &id, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!id.ino) /* then nothing was linked, but moved */
		return 0;
	for (size_t i = 0; i < in->n / sizeof *ids; i++)
		if (ids[i].dev == id.dev && ids[i].ino == id.ino)
			return 1;
	return 0;
}

/* Does FILE of TOP belong to the step NAME, as a shard or beside it? */
static bool belongs(const char *file, const char *name)
{
	size_t n = strlen(name), stem = sidecar_stem(name), prefix;
	uint32_t of;

	if (name_is_data(file, &prefix, &of))
		return prefix == n && !strncmp(file, name, n);
	return !strncmp(file, name, stem) && file[stem] == '.' &&
	       strcmp(file + stem, ".index") != 0;
}

/* --- taking back ------------------------------------------------------------------------------------------- */

/* Removes the links NAME of TOP that are to files of the draft, whose ids are IDS. How many. */
static int take_back_links(int top, int draft, const char *name, const struct buf *ids,
			   struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(top, ".");
	const struct dirent *de;
	int r = s ? 0 : err_sys(e, -errno, "what a commit of %s had begun", name), n = 0;

	while (r >= 0 && (de = dir_read(s, &r)))
		if (belongs(de->d_name, name) && !is_old(draft, de->d_name)) {
			r = placed_remove_if(top, de->d_name, is_one_of, ids, e);
			n += r > 0;
		}
	return r < 0 ? r : n;
}

/* The same of the step that was to be kept; its index first. */
static int take_back_kept(int top, int draft, const struct buf *ids, struct err *e)
{
	CLEANUP(buf_release) struct buf index = {0};
	char name[NAME_MAX + 1];
	int r = step_link_read(draft, "commit/kept", name), n;

	if (r < 0)
		return r == -ENOENT || r == -EINVAL ? 0 : err_sys(e, r, "commit/kept");
	if (step_index_name(name, &index) < 0)
		return err_set(e, -ENOMEM, "no memory");
	n = placed_remove_if(top, (char *)index.p, is_one_of, ids, e);
	r = n < 0 ? n : take_back_links(top, draft, name, ids, e);
	return r < 0 ? r : n + r;
}

/* Takes back the links that a commit has made which did not reach its end, and what it has moved there, as there were no
 * hard links. How many. */
static int take_back(int top, int draft, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf ids = {0};
	int r = gather_ids(draft, ".", &ids), n;

	if (r < 0)
		return err_sys(e, r, "what a commit of %s had begun", name);
	n = r = take_back_kept(top, draft, &ids, e);
	if (r >= 0)
		n += r = take_back_links(top, draft, name, &ids, e);
	if (r >= 0)
		n += r = remove_stamped(top, draft, "commit/moved", true, e);
	return r < 0 ? r : n;
}

int record_take_back(int top, int draft, struct err *e)
{
	char name[NAME_MAX + 1];
	int r = record_read_name(draft, name, e);

	return r == 1 ? take_back(top, draft, name, e) : r;
}

/* --- beginning and end ------------------------------------------------------------------------------------- */

int record_move(int fd, const char *own, int top, const char *name, bool over, struct err *e)
{
	CLEANUP(closep) int stamps = -1;
	int r = io_make_folder(fd, "moved", 0777, e);

	if (r == 0 || r == -EEXIST)
		r = stamps = dir_fd(fd, "moved", e);
	if (r >= 0)
		r = io_remove_all(stamps, name, e); /* of a name that was tried before */
	if (r == 0)
		r = file_stamp_make(fd, own, stamps, name, e);
	if (r < 0)
		return r;
	return over ? io_move(fd, own, top, name, e) : io_move_new(fd, own, top, name, e);
}

/* First what it is found by. */
bool record_is_there(int draft)
{
	return faccessat(draft, "commit", F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int record_forget(int draft, struct err *e)
{
	int r = io_remove_all(draft, "commit/name", e);

	return r < 0 ? r : io_remove_all(draft, "commit", e);
}

int record_begin(int top, int draft, struct err *e)
{
	int r = record_take_back(top, draft, e); /* of one that could not take them back */

	if (r >= 0)
		r = record_forget(draft, e);
	if (r == 0)
		r = io_make_folder(draft, "commit", 0777, e);
	return r < 0 ? r : dir_fd(draft, "commit", e);
}
