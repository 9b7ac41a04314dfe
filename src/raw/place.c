#include "raw/place.h"
#include "base/cleanup.h"
#include "directory/listing.h"
#include "raw/node.h"
#include <fcntl.h>

void raw_place_release(struct raw_place *p)
{
	closep(&p->dirfd);
	buf_release(&p->step);
}

bool raw_place_hides(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode);
}

bool raw_place_is_of_step(const struct raw *r, const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t prefix_n;
	uint32_t of;

	name_without_shard(name, &of);
	return of || name_is_data(name, &prefix_n, &of) ||
	       (dot && (!strcmp(dot, ".index") || !strcmp(dot + 1, r->view->meta_suffix)));
}

static int stat_place(struct raw_place *p, const char *name, struct err *e)
{
	p->is_there = fstatat(p->dirfd, name, &p->st, AT_SYMLINK_NOFOLLOW) == 0;
	return p->is_there || errno == ENOENT ? 0 : err_sys(e, -errno, "%s", name);
}

/* Does the view show something of KIND, which is S_IFDIR or S_IFLNK, as NAME in PARENT? -ENOENT: it does not. */
static int look(struct raw *r, uint64_t parent, const char *name, mode_t kind, struct err *e)
{
	struct view_entry entry;
	int found = view_lookup(r->view, parent, name, &entry, e);

	if (found < 0)
		return found;
	view_forget(r->view, entry.id, 1);
	return (entry.st.st_mode & S_IFMT) == kind ? 0 : -ENOENT;
}

/* Is the folder or link NAME, which the directory has, shown by the view? 1, 0, or an error. */
static int is_shown(struct raw *r, uint64_t parent, const char *name, mode_t kind, struct err *e)
{
	int found;

	if (!strcmp(name, ".ckptfs"))
		return 1;
	if (raw_node_settle(r, parent, name))
		return 0;
	found = look(r, parent, name, kind, e);
	return found == -ENOENT ? 0 : found < 0 ? found : 1;
}

int raw_place_step(int dirfd, const char *name, struct buf *out)
{
	size_t n = strlen(name), clash = strlen(RAW_CLASH);
	int r = buf_add(out, name, n + 1);

	if (r < 0 || n <= clash || strcmp(name + n - clash, RAW_CLASH) != 0)
		return r;
	out->p[n - clash] = 0;
	if (!raw_place_hides(dirfd, (char *)out->p))
		out->p[n - clash] = RAW_CLASH[0];
	return 0;
}

/* Is NAME none of a step's folder? A trainer makes files of such names: the view need not list the folder anew for each. But a step may
 * be called x.meta. */
static bool is_never_shown(const struct raw *r, int dirfd, const char *name)
{
	CLEANUP(buf_release) struct buf index = {0};

	return (name_is_temporary(name) || raw_place_is_of_step(r, name)) &&
	       step_index_name(name, &index) == 0 &&
	       faccessat(dirfd, (char *)index.p, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

/* The same in a folder that both show. */
static int find_in_both(struct raw *r, uint64_t parent, const char *name, struct raw_place *p,
			struct err *e)
{
	int shown = 0, found = stat_place(p, name, e);

	if (found < 0)
		return found;
	if (!p->is_there) {
		if (raw_place_step(p->dirfd, name, &p->step) < 0)
			return err_set(e, -ENOMEM, "no memory");
		p->name = (char *)p->step.p;
	}
	if (p->is_there && (S_ISDIR(p->st.st_mode) || S_ISLNK(p->st.st_mode)))
		shown = is_shown(r, parent, name, p->st.st_mode & S_IFMT, e);
	if (shown < 0)
		return shown;
	p->is_ours = p->is_there ? !shown : is_never_shown(r, p->dirfd, name);
	return 0;
}

int raw_place_find(struct raw *r, uint64_t parent, const char *name, struct raw_place *out,
		   struct err *e)
{
	int found;

	*out = (struct raw_place){.dirfd = -1, .name = name};
	if (!raw_is(parent) && !r->all)
		return 0;
	raw_node_settle(r, parent, name);
	out->dirfd = raw_node_open_folder(r, parent, e);
	if (out->dirfd == -ENOTDIR && !raw_is(parent)) /* in a step */
		return 0;
	if (out->dirfd < 0)
		return out->dirfd;
	if (!raw_is(parent))
		return find_in_both(r, parent, name, out, e);
	found = stat_place(out, name, e);
	out->is_ours = true;
	return found;
}
