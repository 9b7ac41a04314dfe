#include "view/folder.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/source.h"
#include "directory/ability.h"
#include "directory/latest.h"
#include "directory/state_update.h"
#include "step/sidecar.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* --- opening ------------------------------------------------------------------------------------------------- */

int folder_add_path(const struct node *n, const struct node *above, struct buf *out)
{
	int r = 0;

	if (n->parent && n->parent != above) {
		r = folder_add_path(n->parent, above, out);
		if (r == 0)
			r = buf_add_byte(out, '/');
	}
	return r < 0 ? r : buf_add_str(out, n->parent ? n->place->name : ".");
}

/* One component at a time: no link on the way is followed, and the path may be longer than PATH_MAX. */
static int open_as(const struct view *v, const struct node *n, int how)
{
	CLEANUP(closep) int parent = n->parent ? open_as(v, n->parent, O_PATH) : -1;
	const char *name = n->parent ? n->place->name : ".";
	int fd;

	if (n->parent && parent < 0)
		return parent;
	fd = openat(n->parent ? parent : v->root_fd, name,
		    how | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
	return fd;
}

int folder_open(const struct view *v, const struct node *n, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	int fd = open_as(v, n, O_RDONLY);

	if (fd >= 0)
		return fd;
	if (folder_add_path(n, NULL, &path) < 0 || buf_add_byte(&path, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return err_sys(e, fd, "%s", (char *)path.p);
}

int view_open_folder(struct view *v, uint64_t id, struct err *e)
{
	struct node *n = view_node(v, id);

	if (!n)
		return -ESTALE;
	return n->kind == NODE_FOLDER && node_number(id) == NODE_ROOT_ID ? folder_open(v, n, e)
									 : -ENOTDIR;
}

int folder_open_parent(const struct view *v, const struct node *n, struct err *e)
{
	return folder_open(v, n->parent ? n->parent : n, e);
}

int folder_wrap(const struct node *n, int r, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};

	if (r < 0 && n->parent && folder_add_path(n, NULL, &path) == 0 &&
	    buf_add_byte(&path, 0) == 0)
		err_wrap(e, r, "%s", (char *)path.p + strlen("./"));
	return r;
}

int view_open_folder_of_link(struct view *v, uint64_t id, struct err *e)
{
	struct node *n = view_node(v, id);

	if (!n)
		return -ESTALE;
	return n->kind == NODE_LINK && node_number(id) == NODE_ROOT_ID ? folder_open_parent(v, n, e)
								       : -ENOTDIR;
}

/* --- watching ------------------------------------------------------------------------------------------------ */

enum {
	EVENTS = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB |
		 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
};

static bool is_watched(struct view *v, const struct node *n)
{
	HOLD(&v->lock);
	return n->watch;
}

/* Which names have changed so far is not known any more. */
static void forget_heard(struct node *n)
{
	n->heard.n = 0;
	n->heard_from = n->changes;
	n->compare_all = true;
}

void folder_watch(struct view *v, struct node *n, int dirfd)
{
	char path[32];
	int wd;

	if (v->inotify < 0 || is_watched(v, n) || !ability_hears_changes(dirfd))
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", dirfd);
	pthread_mutex_lock(
		&v->watching); /* before its first event is read the number stands here */
	wd = inotify_add_watch(v->inotify, path, EVENTS);
	if (wd >= 0) {
		bool hears_all = ability_hears_all(dirfd);

		pthread_mutex_lock(&v->lock);
		n->watch = wd;
		n->hears_all = hears_all;
		n->changes++; /* what was read before may have changed unheard */
		n->compared = n->changes;
		forget_heard(n);
		pthread_mutex_unlock(&v->lock);
	}
	pthread_mutex_unlock(&v->watching);
}

/* What is written or touched in its place may have other names, too: hard links. */
static bool concerns_others(uint32_t mask)
{
	return mask & (IN_CLOSE_WRITE | IN_ATTRIB) && !(mask & IN_ISDIR);
}

/* Names that nobody has looked at for so long are forgotten, as if inotify had lost them. */
enum { MAX_HEARD = 64 << 10 };

/* Notes EVENT, which is of the folder N. */
static void note_event(struct node *n, const struct inotify_event *event)
{
	const char *name = event->len ? event->name : NULL;

	if (name && !strcmp(name, ".ckptfs"))
		name = "";
	n->changes++;
	n->compare_all = n->compare_all || concerns_others(event->mask);
	if (event->mask & IN_IGNORED)
		n->watch = 0;
	if (!name || n->heard.n > MAX_HEARD || buf_add(&n->heard, name, strlen(name) + 1) < 0)
		forget_heard(n); /* events were lost, or it is of the folder itself */
}

enum { CHUNK = 4096, MAX_EVENTS = CHUNK / sizeof(struct inotify_event) };

static const struct inotify_event *next_event(const struct inotify_event *event)
{
	return (const struct inotify_event *)((const char *)(event + 1) + event->len);
}

/* Notes those of the events up to END that are of N, or of all: then some were lost. WANTED gets which these are. */
static void note_events(struct node *n, const struct inotify_event *event, const void *end,
			bool *wanted)
{
	const int wd = n->watch;

	for (; (const void *)event < end; event = next_event(event), wanted++)
		if (event->wd == wd || event->mask & IN_Q_OVERFLOW) {
			note_event(n, event);
			*wanted = true;
		}
}

/* Notes events with their folders. A directory has one watch, but may have several nodes: it was renamed, or is mounted at
 * two places. If it has none left the watch is not needed. */
static void note_chunk(struct view *v, const struct inotify_event *event, const void *end)
{
	bool wanted[MAX_EVENTS] = {0};

	pthread_mutex_lock(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots; i++)
		if (v->nodes.slots[i] && v->nodes.slots[i]->watch)
			note_events(v->nodes.slots[i], event, end, wanted);
	pthread_mutex_unlock(&v->lock);
	for (uint32_t i = 0; (const void *)event < end; event = next_event(event), i++)
		if (!wanted[i] && !(event->mask & (IN_IGNORED | IN_Q_OVERFLOW)))
			inotify_rm_watch(v->inotify, event->wd);
}

void folder_hear(struct view *v)
{
	_Alignas(struct inotify_event) char chunk[CHUNK];
	const uint64_t one = 1;
	int queued = 0, left;
	ssize_t n;

	if (v->inotify < 0)
		return;
	pthread_mutex_lock(&v->watching);
	if (ioctl(v->inotify, FIONREAD, &queued) < 0)
		queued = 0;
	for (left = queued; left > 0; left -= (int)n) { /* only these, for they may never cease */
		n = read(v->inotify, chunk, sizeof chunk);
		if (n <= 0)
			break;
		note_chunk(v, (const struct inotify_event *)chunk, chunk + n);
	}
	pthread_mutex_unlock(&v->watching);
	if (queued && write(v->heard, &one, sizeof one) < 0)
		return; /* it can be read already */
}

bool folder_hears_all(const struct view *v, const struct node *n)
{
	return v->inotify >= 0 && n->watch && n->hears_all;
}

/* The first name in n->heard that came after the first COUNT. */
static size_t skip_heard(const struct node *n, uint32_t count)
{
	size_t at = 0;

	for (; count; count--)
		at += strlen((char *)n->heard.p + at) + 1;
	return at;
}

bool folder_heard_since(const struct node *n, uint32_t since, struct buf *names)
{
	uint32_t count = since - n->heard_from;
	size_t at;

	if (count > n->changes - n->heard_from)
		return false;
	at = skip_heard(n, count);
	return n->heard.n == at || buf_add(names, n->heard.p + at, n->heard.n - at) == 0;
}

void folder_drop_heard(struct node *n)
{
	uint32_t count = n->compared - n->heard_from, more = count;
	size_t at;

	if (n->snapshot)
		more = n->snapshot->changes - n->heard_from;
	if (more < count)
		count = more;
	if (!count || count > n->changes - n->heard_from)
		return;
	at = skip_heard(n, count);
	n->heard.n -= at;
	memmove(n->heard.p, n->heard.p + at, n->heard.n);
	n->heard_from += count;
}

/* --- nodes and what is on disk for them -------------------------------------------------------------------- */

enum node_kind folder_node_kind(enum listed_kind kind)
{
	static const enum node_kind kind_of[] = {
		[LISTED_STEP] = NODE_STEP,
		[LISTED_FOLDER] = NODE_FOLDER,
		[LISTED_STATE] = NODE_STATE,
		[LISTED_LINK] = NODE_LINK,
	};

	return kind_of[kind];
}

/* For a link that can't be followed, which R says: an empty file. To open it gives the error. */
static int stat_link(int dirfd, const char *file, int r, struct stat *st)
{
	if (fstatat(dirfd, file, st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode))
		return r;
	st->st_mode = S_IFREG | 0444;
	st->st_size = 0;
	return 0;
}

static bool is_right(enum node_kind kind, const struct stat *st)
{
	if (kind == NODE_FOLDER)
		return S_ISDIR(st->st_mode);
	return S_ISREG(st->st_mode) || kind != NODE_STATE;
}

int folder_stat(const struct view *v, int dirfd, enum node_kind kind,
		const struct step_place *place, struct stat *st, struct err *e)
{
	const char *file = *place->file ? place->file : ".";
	int r = 0;

	if (kind == NODE_LINK) {
		if (fstatat(dirfd, place->name, st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		if (r == 0 && !S_ISLNK(st->st_mode))
			r = -ENOENT;
		if (r != -ENOENT || strcmp(place->name, LATEST_NAME) != 0)
			return r < 0 ? err_sys(e, r, "%s", place->name) : 0;
		file = v->state_name;
		r = 0;
	}
	if (fstatat(dirfd, file, st, kind == NODE_FOLDER ? AT_SYMLINK_NOFOLLOW : 0) < 0)
		r = -errno;
	if (r < 0 && r != -ENOENT && kind != NODE_FOLDER)
		r = stat_link(dirfd, file, r, st);
	if (r == 0 && !is_right(kind, st))
		r = -ENOENT; /* nothing that is shown */
	return r < 0 ? err_sys(e, r, "%s", file) : 0;
}

struct file_id folder_meta_id(const struct view *v, int dirfd, const struct step_place *place)
{
	CLEANUP(buf_release) struct buf name = {0};
	struct stat st;

	if (sidecar_name(place, v->meta_suffix, &name) < 0 ||
	    fstatat(dirfd, (char *)name.p, &st, 0) < 0)
		return (struct file_id){0};
	return file_id_of(&st);
}

bool folder_is_replaced(const struct node *n, const struct listed *item, const struct file_id *id,
			const struct file_id *meta)
{
	if (n->kind == NODE_LINK)
		return strcmp(n->place->file, item->place.file) != 0;
	return n->kind == NODE_STEP && !(file_id_eq(&n->id, id) && file_id_eq(&n->meta, meta));
}

int folder_make(int top, const char *name, const struct stat *st, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	int r = io_make_folder(top, name, 0700, e);

	if (r < 0 && r != -EEXIST)
		return r;
	fd = dir_fd(top, name, e);
	if (r < 0 || fd < 0)
		return fd < 0 ? fd : r;
	if ((geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) < 0) ||
	    fchmod(fd, st->st_mode & 0777) < 0)
		r = err_sys(e, -errno, "%s", name);
	if (r < 0)
		io_remove_folder(top, name, NULL);
	return r;
}

/* --- the state file ----------------------------------------------------------------------------------------- */

bool folder_is_aside(const struct view *v, const struct node *n)
{
	return n->pending && strcmp(n->place->name, v->state_name) != 0;
}

int folder_new_state(const struct view *v, struct err *e)
{
	int fd = memfd_create(v->state_name, MFD_CLOEXEC);

	return fd < 0 ? err_sys(e, -errno, "%s", v->state_name) : fd;
}

static int open_pending(const struct node *n, bool truncate, struct err *e)
{
	CLEANUP(closep) int fd = fcntl(n->copy, F_DUPFD_CLOEXEC, 0);

	if (fd < 0 || (truncate && ftruncate(fd, 0) < 0))
		return err_sys(e, -errno, "%s", n->place->name);
	return TAKE(fd, -1);
}

int folder_open_state(const struct view *v, const struct node *n, bool truncate, struct err *e)
{
	CLEANUP(closep) int fd = -1, dir = -1;
	CLEANUP(buf_release) struct buf text = {0};
	int r;

	if (n->pending)
		return open_pending(n, truncate, e);
	r = fd = folder_new_state(v, e);
	if (r >= 0 && !truncate) {
		r = dir = folder_open_parent(v, n, e);
		if (r >= 0)
			r = state_file_read(dir, n->place->file, &text, e);
		if (r == 0)
			r = io_write_at(fd, buf_bytes(&text), 0, e);
	}
	return r < 0 ? r : TAKE(fd, -1);
}

int folder_take_state(struct view *v, const struct node *folder, int fd, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	CLEANUP(closep) int top = -1;
	struct err why = {0};
	struct source src;
	int r = source_of_fd(fd, &src, e);

	if (r == 0)
		r = source_read(&src, 0, src.size, &text, e);
	if (r == 0)
		r = top = folder_open(v, folder, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->committing);
	r = state_follow(top, v->state_name, buf_bytes(&text), &why);
	pthread_mutex_unlock(&v->committing);
	if (r == -EINVAL) {
		err_wrap(&why, r, "%s: what was copied there is ignored", v->state_name);
		view_warn(v, &why);
		return 0;
	}
	if (r < 0 && e)
		*e = why;
	return r;
}
