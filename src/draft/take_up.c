#include "draft/take_up.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/lacks.h"
#include "draft/disk.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/pins.h"
#include <fcntl.h>
#include <limits.h>

struct reading {
	struct draft *d;
	bool published; /* so files may be shards of a step */
};

static int read_folder(struct reading *r, struct draft_item *dir, int fd, struct err *e);

static int read_gone(struct draft *d, struct draft_item *dir, int fd, struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(fd, GONE);
	const struct dirent *de;

	if (!s)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", GONE);
	while ((de = dir_next(s)))
		overlay_hide(d, dir, de->d_name); /* a name that nothing has is no mark */
	return errno ? err_sys(e, -errno, "%s", GONE) : 0;
}

/* The variable of S whose key has that path; NULL: none. -ENOMEM. */
static int find_by_path(const struct step *s, struct bytes path, const struct var **out)
{
	CLEANUP(buf_release) struct buf key = {0};
	int r = -ENOENT;

	*out = NULL;
	if (bytes_ends(path, bytes_str(VAR_ENDING)))
		r = name_from_path(s->object_based ? NAME_OBJECT : NAME_PLAIN,
				   bytes_of(path.p, path.n - strlen(VAR_ENDING)), &key);
	if (r == 0)
		*out = step_find(s, buf_bytes(&key));
	if (*out && (*out)->kind == VAR_PART)
		*out = NULL;
	return r == -ENOENT ? 0 : r;
}

/* What the link's target says: pin, kind and number. */
static int resolve(struct reading *rd, const char *target, struct draft_item *i, struct err *e)
{
	const char *slash = strchrnul(target, '/'), *path = *slash ? slash + 1 : slash;
	int pin = draft_pin_by_name(rd->d, bytes_of(target, (size_t)(slash - target)), e);
	const struct var *v;

	if (pin < 0)
		return pin;
	i->pin = (uint32_t)pin;
	i->number = text_kind_of(path);
	i->what = i->number < N_TEXTS ? DRAFT_TEXT : DRAFT_VAR;
	if (i->what == DRAFT_TEXT)
		return 0;
	if (find_by_path(rd->d->pins[pin].step, bytes_str(path), &v) < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (!v)
		return err_set(e, -EUCLEAN, "leads to %s, which is not there", target);
	i->number = (uint32_t)(v - rd->d->pins[pin].step->vars);
	i->own_name = draft_has_own_name(rd->d, i);
	return 0;
}

/* Its target into TARGET: 1; 0: it is a file. */
static int is_link(int fd, const char *name, int type, char target[PATH_MAX + 1], struct err *e)
{
	ssize_t n;

	if (type != DT_LNK && !(lacks_at(fd) & LACKS_SYMLINKS))
		return 0;
	n = io_read_link(fd, name, target, PATH_MAX);
	if (n < 0)
		return n == -EINVAL ? 0 : err_sys(e, (int)n, "readlink");
	target[n] = 0;
	return 1;
}

static int read_link(struct reading *rd, struct draft_item *i, const char *target, struct err *e)
{
	i->on_disk = true;
	return resolve(rd, target, i, e);
}

/* A file in the tree lies over what the base shows there. */
static int read_file(const struct reading *rd, struct draft_item *i, int fd, struct err *e)
{
	struct draft_owner owner;
	struct stat st;

	if (fstatat(fd, i->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "stat");
	owner = (struct draft_owner){st.st_uid, st.st_gid, st.st_mode};
	if (items_stage(i, &owner) < 0)
		return err_set(e, -ENOMEM, "no memory");
	i->staged->shared = rd->published;
	i->on_disk = true;
	return 0;
}

static int read_subfolder(struct reading *rd, struct draft_item *i, int fd, struct err *e)
{
	CLEANUP(closep) int sub = dir_fd(fd, i->name, e);

	i->on_disk = true;
	return sub < 0 ? sub : read_folder(rd, i, sub, e);
}

static int read_item(struct reading *rd, struct draft_item *dir, int fd, const struct dirent *de,
		     struct err *e)
{
	struct draft *d = rd->d;
	struct draft_item *i = NULL;
	char target[PATH_MAX + 1];
	int type = dir_type(fd, de);
	enum draft_what what = type == DT_DIR ? DRAFT_DIR : DRAFT_STAGED;
	int r = type == DT_UNKNOWN ? err_sys(e, -errno, "looking at it")
				   : overlay_need_named(d, dir, de->d_name, &i);

	if (r < 0 && r != -ENOENT)
		return type == DT_UNKNOWN ? r : err_set(e, r, "no memory");
	if (i && (i->what == DRAFT_DIR) != (what == DRAFT_DIR))
		return err_set(e, -EUCLEAN,
			       what == DRAFT_DIR ? "is a folder here and none in the base"
						 : "is no folder here and one in the base");
	if (!i)
		i = items_add(d, dir, de->d_name, strlen(de->d_name), what, 0);
	if (!i)
		return err_set(e, -ENOMEM, "no memory");
	if (type == DT_DIR)
		return read_subfolder(rd, i, fd, e);
	r = is_link(fd, i->name, type, target, e);
	if (r < 0)
		return r;
	return r ? read_link(rd, i, target, e) : read_file(rd, i, fd, e);
}

static int read_folder(struct reading *rd, struct draft_item *dir, int fd, struct err *e)
{
	int r = read_gone(rd->d, dir, fd, e);
	CLEANUP(dir_closep) DIR *s = r < 0 ? NULL : dir_open(fd, ".");
	const struct dirent *de;
	struct stat st;

	if (fstat(fd, &st) == 0)
		dir->entered = st.st_mtim;

	if (r == 0 && !s)
		r = err_sys(e, -errno, "opening a folder");
	while (r == 0 && (de = dir_next(s))) {
		if (!strcmp(de->d_name, GONE) || dir_is_removed(de->d_name))
			continue;
		r = read_item(rd, dir, fd, de, e);
		if (r < 0)
			err_wrap(e, r, "%s", de->d_name);
	}
	return r < 0 || !errno ? r : err_sys(e, -errno, "reading a folder");
}

int take_up_tree(struct draft *d, struct err *e)
{
	struct reading rd = {.d = d,
			     .published =
				     faccessat(d->fd, DRAFT_NOTE, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
				     errno != ENOENT};
	CLEANUP(closep) int tree = dir_fd(d->fd, "tree", e);
	int r = io_remove_all(d->fd, NEW, e);

	if (r == 0)
		r = tree < 0 ? tree : read_folder(&rd, d->root, tree, e);
	return r;
}
