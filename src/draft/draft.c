#include "draft/draft.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "directory/drafts_list.h"
#include "draft/disk.h"
#include "draft/draft_own.h"
#include "draft/items.h"
#include "draft/staged.h"
#include "step/name.h"
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

/* --- opening and closing ----------------------------------------------------------------------------------- */

static void top_unref(struct draft_top *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	closep(&t->fd);
	free(t);
}

static int share_top(struct draft *d, const struct draft_config *c, struct err *e)
{
	if (c->beside) {
		d->shared = c->beside->shared;
		atomic_fetch_add(&d->shared->refs, 1);
	} else {
		d->shared = calloc(1, sizeof *d->shared);
		if (!d->shared)
			return err_set(e, -ENOMEM, "no memory");
		atomic_init(&d->shared->refs, 1);
		d->shared->fd = fcntl(c->top, F_DUPFD_CLOEXEC, 0);
		if (d->shared->fd < 0)
			return err_sys(e, -errno, "the checkpoint directory");
	}
	d->top = d->shared->fd;
	return 0;
}

static int draft_new(const struct draft_config *c, const char *folder, struct draft **out,
		     struct err *e)
{
	struct draft *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return err_set(e, -ENOMEM, "no memory");
	*d = (struct draft){.fd = -1,
			    .name = strdup(c->name),
			    .folder = strdup(folder),
			    .meta = strdup(c->meta),
			    .mode = c->mode,
			    .first_dynamic = c->first_dynamic};
	atomic_init(&d->refs, 1);
	atomic_init(&d->ended, false);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->settled, NULL);
	r = d->name && d->folder && d->meta ? share_top(d, c, e) : err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		draft_unref(d);
	else
		*out = d;
	return r;
}

struct draft *draft_ref(struct draft *d)
{
	atomic_fetch_add(&d->refs, 1);
	return d;
}

void draft_unref(struct draft *d)
{
	if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	items_leave(d);
	for (uint32_t i = 0; i < d->n_pins; i++)
		pin_release(&d->pins[i]);
	free(d->pins);
	free(d->dynamic);
	free(d->name);
	free(d->folder);
	free(d->published);
	free(d->meta);
	top_unref(d->shared);
	closep(&d->fd);
	if (d->owner_release)
		d->owner_release(d->owner);
	pthread_cond_destroy(&d->settled);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int draft_folder(int dirfd, const char *name, bool make, struct err *e)
{
	bool missing = make && faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
	int r = missing ? io_make_folder(dirfd, name, 0777, e) : 0;

	if (r == -EEXIST) /* another draft has just made it */
		r = 0;
	return r < 0 ? r : dir_fd(dirfd, name, e);
}

/* Opens .ckptfs/drafts. */
static int open_drafts(const struct draft *d, bool make, struct err *e)
{
	CLEANUP(closep) int own = draft_folder(d->top, ".ckptfs", make, e);

	return own < 0 ? own : draft_folder(own, "drafts", make, e);
}

/* Opens FOLDER there, and sees to it that what has to be in it is. */
static int open_folders(struct draft *d, int drafts, const char *folder, bool make, struct err *e)
{
	CLEANUP(closep) int tree = -1, steps = -1;

	d->fd = draft_folder(drafts, folder, make, e);
	if (d->fd < 0)
		return d->fd;
	tree = draft_folder(d->fd, "tree", make, e);
	steps = tree < 0 ? tree : draft_folder(d->fd, "steps", make, e);
	return steps < 0 ? steps : 0;
}

int draft_stat_step(const struct draft *d, struct stat *out)
{
	if (!d->has_base)
		return fstat(d->fd, out) < 0 ? -errno : 0;
	*out = d->pins[0].step->index;
	return 0;
}

int draft_pin_dir(const struct draft *d, const struct pin *p, struct err *e)
{
	CLEANUP(closep) int steps = dir_fd(d->fd, "steps", e);

	return steps < 0 ? steps : pin_dir(steps, p->name, e);
}

static int add_pin(struct draft *d, struct step *s, int from, struct err *e)
{
	CLEANUP(closep) int steps = dir_fd(d->fd, "steps", e);
	struct pin *pins = realloc(d->pins, (d->n_pins + (size_t)1) * sizeof *pins);
	int r;

	d->pins = pins ? pins : d->pins;
	if (steps < 0 || !pins)
		return steps < 0 ? steps : err_set(e, -ENOMEM, "no memory");
	r = pin_make(steps, d->top, s, from, d->meta, &pins[d->n_pins], e);
	return r < 0 ? r : (int)d->n_pins++;
}

static int pin_base(struct draft *d, struct step *base, const struct tree *tree, int from,
		    struct err *e)
{
	CLEANUP(buf_release) struct buf target = {0};
	int r = add_pin(d, base, from, e);

	if (r < 0)
		return r;
	if (buf_printf(&target, "steps/%s", d->pins[0].name) < 0 || buf_add_byte(&target, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = io_make_link((char *)target.p, d->fd, "base", e);
	if (r < 0)
		return r;
	d->has_base = true;
	d->object_based = base->object_based;
	r = items_init(d, tree);
	return r < 0 ? err_sys(e, r, "%s", base->place.name) : 0;
}

/* A new step's folder belongs to whoever made it; our own way into it stays open. */
static int give_to_maker(const struct draft *d, const struct draft_owner *maker, struct err *e)
{
	if (!maker)
		return 0;
	if ((geteuid() == 0 && fchown(d->fd, maker->uid, maker->gid) < 0) ||
	    fchmod(d->fd, (maker->mode & 0777) | 0700) < 0)
		return err_sys(e, -errno, "%s", d->folder);
	return 0;
}

/* What a commit opens at once, and then some. */
enum { SPARE = 20 };

/* Where descriptors run out this is said before anything is written that could not be committed for want of them. */
static int check_spare(const struct draft *d, struct err *e)
{
	int spare[SPARE], n = 0, r = 0;

	while (n < SPARE && r == 0) {
		spare[n] = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
		r = spare[n] < 0 ? err_sys(e, -errno, "%s", d->folder) : 0;
		n += r == 0;
	}
	while (n)
		close(spare[--n]);
	return r;
}

/* Makes it whole, and then gives it its name. */
static int begin(struct draft *d, const struct draft_config *c, int drafts, struct step *base,
		 const struct tree *tree, int base_fd, struct err *e)
{
	int r = io_remove_all(drafts, DRAFT_NEW, e);

	if (r == 0)
		r = open_folders(d, drafts, DRAFT_NEW, true, e);
	if (r == 0)
		r = check_spare(d, e);
	if (r == 0 && base)
		r = pin_base(d, base, tree, base_fd, e);
	else if (r == 0 && items_init_empty(d) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	else if (r == 0)
		r = give_to_maker(d, c->maker, e);
	if (r == 0)
		r = io_move_new(drafts, DRAFT_NEW, drafts, d->folder, e);
	return r == -EEXIST ? err_set(e, -EBUSY,
				      "there is a draft in .ckptfs/drafts/%s that could not be "
				      "taken up; see to it first",
				      d->folder)
			    : r;
}

int draft_begin(const struct draft_config *c, struct step *base, const struct tree *tree,
		int base_fd, struct draft **out, struct err *e)
{
	CLEANUP(buf_release) struct buf folder = {0};
	CLEANUP(closep) int drafts = -1;
	struct draft *d;
	int r = drafts_folder_name(c->name, &folder);

	if (r < 0)
		return err_sys(e, r, "%s", c->name);
	r = draft_new(c, (char *)folder.p, &d, e);
	if (r < 0)
		return err_wrap(e, r, "a draft of %s", c->name);
	r = drafts = open_drafts(d, true, e);
	if (r >= 0)
		r = begin(d, c, drafts, base, tree, base_fd, e);
	if (r < 0) {
		if (drafts >= 0) {
			io_remove_all(drafts, DRAFT_NEW, NULL);
			io_remove_folder(c->top, ".ckptfs/drafts", NULL); /* if it is empty */
		}
		draft_unref(d);
		return err_wrap(e, r, "a draft of %s", c->name);
	}
	items_changed(d);
	*out = d;
	return 0;
}

/* The base's name out of the link to it; -ENOENT: there is none. */
static int take_up_base(struct draft *d, struct err *e)
{
	static const char in_steps[] = "steps/";
	CLEANUP(closep) int steps = dir_fd(d->fd, "steps", e);
	struct tree tree = {0};
	char target[512];
	ssize_t n = readlinkat(d->fd, "base", target, sizeof target - 1);
	int r;

	if (steps < 0)
		return steps;
	if (n < 0)
		return errno == ENOENT ? items_init_empty(d) : err_sys(e, -errno, "base");
	target[n] = 0;
	if (strncmp(target, in_steps, strlen(in_steps)) != 0)
		return err_set(e, -EUCLEAN, "base: leads to %s, expected a folder of steps",
			       target);
	d->pins = calloc(1, sizeof *d->pins);
	if (!d->pins)
		return err_set(e, -ENOMEM, "no memory");
	r = pin_open(steps, target + strlen(in_steps), d->meta, d->mode, d->pins, e);
	if (r < 0)
		return r;
	d->n_pins = 1;
	d->has_base = true;
	d->object_based = d->pins[0].step->object_based;
	r = tree_init(&tree, d->pins[0].step, e);
	if (r == 0 && (r = items_init(d, &tree)) < 0)
		err_sys(e, r, "%s", d->pins[0].step->place.name);
	tree_release(&tree);
	return r;
}

int draft_take_up(const struct draft_config *c, const char *folder, struct draft **out,
		  struct err *e)
{
	CLEANUP(closep) int drafts = -1;
	struct draft *d;
	int r = draft_new(c, folder, &d, e);

	if (r < 0)
		return err_wrap(e, r, ".ckptfs/drafts/%s", folder);
	r = drafts = open_drafts(d, false, e);
	if (r >= 0)
		r = open_folders(d, drafts, folder, false, e);

	if (r == 0)
		r = take_up_base(d, e);
	if (r == 0)
		r = disk_read(d, e);
	if (r < 0) {
		draft_unref(d);
		return err_wrap(e, r, ".ckptfs/drafts/%s", folder);
	}
	items_changed(d);
	*out = d;
	return 0;
}

/* Takes its name away, at once; what has one of those names is only to be removed. */
static int set_old(int drafts, const char *folder, char old[32], struct err *e)
{
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST; i++) {
		snprintf(old, 32, "%s%u", DRAFT_OLD, i);
		r = io_move_new(drafts, folder, drafts, old, e);
	}
	return r;
}

int draft_discard(struct draft *d, struct err *e)
{
	char old[32];
	CLEANUP(closep) int own = draft_folder(d->top, ".ckptfs", false, e);
	CLEANUP(closep) int drafts = own < 0 ? own : draft_folder(own, "drafts", false, e);
	int r;

	if (drafts < 0)
		return drafts;
	r = set_old(drafts, d->folder, old, e);
	if (r < 0) /* it is there as it was */
		return r;
	atomic_store(&d->ended, true);
	r = io_remove_all(drafts, old, e); /* what stays of it the next mount removes */
	io_remove_folder(own, "drafts", NULL); /* if it is empty */
	return r;
}

int draft_rename_step(struct draft *d, const char *name, struct err *e)
{
	CLEANUP(closep) int own = draft_folder(d->top, ".ckptfs", false, e);
	CLEANUP(closep) int drafts = own < 0 ? own : draft_folder(own, "drafts", false, e);
	CLEANUP(buf_release) struct buf folder = {0};
	CLEANUP(freep) char *copy = strdup(name);
	int r = drafts < 0 ? drafts : drafts_folder_name(name, &folder);

	if (r < 0 || !copy)
		return err_set(e, r < 0 ? r : -ENOMEM, "%s: can't be a draft", name);
	pthread_mutex_lock(&d->lock);
	r = io_move_new(drafts, d->folder, drafts, (char *)folder.p, e);
	if (r == 0) {
		free(d->folder);
		d->folder = (char *)TAKE(folder, (struct buf){0}).p;
		free(d->name);
		d->name = TAKE(copy, NULL);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* --- steps that it needs ---------------------------------------------------------------------------------- */

static int find_pin(const struct draft *d, const struct step *s)
{
	for (uint32_t i = 0; i < d->n_pins; i++) {
		const struct step *p = d->pins[i].step;

		if (p == s || (file_id_eq(&p->id, &s->id) && p->n_vars == s->n_vars &&
			       !strcmp(p->place.name, s->place.name)))
			return (int)i;
	}
	return -1;
}

int draft_pin(struct draft *d, struct step *s, int from, struct err *e)
{
	int pin = find_pin(d, s);

	return pin < 0 ? add_pin(d, s, from, e) : pin;
}

/* --- what others ask --------------------------------------------------------------------------------------- */

/* The components that TensorFlow puts into keys of object-based checkpoints. */
static bool is_keyword(const char *name)
{
	return !strcmp(name, ".ATTRIBUTES") || !strcmp(name, ".OPTIMIZER_SLOT");
}

/* A tool's temporary folder, or in one; the base's are scopes of its variables. */
bool draft_is_hidden(const struct draft_item *i)
{
	for (; i && i->parent; i = i->parent)
		if (i->name[0] == '.' && !i->under && !is_keyword(i->name))
			return true;
	return false;
}

bool draft_has_own_name(const struct draft *d, const struct draft_item *i)
{
	const struct step *s = d->pins[i->pin].step;
	CLEANUP(buf_release) struct buf path = {0};
	const uint8_t *name;

	if (name_to_path(s->object_based ? NAME_OBJECT : NAME_PLAIN, var_key(s, draft_var(d, i)),
			 &path) < 0 ||
	    buf_add_str(&path, ".npy") < 0)
		return false;
	name = memrchr(path.p, '/', path.n);
	name = name ? name + 1 : path.p;
	return bytes_eq(bytes_of(name, path.n - (size_t)(name - path.p)), bytes_str(i->name));
}

bool draft_is_variable(const struct draft_item *i)
{
	bool hidden = i->name[0] == '.' || draft_is_hidden(i->parent);

	if (i->what == DRAFT_DIR || i->what == DRAFT_TEXT ||
	    !bytes_ends(bytes_str(i->name), bytes_str(".npy")))
		return false;
	return !hidden ||
	       (i->what == DRAFT_VAR ? i->own_name : i->under && i->expect_var != DRAFT_NONE);
}

int draft_path(const struct draft_item *i, struct buf *out)
{
	int r = i->parent && i->parent->parent ? draft_path(i->parent, out) : 0;

	if (r == 0 && out->n)
		r = buf_add_byte(out, '/');
	return r == 0 ? buf_add_str(out, i->name) : r;
}

static bool is_changed(const struct draft *d, const struct draft_item *i)
{
	if (i->what == DRAFT_VAR && !i->on_disk)
		return false;
	return draft_is_variable(i) ||
	       (i->on_disk && i->what != DRAFT_DIR && i->parent == d->root &&
		text_kind_of(i->name) == TEXT_META_GRAPH);
}

/* How many of the base's variables are still there, or have another in their place. SEEN: of each whether it
 * was counted. */
static uint32_t count_kept(const struct draft *d, uint8_t *seen)
{
	uint32_t kept = 0;

	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));) {
		uint32_t var = i->what == DRAFT_VAR && i->pin == 0 ? i->number
			       : i->under && i->expect_pin == 0    ? i->expect_var
								   : DRAFT_NONE;

		if (var != DRAFT_NONE && !seen[var]) {
			seen[var] = 1;
			kept++;
		}
	}
	return kept;
}

uint32_t draft_count(struct draft *d)
{
	CLEANUP(freep) uint8_t *seen = NULL;
	uint32_t changed = 0;

	pthread_mutex_lock(&d->lock);
	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));)
		changed += is_changed(d, i);
	seen = d->has_base ? calloc(d->pins[0].step->n_vars + (size_t)1, 1) : NULL;
	if (seen)
		changed += d->base_files - count_kept(d, seen);
	pthread_mutex_unlock(&d->lock);
	return changed;
}

int64_t draft_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum { RETRY_MS = 1000, LONGEST_RETRY_MS = 60000 };

void draft_note_result(struct draft *d, int r, const struct err *why)
{
	int64_t wait = RETRY_MS;

	d->failure = r < 0 ? *why : (struct err){0};
	d->failed_at = d->changes;
	d->failures = r < 0 ? d->failures + 1 : 0;
	for (unsigned i = 1; i < d->failures && wait < LONGEST_RETRY_MS; i++)
		wait *= 2;
	d->retry_at = draft_now_ms() + (wait < LONGEST_RETRY_MS ? wait : LONGEST_RETRY_MS);
	if (r == 0)
		d->told = (struct err){0};
}

bool draft_is_news(struct draft *d, const struct err *why)
{
	bool news;

	pthread_mutex_lock(&d->lock);
	news = strcmp(d->told.text, why->text) != 0;
	d->told = *why;
	pthread_mutex_unlock(&d->lock);
	return news;
}

/* What was refused stays so until something is changed. */
static bool is_hopeless(const struct draft *d)
{
	return d->failure.code == -EINVAL && d->failed_at == d->changes;
}

bool draft_is_due(struct draft *d, int64_t ms, int64_t *wait)
{
	bool due = false;

	pthread_mutex_lock(&d->lock);
	*wait = -1;
	if (!d->ended && !d->writers && !is_hopeless(d)) {
		int64_t at = d->changed_at + ms;

		if (d->failure.code && d->retry_at > at)
			at = d->retry_at;
		*wait = at - draft_now_ms();
		due = *wait <= 0;
		*wait = due ? 0 : *wait;
	}
	pthread_mutex_unlock(&d->lock);
	return due;
}

int draft_why(struct draft *d, struct buf *out)
{
	int r = 0;

	pthread_mutex_lock(&d->lock);
	for (struct draft_item *i = d->root; r == 0 && i && (i = items_next(d->root, i));)
		if (i->staged && i->staged->refusal.code)
			r = buf_printf(out, "%s%s", out->n ? "\n" : "", i->staged->refusal.text);
	if (r == 0 && d->failure.code && !out->n)
		r = buf_add_str(out, d->failure.text);
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* What may be changed: not what is a step already. */
int draft_check_open(const struct draft *d, struct err *e)
{
	if (d->published)
		return err_set(e, -EBUSY, "%s is committed, but the state file can't be written",
			       d->published);
	return d->ended ? -ESTALE : 0;
}
