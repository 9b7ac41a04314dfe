/* src/raw/dir.c: open folders. First comes what is ours, then what the view shows: who removes a folder's contents in
 * this order finds the folders of steps empty (raw/gone.h). */
#include "base/dir.h"
#include "base/cleanup.h"
#include "raw/gone.h"
#include "raw/node.h"
#include "raw/place.h"
#include "step/name.h"

/* A name in the directory. */
struct ours {
	char *name;
	mode_t type;
	bool is_shown; /* the view lists it */
};

struct raw_dir {
	struct raw *raw;
	LIST_ENTRY(raw_dir) open; /* in raw->dirs */
	uint64_t id;
	uint32_t listing; /* its number, see raw/gone.h; 0: none */
	struct view_dir *view; /* NULL: a folder of ours */
	struct buf ours; /* struct ours, by name */
	bool gave_ours; /* the last one */
	struct buf name; /* of the last one of the view, where it is another */
	const char *last;
};

/* Positions: "." and "..", ours, and from FIRST_SHOWN on the view's. */
#define FIRST_OURS  2
#define FIRST_SHOWN (UINT64_C(1) << 62)

static size_t count(const struct raw_dir *d)
{
	return d->ours.n / sizeof(struct ours);
}

static struct ours *all(const struct raw_dir *d)
{
	return (struct ours *)d->ours.p;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct ours *)a)->name, ((const struct ours *)b)->name);
}

static struct ours *find(const struct raw_dir *d, const char *name)
{
	struct ours key = {.name = (char *)name};

	return count(d) ? bsearch(&key, d->ours.p, count(d), sizeof key, compare) : NULL;
}

static int read_names(struct raw_dir *d, int dirfd, struct err *e)
{
	CLEANUP(dir_closep) DIR *dir = dir_open(dirfd, ".");
	const struct dirent *de;
	int r = 0;

	if (!dir)
		return err_sys(e, -errno, "reading the directory");
	while ((de = dir_read(dir, &r))) {
		struct ours o = {strdup(de->d_name), DTTOIF((unsigned)dir_type(dirfd, de)), false};

		o.is_shown = !strcmp(de->d_name, ".ckptfs");
		if (!o.name || buf_add(&d->ours, &o, sizeof o) < 0) {
			free(o.name);
			return err_set(e, -ENOMEM, "no memory");
		}
	}
	if (r < 0)
		return err_sys(e, r, "reading the directory");
	if (count(d))
		qsort(d->ours.p, count(d), sizeof(struct ours), compare);
	return 0;
}

/* Marks the folders and links of the directory that the view lists itself. */
static int mark_shown(struct raw_dir *d, struct err *e)
{
	struct view_dirent de = {0};
	int r;

	while ((r = view_readdir(d->view, de.next, &de, e)) > 0) {
		CLEANUP(buf_release) struct buf name = {0};
		struct ours *o;
		bool clash;

		/* Control characters and the like are not shown as they are. */
		if (name_to_entry(bytes_str(de.name), &name, &clash) < 0 ||
		    buf_add_byte(&name, 0) < 0)
			continue;
		o = find(d, (char *)name.p);
		if (o && (S_ISDIR(o->type) || S_ISLNK(o->type)) && o->type == de.type)
			o->is_shown = true;
	}
	return r;
}

static int list_ours(struct raw *r, uint64_t id, pid_t pid, struct raw_dir *d, struct err *e)
{
	CLEANUP(closep) int fd = raw_node_open_folder(r, id, e);
	int done;

	if (fd == -ENOTDIR && d->view) /* in a step */
		return 0;
	if (fd < 0)
		return fd;
	d->listing = raw_gone_begin(r, id, pid);
	done = read_names(d, fd, e);
	return done == 0 && d->view ? mark_shown(d, e) : done;
}

int raw_opendir(struct raw *r, uint64_t id, pid_t pid, struct raw_dir **out, bool *stable,
		struct err *e)
{
	struct raw_dir *d = calloc(1, sizeof *d);
	int opened = d ? 0 : err_set(e, -ENOMEM, "no memory");

	*stable = false;
	if (opened < 0)
		return opened;
	d->raw = r;
	d->id = id;
	pthread_mutex_lock(&r->lock);
	LIST_INSERT_HEAD(&r->dirs, d, open);
	pthread_mutex_unlock(&r->lock);
	if (!raw_is(id))
		opened = view_opendir(r->view, id, &d->view, stable, e);
	if (opened == 0 && (r->all || raw_is(id)) && !raw_node_is_gone(r, id, NULL))
		opened = list_ours(r, id, pid, d, e);
	else if (opened == 0 && r->view->safetensors && !*stable) /* not in a step */
		d->listing = raw_gone_begin(r, id, pid);
	if (opened == 0)
		*out = d;
	else
		raw_closedir(d);
	return opened;
}

void raw_closedir(struct raw_dir *d)
{
	pthread_mutex_lock(&d->raw->lock);
	LIST_REMOVE(d, open);
	pthread_mutex_unlock(&d->raw->lock);
	if (d->listing)
		raw_gone_end(d->raw, d->listing);
	if (d->view)
		view_closedir(d->view);
	for (size_t i = 0; i < count(d); i++)
		free(all(d)[i].name);
	buf_release(&d->ours);
	buf_release(&d->name);
	free(d);
}

/* Where a file has the name of something that the view shows: a step's folder is listed under another one, and the state file, or a
 * link, is not. 1: it is listed; 0: not; -ENOMEM. */
static int rename_shown(struct raw_dir *d, struct view_dirent *de)
{
	const struct ours *o = find(d, de->name);

	if (!o || o->is_shown || S_ISDIR(o->type))
		return 1;
	if (!S_ISDIR(de->type))
		return 0;
	d->name.n = 0;
	if (buf_add_str(&d->name, de->name) < 0 ||
	    buf_add(&d->name, RAW_CLASH, sizeof RAW_CLASH) < 0)
		return -ENOMEM;
	de->name = (char *)d->name.p;
	return 1;
}

static int next_shown(struct raw_dir *d, uint64_t pos, struct view_dirent *out, struct err *e)
{
	int r, listed = 0;

	out->next = pos < FIRST_SHOWN ? FIRST_OURS : pos - FIRST_SHOWN;
	do {
		r = view_readdir(d->view, out->next, out, e);
		if (r > 0 && (listed = rename_shown(d, out)) < 0)
			return err_set(e, listed, "no memory");
	} while (r > 0 && !listed);
	out->next += FIRST_SHOWN;
	return r;
}

static int next_ours(struct raw_dir *d, uint64_t pos, struct view_dirent *out)
{
	uint64_t i = pos - FIRST_OURS;

	while (i < count(d) && all(d)[i].is_shown)
		i++;
	if (i >= count(d))
		return 0;
	d->gave_ours = true;
	d->last = all(d)[i].name;
	*out = (struct view_dirent){d->last, all(d)[i].type, FIRST_OURS + i + 1};
	return 1;
}

int raw_readdir(struct raw_dir *d, uint64_t pos, struct view_dirent *out, struct err *e)
{
	int r = 0;

	d->gave_ours = false;
	if (!count(d) && d->view)
		return view_readdir(d->view, pos, out, e);
	if (pos < FIRST_OURS) {
		*out = (struct view_dirent){pos ? ".." : ".", S_IFDIR, pos + 1};
		return 1;
	}
	if (pos < FIRST_SHOWN)
		r = next_ours(d, pos, out);
	return r || !d->view ? r : next_shown(d, pos, out, e);
}

int raw_dirent_lookup(struct raw *r, struct raw_dir *d, bool brief, struct view_entry *out,
		      struct err *e)
{
	int found = d->gave_ours ? raw_lookup(r, d->id, d->last, 0, out, e)
				 : view_dirent_lookup(r->view, d->view, brief, out, e);

	if (found == 0 && d->ours.n)
		out->fleeting = true; /* as raw_lookup says */
	return found;
}
