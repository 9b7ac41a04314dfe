#include "draft/held.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "draft/links.h"
#include "draft/model.h"
#include "lib/step.h"
#include "step/tensor.h"
#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#define STEPS ".ckptfs/drafts/d/steps"

struct held held;

void held_folder(const char *name)
{
	ck_assert_int_eq(mkdirat(held.top.fd, name, 0777), 0);
}

void held_setup(const char *fixture, const char *name)
{
	struct err e = {0};

	links_ask(NULL, NULL);
	held.top = folder_new();
	folder_copy(&held.top, fixture);
	held_folder(".ckptfs");
	held_folder(".ckptfs/drafts");
	held_folder(".ckptfs/drafts/d");
	held_folder(STEPS);
	held.steps = openat(held.top.fd, STEPS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(held.steps, 0);
	must(step_open_v2(held.top.fd, name, VERIFY_READ, &held.step, &e), &e);
	held.pin = (struct pin){0};
}

void held_teardown(void)
{
	links_ask(NULL, NULL);
	pin_release(&held.pin);
	step_unref(held.step);
	close(held.steps);
	folder_remove(&held.top);
}

int held_fail_at_shard(void *arg, const char *from)
{
	return strcmp(from, SHARD) != 0 ? 0 : *(int *)arg;
}

int held_try(struct err *e)
{
	int r = pin_make(held.steps, held.top.fd, held.step, held.top.fd, "meta", &held.pin, e);

	if (r < 0)
		held.pin = (struct pin){0};
	return r;
}

int held_open(const char *name, struct pin *out, struct err *e)
{
	return pin_open(held.steps, name, "meta", VERIFY_READ, out, e);
}

void held_make(struct pin *out)
{
	struct err e = {0};

	must(pin_make(held.steps, held.top.fd, held.step, held.top.fd, "meta", out, &e), &e);
}

void held_make_loosely(struct pin *out)
{
	links_ask(links_refused, NULL);
	held_make(out);
	links_ask(NULL, NULL);
	ck_assert(out->loose);
}

/* --- what there is ----------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void held_assert_names(int fd, const char *expected)
{
	CLEANUP(dir_closep) DIR *s = dir_open(fd, ".");
	CLEANUP(buf_release) struct buf text = {0};
	char *names[16];
	const struct dirent *de;
	size_t n = 0;

	ck_assert_ptr_nonnull(s);
	while (n < 16 && (de = dir_next(s)))
		names[n++] = strdup(de->d_name);
	qsort(names, n, sizeof *names, compare_names);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&text, "%s%s", i ? " " : "", names[i]);
		free(names[i]);
	}
	buf_add_byte(&text, 0);
	ck_assert_str_eq((char *)text.p, expected);
}

struct stat held_stat(int fd, const char *name)
{
	struct stat st;

	ck_assert_msg(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", name);
	return st;
}

void held_assert_gone(int fd, const char *name)
{
	struct stat st;

	ck_assert_msg(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0, "%s is there", name);
}

void held_assert_untouched(void)
{
	static const char *const files[] = {INDEX, SHARD, META};

	for (size_t i = 0; i < 3; i++) {
		CLEANUP(buf_release) struct buf have = {0}, want = {0};

		read_whole(&have, "%s/%s", held.top.path, files[i]);
		read_whole(&want, ASSETS "/fixtures/linear/%s", files[i]);
		ck_assert(bytes_eq(buf_bytes(&have), buf_bytes(&want)));
		ck_assert_uint_eq(held_stat(held.top.fd, files[i]).st_nlink, 1);
	}
}

int held_read(const struct pin *p, float *out, struct err *e)
{
	CLEANUP(closep) int dir = pin_dir(held.steps, p->name, e);
	struct tensor *t;
	int r = dir < 0 ? dir
			: tensor_open(p->step, step_find(p->step, bytes_str("w")), dir, &t, e);

	if (r < 0)
		return r;
	r = tensor_read(t, 0, sizeof *out, (uint8_t *)out, e);
	tensor_close(t);
	return r;
}

float held_value(const struct pin *p)
{
	struct err e = {0};
	float w = 0;

	must(held_read(p, &w, &e), &e);
	return w;
}

void held_assert_fails(int r, const struct err *e, int code, const char *sentence)
{
	ck_assert_str_eq(e->text, sentence);
	ck_assert_int_eq(r, code);
	ck_assert_int_eq(e->code, code);
}

void held_assert_not_opened(const char *name, int code, const char *sentence)
{
	struct pin again = {0};
	struct err e = {0};

	held_assert_fails(held_open(name, &again, &e), &e, code, sentence);
}

/* --- what a trainer does ------------------------------------------------------------------------------------- */

void held_delete(const char *name)
{
	ck_assert_int_eq(unlinkat(held.top.fd, name, 0), 0);
}

void held_replace(const char *name, const char *by)
{
	CLEANUP(buf_release) struct buf b = {0};

	read_whole(&b, ASSETS "/fixtures/linear/%s", by);
	folder_put(&held.top, buf_bytes(&b), "temporary");
	ck_assert_int_eq(renameat(held.top.fd, "temporary", held.top.fd, name), 0);
}

void held_train(void)
{
	held_replace(SHARD, OTHER ".data-00000-of-00001");
	held_replace(INDEX, OTHER ".index");
	held_replace(META, OTHER ".meta");
}
