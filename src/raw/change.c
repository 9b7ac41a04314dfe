/* src/raw/change.c: names are made, renamed and removed. */
#include "base/cleanup.h"
#include "base/io.h"
#include "directory/latest.h"
#include "raw/gone.h"
#include "raw/node.h"
#include "raw/place.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* --- making ----------------------------------------------------------------------------------------------------------- */

/* Is NAME in PARENT to be made in the directory? 1; 0: the view makes it. -EEXIST: it is there. */
static int is_made_here(struct raw *r, uint64_t parent, const char *name, struct raw_place *p,
			struct err *e)
{
	struct view_entry entry;
	int found = strlen(name) > NAME_MAX ? -ENAMETOOLONG : raw_place_find(r, parent, name, p, e);

	if (found < 0)
		return found;
	if (p->is_ours && p->is_there)
		return -EEXIST;
	if (p->dirfd < 0)
		return 0;
	if (!r->view->writable)
		return -EROFS;
	if (p->is_ours)
		return 1;
	found = view_lookup(r->view, parent, p->name, &entry, e);
	if (found == 0)
		view_forget(r->view, entry.id, 1);
	return found == 0 ? -EEXIST : found == -ENOENT ? 1 : found;
}

/* What was made belongs to MAKER, and to the group of a folder that says so. Who is not root makes all as themselves. */
static int give_to(int dirfd, int fd, const struct draft_owner *maker, struct err *e)
{
	struct stat folder, made;
	gid_t gid = maker->gid;

	if (fstat(dirfd, &folder) < 0 || fstat(fd, &made) < 0)
		return err_sys(e, -errno, "fstat");
	if (folder.st_mode & S_ISGID)
		gid = folder.st_gid;
	if (geteuid() == 0 && fchown(fd, maker->uid, gid) < 0)
		return err_sys(e, -errno, "fchown");
	/* The bit is handed down to a folder. */
	if (fchmod(fd, (maker->mode & 07777) |
			       (S_ISDIR(made.st_mode) ? folder.st_mode & S_ISGID : 0)) < 0)
		return err_sys(e, -errno, "fchmod");
	return 0;
}

/* OUT is for the new file NAME, which FD has open; the kernel gets a reference. With OPENED it stays open. */
static int entedonenew(struct raw *r, uint64_t parent, const char *name, int flags, int *fd,
		       struct view_entry *out, struct raw_file **opened, struct raw_cache *cache,
		       struct err *e)
{
	struct stat st;
	int done = fstat(*fd, &st) < 0 ? err_sys(e, -errno, "%s", name) : 0;

	if (done < 0)
		return done;
	*out = (struct view_entry){
		.id = raw_node_enter(r, parent, name, &st), .st = st, .fleeting = true};
	if (!out->id)
		return err_set(e, -ENOMEM, "no memory");
	if (opened)
		done = raw_file_of_fd(r, out->id, TAKE(*fd, -1), flags, opened, cache, e);
	if (done < 0)
		raw_forget(r, out->id, 1);
	return done;
}

/* If anything fails the file is removed again. */
static int create_ours(struct raw *r, uint64_t parent, const char *name, int flags, int dirfd,
		       const struct draft_owner *owner, struct view_entry *entry,
		       struct raw_file **out, struct raw_cache *cache, struct err *e)
{
	CLEANUP(closep) int fd = io_create(dirfd, name, 0600, e);
	int made = fd < 0 ? fd : give_to(dirfd, fd, owner, e);

	if (fd < 0)
		return fd;
	if (made == 0 && flags & O_APPEND && fcntl(fd, F_SETFL, O_APPEND) < 0)
		made = err_sys(e, -errno, "%s", name);
	if (made == 0)
		made = entedonenew(r, parent, name, flags, &fd, entry, out, cache, e);
	if (made < 0)
		io_remove_file(dirfd, name, NULL);
	return made;
}

static int create_of_view(struct raw *r, uint64_t parent, const char *name, int flags,
			  const struct draft_owner *owner, struct view_entry *entry,
			  struct raw_file **out, struct raw_cache *cache, struct err *e)
{
	struct view_file *of;
	int made = view_create(r->view, parent, name, owner, entry, out ? &of : NULL, e);

	if (made < 0 || !out)
		return made;
	made = raw_file_of_view(r, of, flags, out, cache);
	if (made < 0) {
		view_close(of);
		view_forget(r->view, entry->id, 1);
		err_set(e, made, "no memory");
	}
	return made;
}

int raw_create(struct raw *r, uint64_t parent, const char *name, int flags,
	       const struct draft_owner *owner, struct view_entry *entry, struct raw_file **out,
	       struct raw_cache *cache, struct err *e)
{
	CLEANUP(raw_place_release) struct raw_place p = {.dirfd = -1};
	int here = is_made_here(r, parent, name, &p, e);

	if (here < 0)
		return here;
	return here ? create_ours(r, parent, name, flags, p.dirfd, owner, entry, out, cache, e)
		    : create_of_view(r, parent, name, flags, owner, entry, out, cache, e);
}

int raw_mkdir(struct raw *r, uint64_t parent, const char *name, const struct draft_owner *owner,
	      struct view_entry *out, struct err *e)
{
	CLEANUP(raw_place_release) struct raw_place p = {.dirfd = -1};
	CLEANUP(closep) int fd = -1;
	int here = is_made_here(r, parent, name, &p, e), made;

	if (here <= 0)
		return here < 0 ? here : view_mkdir(r->view, parent, name, owner, out, e);
	made = io_make_folder(p.dirfd, name, 0700, e);
	if (made < 0)
		return made;
	fd = openat(p.dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	made = fd < 0 ? err_sys(e, -errno, "%s", name) : give_to(p.dirfd, fd, owner, e);
	if (made == 0)
		made = raw_lookup(r, parent, name, 0, out, e);
	if (made < 0)
		io_remove_folder(p.dirfd, name, NULL);
	return made;
}

int raw_symlink(struct raw *r, uint64_t parent, const char *name, const char *target,
		const struct draft_owner *owner, struct view_entry *out, struct err *e)
{
	CLEANUP(raw_place_release) struct raw_place p = {.dirfd = -1};
	CLEANUP(buf_release) struct buf step = {0};
	int here = is_made_here(r, parent, name, &p, e), made = -EPERM;

	if (here < 0)
		return here;
	if (here && raw_place_step(p.dirfd, target, &step) < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (!raw_is(parent))
		made = view_symlink(r->view, parent, name, here ? (char *)step.p : target, out, e);
	if (!here || made != -EPERM)
		return made;
	made = io_make_name_link(target, p.dirfd, name, e);
	if (made < 0)
		return made;
	if ((geteuid() == 0 &&
	     fchownat(p.dirfd, name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) < 0) ||
	    fstatat(p.dirfd, name, &out->st, AT_SYMLINK_NOFOLLOW) < 0)
		made = err_sys(e, -errno, "%s", name);
	else if (!(out->id = raw_node_enter(r, parent, name, &out->st)))
		made = err_set(e, -ENOMEM, "no memory");
	if (made < 0)
		io_remove_file(p.dirfd, name, NULL);
	out->fleeting = true;
	return made;
}

/* --- removing ----------------------------------------------------------------------------------------------------------- */

/* Was NAME shown of a file that is gone? Now that goes, too. */
static bool take_gone(struct raw *r, uint64_t parent, const char *name)
{
	bool taken = raw_gone_take(r, parent, name);

	if (taken)
		raw_node_leave(r, parent, name);
	return taken;
}

int raw_unlink(struct raw *r, uint64_t parent, const char *name, struct err *e)
{
	CLEANUP(raw_place_release) struct raw_place p = {.dirfd = -1};
	struct view_entry unlisted;
	int done = raw_place_find(r, parent, name, &p, e);

	if (done < 0)
		return done;
	if (!p.is_there && take_gone(r, parent, name))
		return 0;
	if (p.is_ours) {
		if (!r->view->writable)
			return -EROFS;
		done = io_remove_file(p.dirfd, name, e);
		if (done == 0) {
			raw_node_leave(r, parent, name);
			raw_gone_note(r, parent, name);
		}
		return done;
	}
	done = view_unlink(r->view, parent, p.name, e);
	if (done != -ENOENT || r->all || raw_lookup(r, parent, name, 0, &unlisted, NULL) < 0)
		return done;
	raw_forget(r, unlisted.id, 1);
	return err_set(e, -EPERM,
		       "%s: a file of a step is only read; mount with -o raw to remove it", name);
}

int raw_rmdir(struct raw *r, uint64_t parent, const char *name, struct buf *changes, struct err *e)
{
	CLEANUP(raw_place_release) struct raw_place p = {.dirfd = -1};
	int done = raw_place_find(r, parent, name, &p, e);

	if (done < 0)
		return done;
	if (!p.is_there && take_gone(r, parent, name))
		return 0;
	if (!p.is_ours)
		done = view_rmdir(r->view, parent, p.name, changes, e);
	if (!p.is_ours && done == 0)
		raw_gone_note_step(r, parent, p.name);
	/* Not found: it was shown a moment ago, and is not any more. */
	if (!p.is_ours && !(done == -ENOENT && p.is_there))
		return done;
	if (!r->view->writable)
		return -EROFS;
	done = io_remove_folder(p.dirfd, name, e);
	if (done == 0)
		raw_node_leave(r, parent, name);
	return done == -EEXIST ? -ENOTEMPTY : done;
}

/* --- renaming ----------------------------------------------------------------------------------------------------------- */

static int rename_on_disk(const struct raw_place *from, const char *name,
			  const struct raw_place *to, const char *to_name, unsigned flags,
			  struct err *e)
{
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE)
		return io_exchange(from->dirfd, name, to->dirfd, to_name, e);
	return flags & RENAME_NOREPLACE ? io_move_new(from->dirfd, name, to->dirfd, to_name, e)
					: io_move(from->dirfd, name, to->dirfd, to_name, e);
}

/* FROM is ours. A folder that has another name is perhaps the view's from now on, so it is looked up again. */
static int rename_ours(struct raw *r, uint64_t from_dir, const char *from, uint64_t to_dir,
		       const char *to, unsigned flags, const struct raw_place *a,
		       const struct raw_place *b, struct buf *changes, struct err *e)
{
	bool is_folder = S_ISDIR(a->st.st_mode), exchange = flags & RENAME_EXCHANGE;
	int done;

	if (b->dirfd < 0)
		return -EXDEV;
	if (!r->view->writable)
		return -EROFS;
	if (buf_reserve(changes, 2 * sizeof(struct view_change)) < 0)
		return err_set(e, -ENOMEM, "no memory");
	done = rename_on_disk(a, from, b, to, flags, e);
	if (done < 0)
		return done == -EEXIST && is_folder && !flags ? -ENOTEMPTY : done;
	/* Without memory the kernel asks for the names again. */
	raw_node_move(r, from_dir, from, to_dir, to, exchange);
	if (is_folder) {
		raw_node_leave(r, to_dir, to);
		view_add_change(changes, to_dir, to);
	}
	return 0;
}

/* As `latest`, which is not in the directory. */
static bool is_link_of_view(struct raw *r, uint64_t parent, const char *name)
{
	struct view_entry entry;

	if (raw_is(parent) || view_lookup(r->view, parent, name, &entry, NULL) < 0)
		return false;
	view_forget(r->view, entry.id, 1);
	return S_ISLNK(entry.st.st_mode);
}

int raw_rename(struct raw *r, uint64_t from_dir, const char *from, uint64_t to_dir, const char *to,
	       unsigned flags, struct buf *changes, struct err *e)
{
	CLEANUP(raw_place_release) struct raw_place a = {.dirfd = -1}, b = {.dirfd = -1};
	int found =
		strlen(to) > NAME_MAX ? -ENAMETOOLONG : raw_place_find(r, from_dir, from, &a, e);

	if (found == 0)
		found = raw_place_find(r, to_dir, to, &b, e);
	if (found < 0)
		return found;
	if (a.is_ours && !strcmp(to, LATEST_NAME) && is_link_of_view(r, to_dir, b.name))
		return err_set(e, -EPERM, "%s: the state file says where it leads", to);
	if (!a.is_ours && raw_is(to_dir))
		return -EXDEV;
	/* A link to a step takes the place of a file or another link. */
	if (!a.is_ours && !(a.is_there && S_ISLNK(a.st.st_mode) && b.is_ours)) {
		found = view_rename(r->view, from_dir, a.name, to_dir, b.name, flags, changes, e);
		if (found != -ENOENT || !a.is_there) /* see raw_rmdir */
			return found;
	}
	return rename_ours(r, from_dir, from, to_dir, to, flags, &a, &b, changes, e);
}
