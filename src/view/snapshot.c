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

static struct snapshot *current_snapshot(struct view *v, struct node *n, const struct stat *st,
					 const struct file_id *state)
{
	struct snapshot *s;

	HOLD(&v->lock);
	s = n->snapshot;
	if (s && s->settled && s->changes == n->changes && same_time(s->mtime, st->st_mtim) &&
	    same_time(s->ctime, st->st_ctim) && file_id_eq(&s->state, state))
		atomic_fetch_add(&s->refs, 1);
	else
		s = NULL;
	return s;
}

static bool is_shown(const struct view *v, const struct listed *item)
{
	if (!v->family)
		return true;
	if (item->kind == LISTED_STEP || item->kind == LISTED_LINK)
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

/* Reads the listing, and finds the step that the state file names in it: LATEST, or NULL with WHY. */
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
	HOLD(&v->lock);
	return n->changes;
}

bool snapshot_is_current(struct view *v, const struct node *n, const struct snapshot *s)
{
	return s->changes == changes_of(v, n);
}

/* Reads the folder FD. ST, STATE and CHANGES are what its times, its state file and node->changes were before. */
static int make_snapshot(struct view *v, struct node *n, int fd, const struct stat *st,
			 const struct file_id *state, uint32_t changes, struct snapshot **out,
			 struct err *e)
{
	struct snapshot *s = calloc(1, sizeof *s), *old;
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "no memory");
	s->state = *state;
	s->changes = changes;
	r = read_snapshot(v, n, fd, s, e);
	if (r < 0) {
		listing_release(&s->listing);
		free(s);
		return r;
	}
	s->mtime = st->st_mtim;
	s->ctime = st->st_ctim;
	s->settled = !s->no_latest.code && is_older_than_ms(st->st_ctim, SETTLED_MS) &&
		     ability_dates_folders(fd);
	atomic_init(&s->refs, 2); /* the node's and the caller's */
	pthread_mutex_lock(&v->lock);
	old = n->snapshot;
	n->snapshot = s;
	pthread_mutex_unlock(&v->lock);
	snapshot_unref(old);
	*out = s;
	return 0;
}

/* As snapshot_get, for N, which FD is. */
static int get_of_dir(struct view *v, struct node *n, int fd, struct snapshot **out, struct err *e)
{
	struct file_id state;
	uint32_t changes;
	struct stat st;

	recover_folder(v, n);
	folder_watch(v, n, fd); /* first, so that inotify tells of any change from here on */
	changes = changes_of(v, n);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "fstat");
	state = state_id(v, fd);
	*out = current_snapshot(v, n, &st, &state);
	return *out ? 0 : make_snapshot(v, n, fd, &st, &state, changes, out, e);
}

int snapshot_get(struct view *v, struct node *n, int *dirfd, struct snapshot **out, struct err *e)
{
	CLEANUP(closep) int fd = folder_open(v, n, e);
	int r = fd < 0 ? fd : get_of_dir(v, n, fd, out, e);

	*dirfd = r < 0 ? -1 : TAKE(fd, -1);
	return r;
}
