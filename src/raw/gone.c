#include "raw/gone.h"
#include "base/cleanup.h"
#include "directory/latest.h"
#include "raw/place.h"
#include <time.h>

enum { A_WHILE_MS = 2000 };

struct listing_of {
	uint64_t id; /* the folder */
	pid_t pid;
	uint32_t number;
	int64_t ended; /* when; 0: it is open */
};

struct gone {
	uint64_t parent;
	char *name;
	mode_t type;
	uint32_t number; /* listings up to this one were begun before */
	int64_t when;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- all with the lock held ------------------------------------------------------------------------------------------- */

static size_t count_listings(const struct raw *r)
{
	return r->listings.n / sizeof(struct listing_of);
}

static bool is_recent(int64_t when)
{
	return now_ms() - when < A_WHILE_MS;
}

/* Has PID (0: anybody) begun a listing of ID by NUMBER that is open? RECENT: or that ended not long ago? */
static bool is_listed(const struct raw *r, uint64_t id, pid_t pid, uint32_t number, bool recent)
{
	const struct listing_of *l = (struct listing_of *)r->listings.p;

	for (size_t i = 0; i < count_listings(r); i++)
		if (l[i].id == id && (!pid || l[i].pid == pid) && l[i].number <= number &&
		    (!l[i].ended || (recent && is_recent(l[i].ended))))
			return true;
	return false;
}

static void drop_old_listings(struct raw *r)
{
	struct listing_of *l = (struct listing_of *)r->listings.p;
	size_t kept = 0;

	for (size_t i = 0; i < count_listings(r); i++)
		if (!l[i].ended || is_recent(l[i].ended))
			l[kept++] = l[i];
	r->listings.n = kept * sizeof *l;
}

static bool is_found(const struct raw *r, const struct gone *g, pid_t pid)
{
	return is_listed(r, g->parent, pid, g->number, is_recent(g->when));
}

static void drop_old(struct raw *r)
{
	struct gone *g = (struct gone *)r->gone.p;
	size_t kept = 0;

	for (size_t i = 0; i < r->gone.n / sizeof *g; i++)
		if (is_recent(g[i].when) || is_found(r, &g[i], 0))
			g[kept++] = g[i];
		else
			free(g[i].name);
	r->gone.n = kept * sizeof *g;
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

uint32_t raw_gone_begin(struct raw *r, uint64_t id, pid_t pid)
{
	struct listing_of l = {.id = id, .pid = pid};

	HOLD(&r->lock);
	drop_old_listings(r);
	l.number = ++r->listed;
	return buf_add(&r->listings, &l, sizeof l) < 0 ? 0 : l.number;
}

void raw_gone_end(struct raw *r, uint32_t number)
{
	struct listing_of *l;

	HOLD(&r->lock);
	l = (struct listing_of *)r->listings.p;
	for (size_t i = 0; i < count_listings(r); i++)
		if (l[i].number == number)
			l[i].ended = now_ms();
}

/* What goes with the file NAME: of the state file `latest`, of an index its step's folder, and of another file that of a V1 step. */
static char *gone_with(const struct raw *r, const char *name)
{
	struct buf folder = {0};
	size_t n = strlen(name), suffix = strlen(".index");
	int done;

	if (!strcmp(name, r->view->state_name))
		return strdup(LATEST_NAME);
	if (n > suffix && !strcmp(name + n - suffix, ".index"))
		return strndup(name, n - suffix);
	if (raw_place_is_of_step(r, name))
		return NULL;
	done = buf_add_str(&folder, name);
	if (done == 0)
		done = buf_add(&folder, RAW_CLASH, sizeof RAW_CLASH);
	if (done < 0)
		buf_release(&folder);
	return (char *)folder.p;
}

/* NAME, which this takes over, is gone. */
static void add_gone(struct raw *r, uint64_t parent, char *name, mode_t type)
{
	const struct gone g = {parent, name, type, r->listed, now_ms()};

	if (name && buf_add(&r->gone, &g, sizeof g) < 0)
		free(name);
}

/* What the view has shown of the step or link NAME as a file is gone. */
static void add_whole(struct raw *r, uint64_t parent, const char *name, mode_t type)
{
	struct buf whole = {0};
	size_t n = strlen(name), clash = strlen(RAW_CLASH);

	if (!r->view->safetensors)
		return;
	if (n > clash && !strcmp(name + n - clash, RAW_CLASH))
		n -= clash;
	if (buf_printf(&whole, "%.*s%s%c", (int)n, name, VIEW_WHOLE, 0) < 0)
		buf_release(&whole);
	add_gone(r, parent, (char *)whole.p, type);
}

/* Has anybody listed PARENT? Nobody else finds what is gone. */
static bool is_wanted(struct raw *r, uint64_t parent)
{
	drop_old(r);
	return is_listed(r, parent, 0, r->listed, true);
}

void raw_gone_note(struct raw *r, uint64_t parent, const char *name)
{
	bool is_state = !strcmp(name, r->view->state_name);
	char *with;

	HOLD(&r->lock);
	if (!is_wanted(r, parent))
		return;
	with = gone_with(r, name);
	if (!with)
		return;
	add_whole(r, parent, with, is_state ? S_IFLNK : S_IFREG);
	add_gone(r, parent, with, is_state ? S_IFLNK : S_IFDIR);
}

void raw_gone_note_step(struct raw *r, uint64_t parent, const char *name)
{
	HOLD(&r->lock);
	if (is_wanted(r, parent))
		add_whole(r, parent, name, S_IFREG);
}

static struct gone *find(const struct raw *r, uint64_t parent, const char *name, pid_t pid)
{
	struct gone *g = (struct gone *)r->gone.p;

	for (size_t i = 0; i < r->gone.n / sizeof *g; i++)
		if (g[i].parent == parent && !strcmp(g[i].name, name) && is_found(r, &g[i], pid))
			return &g[i];
	return NULL;
}

mode_t raw_gone_find(struct raw *r, uint64_t parent, const char *name, pid_t pid)
{
	const struct gone *g;

	HOLD(&r->lock);
	g = pid ? find(r, parent, name, pid) : NULL;
	return g ? g->type : 0;
}

bool raw_gone_take(struct raw *r, uint64_t parent, const char *name)
{
	struct gone *g;

	HOLD(&r->lock);
	g = find(r, parent, name, 0);
	if (g) {
		free(g->name);
		r->gone.n -= sizeof *g;
		*g = *(struct gone *)(r->gone.p + r->gone.n);
	}
	return g;
}

void raw_gone_release(struct raw *r)
{
	struct gone *g = (struct gone *)r->gone.p;

	for (size_t i = 0; i < r->gone.n / sizeof *g; i++)
		free(g[i].name);
	buf_release(&r->gone);
	buf_release(&r->listings);
}
