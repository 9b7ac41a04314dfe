#include "commit/trial.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "draft/items.h"
#include "lib/step.h"
#include "step/tensor.h"
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

const struct commit_config trial_commit_config = {
	.state_name = "checkpoint", .write_state = true, .compact = 1};

void must(int r, const struct err *e)
{
	if (r < 0)
		ck_abort_msg("%d %s", r, e->text);
}

struct draft_config trial_config(const struct trial *t)
{
	return (struct draft_config){
		.top = t->top.fd, .name = BASE, .meta = "meta", .first_dynamic = DRAFT_DYNAMIC};
}

void trial_begin(struct trial *t, bool new)
{
	struct draft_config c;
	struct err e = {0};

	*t = (struct trial){.top = folder_new()};
	c = trial_config(t);
	if (!new) {
		folder_copy(&t->top, ASSETS "/fixtures/net");
		must(step_open_v2(t->top.fd, BASE, VERIFY_READ, &t->base, &e), &e);
		must(tree_init(&t->tree, t->base, &e), &e);
	}
	must(draft_begin(&c, t->base, new ? NULL : &t->tree, t->top.fd, &t->d, &e), &e);
}

void trial_end(struct trial *t)
{
	draft_unref(t->d);
	tree_release(&t->tree);
	step_unref(t->base);
	folder_remove(&t->top);
}

/* --- commits ------------------------------------------------------------------------------------------------- */

static int commit_with(struct trial *t, const struct commit_config *c, enum commit_result *result,
		       struct err *e)
{
	struct commit_done done = {.result = COMMIT_NOTHING};
	int r = commit(t->d, c, &done, e);
	int swept = done.ended ? draft_sweep(t->d, r < 0 ? NULL : e) : 0;

	if (done.ended)
		drafts_tidy(t->top.fd);
	rescue_release(&done.rescue);
	buf_release(&done.name);
	buf_release(&done.kept);
	*result = done.result;
	return r < 0 ? r : swept;
}

int trial_commit(struct trial *t, enum commit_result *result, struct err *e)
{
	return commit_with(t, &trial_commit_config, result, e);
}

int trial_publish(struct trial *t, enum commit_result *result, struct err *e)
{
	struct commit_config c = trial_commit_config;

	c.goes_on = true;
	return commit_with(t, &c, result, e);
}

static void *run_commit(void *arg)
{
	struct commit_thread *c = arg;

	c->r = trial_commit(c->t, &c->result, &c->e);
	return NULL;
}

void trial_start(struct trial *t, struct commit_thread *c)
{
	*c = (struct commit_thread){.t = t};
	ck_assert_int_eq(pthread_create(&c->thread, NULL, run_commit, c), 0);
}

int trial_join(struct commit_thread *c)
{
	pthread_join(c->thread, NULL);
	return c->r;
}

/* --- what is in the draft ------------------------------------------------------------------------------------ */

static struct draft_item *find(const struct trial *t, const char *path)
{
	static struct draft_glance glances[2];
	unsigned k = 0;
	struct draft_item *i = t->d->root;
	char copy[256], *rest = copy;

	snprintf(copy, sizeof copy, "%s", path);
	for (char *name; i && (name = strsep(&rest, "/"));)
		i = draft_find(t->d, i, name, &glances[k++ % 2]);
	return i;
}

struct draft_item *trial_item(const struct trial *t, const char *path)
{
	struct draft_item *i;

	pthread_mutex_lock(&t->d->lock);
	i = find(t, path);
	pthread_mutex_unlock(&t->d->lock);
	if (!i)
		ck_abort_msg("%s is not there", path);
	return i;
}

uint32_t trial_index(const struct trial *t, const char *path)
{
	return trial_item(t, path)->index;
}

static struct buf make_npy(unsigned count, float value)
{
	struct buf b = {0};
	char dict[128];

	snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%u,), }",
		 count);
	buf_add(&b, "\x93NUMPY\1\0\x76\0", 10);
	buf_printf(&b, "%-117s\n", dict);
	for (unsigned i = 0; i < count; i++)
		buf_add(&b, &value, sizeof value);
	return b;
}

/* Of a path at the root or one folder below it. */
static int create(struct trial *t, const char *path, struct draft_item **out, struct err *e)
{
	const struct draft_owner owner = {getuid(), getgid(), 0644};
	const char *slash = strchr(path, '/');
	char folder[64] = "";
	uint32_t dir;

	if (slash)
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	dir = slash ? trial_index(t, folder) : t->d->root->index;
	return draft_create(t->d, dir, slash ? slash + 1 : path, &owner, true, out, e);
}

int trial_write(struct trial *t, const char *path, unsigned count, float value, struct err *e)
{
	CLEANUP(buf_release) struct buf b = make_npy(count, value);
	struct draft_item *i;
	bool there;
	int r;

	pthread_mutex_lock(&t->d->lock);
	there = find(t, path) != NULL;
	pthread_mutex_unlock(&t->d->lock);
	if (there) {
		r = draft_open(t->d, trial_index(t, path), true, true, &i, e);
	} else {
		r = create(t, path, &i, e);
		if (r == 0) {
			pthread_mutex_lock(&t->d->lock);
			draft_item_unref(t->d, i); /* it has another as it is open */
			pthread_mutex_unlock(&t->d->lock);
		}
	}
	if (r < 0)
		return r;
	r = draft_write(t->d, i, NULL, buf_bytes(&b), 0, e);
	draft_close(t->d, i, true);
	return r;
}

void trial_begin_written(struct trial *t)
{
	struct err e = {0};

	trial_begin(t, false);
	must(trial_write(t, "hidden/new.npy", SMALL, 1, &e), &e);
	must(trial_write(t, "hidden/large.npy", LARGE, 3, &e), &e);
}

float trial_read(struct trial *t, const char *path)
{
	struct draft_item *i;
	struct err e = {0};
	float value;

	must(draft_open(t->d, trial_index(t, path), false, false, &i, &e), &e);
	ck_assert_int_eq(draft_read(t->d, i, NULL, 128, sizeof value, (uint8_t *)&value, &e),
			 sizeof value);
	draft_close(t->d, i, false);
	return value;
}

/* --- what is saved ------------------------------------------------------------------------------------------- */

float trial_saved(const struct trial *t, const char *name, const char *key)
{
	struct step *s;
	const struct var *v;
	struct tensor *tensor;
	struct err e = {0};
	float value;

	must(step_open_v2(t->top.fd, name, VERIFY_READ, &s, &e), &e);
	v = step_find(s, bytes_str(key));
	ck_assert_ptr_nonnull(v);
	must(tensor_open(s, v, t->top.fd, &tensor, &e), &e);
	must(tensor_read(tensor, 0, sizeof value, (uint8_t *)&value, &e), &e);
	tensor_close(tensor);
	step_unref(s);
	return value;
}

bool trial_has(const struct trial *t, const char *name)
{
	struct stat st;

	return fstatat(t->top.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned trial_count(const struct trial *t, const char *name)
{
	CLEANUP(dir_closep) DIR *s = dir_open(t->top.fd, ".");
	const struct dirent *de;
	size_t n = strlen(name);
	unsigned count = 0;

	ck_assert_ptr_nonnull(s);
	while ((de = dir_next(s)))
		count += !strncmp(de->d_name, name, n) && de->d_name[n] == '.';
	return count;
}
