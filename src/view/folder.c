#include "view/folder.h"
#include "base/cleanup.h"
#include "directory/family.h"
#include "directory/latest.h"
#include "step/sidecar.h"
#include "view/draft_view.h"
#include "view/watch.h"
#include <fcntl.h>
#include <time.h>

enum { SETTLED_MS = 100 }; /* a folder's times are trusted if it was still for this long */

static int add_path(const struct node *n, struct buf *path)
{
	int r;

	if (!n->parent)
		return buf_add_str(path, ".");
	r = add_path(n->parent, path);
	return r < 0 ? r : buf_printf(path, "/%s", n->place->name);
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
	if (add_path(n, &path) < 0 || buf_add_byte(&path, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return err_sys(e, fd, "%s", (char *)path.p);
}

int folder_open_parent(const struct view *v, const struct node *n, struct err *e)
{
	return folder_open(v, n->parent ? n->parent : n, e);
}

int folder_wrap(const struct node *n, int r, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};

	if (n->parent && add_path(n, &path) == 0 && buf_add_byte(&path, 0) == 0)
		err_wrap(e, r, "%s", (char *)path.p + strlen("./"));
	return r;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_older_than_ms(struct timespec t, int64_t ms)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - t.tv_sec) * 1000 + (now.tv_nsec - t.tv_nsec) / 1000000 > ms;
}

static struct file_id state_id(const struct view *v, int dirfd)
{
	struct stat st;

	return fstatat(dirfd, v->state_name, &st, 0) == 0 ? file_id_of(&st) : (struct file_id){0};
}

static struct snapshot *current_snapshot(struct view *v, struct node *n, const struct stat *st,
					 const struct file_id *state)
{
	struct snapshot *s;

	pthread_mutex_lock(&v->lock);
	s = n->snapshot;
	if (s && s->settled && s->changes == n->changes && same_time(s->mtime, st->st_mtim) &&
	    same_time(s->ctime, st->st_ctim) && file_id_eq(&s->state, state))
		atomic_fetch_add(&s->refs, 1);
	else
		s = NULL;
	pthread_mutex_unlock(&v->lock);
	return s;
}

static bool is_shown(const struct view *v, const struct listed *item)
{
	if (!v->family)
		return true;
	if (item->kind == LISTED_STEP || item->kind == LISTED_LATEST)
		return same_family(item->kind == LISTED_STEP ? item->place.name : item->place.file,
				   v->family);
	return item->kind == LISTED_STATE;
}

static void drop_hidden(const struct view *v, struct listing *l)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		if (is_shown(v, &l->items[i]))
			l->items[kept++] = l->items[i];
		else
			step_place_release(&l->items[i].place);
	}
	l->n = kept;
}

/* Whether it was said already what is wrong with the state file as it is. */
static bool was_said(struct view *v, struct node *n, const struct file_id *state)
{
	bool said;

	pthread_mutex_lock(&v->lock);
	said = file_id_eq(&n->complained, state);
	n->complained = *state;
	pthread_mutex_unlock(&v->lock);
	return said;
}

/* Why there is no `latest`, although there is a state file, is said once. */
static void complain(struct view *v, struct node *n, const struct snapshot *s, struct err *why)
{
	if (!v->warn || was_said(v, n, &s->state))
		return;
	if (n->parent)
		err_wrap(why, why->code, "%s", n->place->name);
	v->warn(v->warn_arg, why);
}

static int add_latest(struct snapshot *s, const struct listed *step)
{
	return step ? listing_add_link(&s->listing, LATEST_NAME, step->place.name) : 0;
}

/* The listing, and the item of it that the state file leads to, or NULL: WHY, then, with an error, is why. */
static int read_both(struct view *v, int fd, struct listing *l, const struct listed **latest,
		     struct err *why, struct err *e)
{
	CLEANUP(state_release) struct state state = {0};
	int told = latest_read(fd, v->state_name, &state, why);
	int r = listing_read(fd, v->state_name, l, e);

	*latest = NULL;
	why->code = 0;
	if (r < 0 || !listing_find(l, LISTED_STATE, v->state_name))
		return r;
	why->code = told < 0 ? told : latest_find(l, v->state_name, &state, latest, why);
	return 0;
}

/* The state file is read before the listing: the step that it names was there by then, and is in the listing,
 * or it was removed since; whoever removes it names another one first. Then both are read again, which may be
 * needed more than once. */
enum { TIMES = 8 };

/* Of an error that has nothing to do with the file: it is to be read again. */
static bool is_passing(int r)
{
	return r == -EIO || r == -EMFILE || r == -ENFILE;
}

static int read_snapshot(struct view *v, struct node *n, int fd, struct snapshot *s, struct err *e)
{
	const struct listed *step = NULL;
	struct err why = {.code = -ENOENT};

	for (int times = 0; times < TIMES && why.code == -ENOENT; times++) {
		int r;

		listing_release(&s->listing);
		r = read_both(v, fd, &s->listing, &step, &why, e);
		if (r < 0)
			return r;
	}
	if (why.code < 0 && why.code != -ENOMEM)
		complain(v, n, s, &why);
	if (is_passing(why.code))
		s->no_latest = why;
	if (why.code == -ENOMEM || add_latest(s, step) < 0)
		return err_set(e, -ENOMEM, "no memory");
	drop_hidden(v, &s->listing);
	return 0;
}

static uint32_t changes_of(struct view *v, const struct node *n)
{
	uint32_t changes;

	pthread_mutex_lock(&v->lock);
	changes = n->changes;
	pthread_mutex_unlock(&v->lock);
	return changes;
}

bool folder_is_current(struct view *v, const struct node *n, const struct snapshot *s)
{
	return s->changes == changes_of(v, n);
}

void folder_recover(struct view *v, struct node *n)
{
	pthread_mutex_lock(&v->recovering); /* nobody else looks into it before */
	if (!n->recovered)
		view_recover(v, n);
	n->recovered = true;
	pthread_mutex_unlock(&v->recovering);
}

int folder_snapshot(struct view *v, struct node *n, struct snapshot **out, struct err *e)
{
	CLEANUP(closep) int fd = folder_open(v, n, e);
	struct snapshot *s, *old;
	struct file_id state;
	uint32_t changes;
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	folder_recover(v, n);
	watch_folder(v, n, fd); /* first: what changes from here on is heard of */
	changes = changes_of(v, n);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "fstat");
	state = state_id(v, fd);
	*out = current_snapshot(v, n, &st, &state);
	if (*out)
		return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, -ENOMEM, "no memory");
	s->state = state;
	s->changes = changes;
	r = read_snapshot(v, n, fd, s, e);
	if (r < 0) {
		listing_release(&s->listing);
		free(s);
		return r;
	}
	s->mtime = st.st_mtim;
	s->ctime = st.st_ctim;
	s->settled = !s->no_latest.code && is_older_than_ms(st.st_ctim, SETTLED_MS);
	atomic_init(&s->refs, 2); /* the node's and the caller's */
	pthread_mutex_lock(&v->lock);
	old = n->snapshot;
	n->snapshot = s;
	pthread_mutex_unlock(&v->lock);
	snapshot_unref(old);
	*out = s;
	return 0;
}

/* --- nodes and what is on disk for them -------------------------------------------------------------------- */

enum node_kind folder_node_kind(enum listed_kind kind)
{
	static const enum node_kind kind_of[] = {
		[LISTED_STEP] = NODE_STEP,
		[LISTED_FOLDER] = NODE_FOLDER,
		[LISTED_STATE] = NODE_STATE,
		[LISTED_LATEST] = NODE_LATEST,
	};

	return kind_of[kind];
}

/* What is shown of a link that leads nowhere one can look, for R: what is wrong is said when it is opened. */
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

int folder_stat(const struct view *v, int dirfd, enum node_kind kind, const char *file,
		struct stat *st, struct err *e)
{
	int r = 0;

	if (kind == NODE_LATEST)
		file = v->state_name;
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
	if (n->kind == NODE_LATEST)
		return strcmp(n->place->file, item->place.file) != 0;
	return n->kind == NODE_STEP && !(file_id_eq(&n->id, id) && file_id_eq(&n->meta, meta));
}

enum node_fate node_fate(struct view *v, int dirfd, const struct snapshot *s, struct node *n)
{
	static const enum listed_kind listed_as[] = {
		[NODE_FOLDER] = LISTED_FOLDER,
		[NODE_STEP] = LISTED_STEP,
		[NODE_STATE] = LISTED_STATE,
		[NODE_LATEST] = LISTED_LATEST,
	};
	const struct listed *item = listing_find(&s->listing, listed_as[n->kind], n->place->name);
	struct file_id id, meta = {0};
	bool held, replaced, same;
	struct stat st;

	pthread_mutex_lock(&v->lock);
	held = n->draft || n->pending;
	pthread_mutex_unlock(&v->lock);
	if (held)
		return NODE_SAME;
	if (!item || folder_stat(v, dirfd, n->kind, item->place.file, &st, NULL) < 0)
		return NODE_GONE;
	id = file_id_of(&st);
	if (n->kind == NODE_STEP)
		meta = folder_meta_id(v, dirfd, &item->place);
	pthread_mutex_lock(&v->lock);
	replaced = folder_is_replaced(n, item, &id, &meta);
	same = file_id_eq(&n->id, &id);
	pthread_mutex_unlock(&v->lock);
	return replaced ? NODE_GONE : same ? NODE_SAME : NODE_CHANGED;
}
