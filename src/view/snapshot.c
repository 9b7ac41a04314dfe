#include "view/snapshot.h"
#include "base/cleanup.h"
#include "directory/ability.h"
#include "directory/family.h"
#include "directory/latest.h"
#include "view/folder.h"
#include "view/recovery.h"
#include <time.h>

/* A folder's times are trusted if it did not change for so long before it was read. */
enum { SETTLED_MS = 100 };

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

static bool has_times(const struct snapshot *s, const struct stat *st)
{
	return same_time(s->mtime, st->st_mtim) && same_time(s->ctime, st->st_ctim);
}

static void set_times(struct snapshot *s, const struct stat *st)
{
	s->mtime = st->st_mtim;
	s->ctime = st->st_ctim;
}

/* Has inotify told of changes in N since S was read, and of none that matters? Then S is brought up to date. */
static bool is_as_it_was(const struct view *v, const struct node *n, struct snapshot *s,
			 const struct stat *st)
{
	CLEANUP(buf_release) struct buf names = {0};

	if (!folder_hears_all(v, n) || !folder_heard_since(n, s->changes, &names) || !names.n)
		return false;
	for (size_t i = 0; i < names.n; i++)
		if (names.p[i])
			return false;
	set_times(s, st);
	s->settled = false;
	s->changes = n->changes;
	return true;
}

/* The times of a folder of which not all is heard are only trusted if it had been still. */
static struct snapshot *current_snapshot(struct view *v, struct node *n, const struct stat *st,
					 const struct file_id *state)
{
	struct snapshot *s;

	HOLD(&v->lock);
	s = n->snapshot;
	if (!s || s->no_latest.code || !file_id_eq(&s->state, state))
		return NULL;
	if (!((s->settled || folder_hears_all(v, n)) && s->changes == n->changes &&
	      has_times(s, st)) &&
	    !is_as_it_was(v, n, s, st))
		return NULL;
	atomic_fetch_add(&s->refs, 1);
	return s;
}

/* Is ITEM shown in the view ARG? */
static bool is_shown(const void *arg, const struct listed *item)
{
	const struct view *v = arg;

	if (!v->family)
		return true;
	if (item->kind == LISTED_STEP || item->kind == LISTED_LINK)
		return same_family(item->kind == LISTED_STEP ? item->place.name : item->place.file,
				   v->family);
	return item->kind == LISTED_STATE;
}

/* Was a warning given of this state file already? From now on it was. */
static bool was_said(struct view *v, struct node *n, const struct file_id *state)
{
	bool said;

	HOLD(&v->lock);
	said = file_id_eq(&n->complained, state);
	n->complained = *state;
	return said;
}

/* Warns once of each state file that names no step: WHY. */
static void complain(struct view *v, struct node *n, const struct snapshot *s, struct err *why)
{
	if (!v->warn || was_said(v, n, &s->state))
		return;
	if (n->parent)
		err_wrap(why, why->code, "%s", n->place->name);
	view_warn(v, why);
}

static int add_latest(struct snapshot *s, const struct listed *step)
{
	return step ? listing_add_link(&s->listing, LATEST_NAME, step->place.name) : 0;
}

/* The last snapshot of N, with a reference, and NAMES, all that have changed since in what it lists. NULL: these are not known, or the
 * folder's times, which ST are, have changed though nothing was heard. CHANGES: what was heard up to there is in what is read from
 * now on. */
static struct snapshot *last_snapshot(struct view *v, struct node *n, const struct stat *st,
				      struct buf *names, uint32_t *changes)
{
	struct snapshot *s;

	HOLD(&v->lock);
	*changes = n->changes;
	s = n->snapshot;
	if (!s || !folder_hears_all(v, n) || !folder_heard_since(n, s->changes, names) ||
	    (!names->n && !has_times(s, st)))
		return NULL;
	/* `latest` may be the one that add_latest has made. */
	if (buf_add(names, LATEST_NAME, sizeof LATEST_NAME) < 0)
		return NULL;
	atomic_fetch_add(&s->refs, 1);
	return s;
}

static bool is_among(const struct buf *names, const char *name)
{
	for (const char *n = (char *)names->p; n < (char *)names->p + names->n; n += strlen(n) + 1)
		if (!strcmp(n, name))
			return true;
	return false;
}

/* Finds out s->latest. It is as in LAST, if that is given, and the state file is the same one and not among the NAMES that have changed. */
static int read_latest(const struct view *v, int fd, struct snapshot *s,
		       const struct snapshot *last, const struct buf *names, struct err *why)
{
	CLEANUP(state_release) struct state state = {0};
	const char *path = last && !last->listing.looks_beyond ? last->latest : NULL;
	int r = 0;

	if (!path || !file_id_eq(&last->state, &s->state) || is_among(names, v->state_name)) {
		r = latest_read(fd, v->state_name, &state, why);
		path = state.latest;
	}
	freep(&s->latest);
	if (r == 0 && !(s->latest = strdup(path)))
		r = err_set(why, -ENOMEM, "no memory");
	return r;
}

/* Reads the listing, and finds the step that the state file names in it: LATEST, or NULL with WHY. Of a folder with ten thousand steps
 * only those names are looked at that have changed, where they are known. Its times are taken after what was heard, which they have
 * seen, and before it is read. */
static int read_both(struct view *v, struct node *n, int fd, struct snapshot *s,
		     const struct listed **latest, struct err *why, struct err *e)
{
	CLEANUP(buf_release) struct buf names = {0};
	struct snapshot *last;
	struct stat st;
	int told, r = -EAGAIN;

	folder_hear(v);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "fstat");
	set_times(s, &st);
	last = last_snapshot(v, n, &st, &names, &s->changes);
	told = read_latest(v, fd, s, last, &names, why);
	if (last)
		r = listing_update(fd, v->state_name, &last->listing, &names, &s->listing, e);
	snapshot_unref(last);
	if (r == -EAGAIN)
		r = listing_read(fd, v->state_name, &s->listing, e);
	*latest = NULL;
	why->code = 0;
	if (r < 0 || !listing_find(&s->listing, LISTED_STATE, v->state_name))
		return r;
	why->code = told < 0 ? told
			     : latest_find(&s->listing, v->state_name,
					   &(struct state){.latest = s->latest}, latest, why);
	return 0;
}

/* The state file is read before the listing. So the step that it names is in the listing, unless it was removed in
 * between; but then the state file names another one by now, and both are read again, so often at the most. */
enum { TIMES = 8 };

/* The error does not come from what is in the file, so the file is read again next time. */
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
		r = read_both(v, n, fd, s, &step, &why, e);
		if (r < 0)
			return r;
	}
	if (why.code < 0 && why.code != -ENOMEM)
		complain(v, n, s, &why);
	if (is_passing(why.code))
		s->no_latest = why;
	if (why.code == -ENOMEM || add_latest(s, step) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return listing_keep(&s->listing, is_shown, v) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

bool snapshot_is_current(struct view *v, const struct node *n, const struct snapshot *s)
{
	HOLD(&v->lock);
	return s->changes == n->changes;
}

/* S becomes the snapshot of N, unless there is a later one. */
static void install(struct view *v, struct node *n, struct snapshot *s)
{
	struct snapshot *old;

	pthread_mutex_lock(&v->lock);
	old = n->snapshot;
	if (old && (int32_t)(s->changes - old->changes) < 0) {
		old = NULL;
	} else {
		atomic_fetch_add(&s->refs, 1);
		n->snapshot = s;
		folder_drop_heard(n);
	}
	pthread_mutex_unlock(&v->lock);
	snapshot_unref(old);
}

/* Reads the folder FD. STATE is what its state file was before. */
static int make_snapshot(struct view *v, struct node *n, int fd, const struct file_id *state,
			 struct snapshot **out, struct err *e)
{
	struct snapshot *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "no memory");
	atomic_init(&s->refs, 1);
	s->state = *state;
	r = read_snapshot(v, n, fd, s, e);
	if (r < 0) {
		snapshot_unref(s);
		return r;
	}
	s->settled = is_older_than_ms(s->ctime, SETTLED_MS) && ability_dates_folders(fd);
	install(v, n, s);
	*out = s;
	return 0;
}

/* As snapshot_get, for N, which FD is. */
static int get_of_dir(struct view *v, struct node *n, int fd, struct snapshot **out, struct err *e)
{
	struct file_id state;
	struct stat st;

	recover_folder(v, n);
	folder_watch(v, n, fd); /* first, so that inotify tells of any change from here on */
	folder_hear(v);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "fstat");
	state = state_id(v, fd);
	*out = current_snapshot(v, n, &st, &state);
	return *out ? 0 : make_snapshot(v, n, fd, &state, out, e);
}

int snapshot_get(struct view *v, struct node *n, int *dirfd, struct snapshot **out, struct err *e)
{
	CLEANUP(closep) int fd = folder_open(v, n, e);
	int r = fd < 0 ? fd : get_of_dir(v, n, fd, out, e);

	*dirfd = r < 0 ? -1 : TAKE(fd, -1);
	return r;
}

const struct listing *snapshot_list(void *arg, int top)
{
	struct snapshot_lister *l = arg;
	CLEANUP(closep) int fd = -1;
	struct stat ours, now;

	snapshot_unref(TAKE(l->snapshot, NULL));
	/* Another folder may have this one's name by now; and what is not shown counts, too. */
	if (l->v->family || snapshot_get(l->v, l->folder, &fd, &l->snapshot, NULL) < 0 ||
	    fstat(top, &ours) < 0 || fstat(fd, &now) < 0 || ours.st_dev != now.st_dev ||
	    ours.st_ino != now.st_ino)
		return NULL;
	return &l->snapshot->listing;
}
