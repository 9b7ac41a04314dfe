/* Tests of src/draft/pins.[ch]: the steps that a draft has pinned, by number. */
#include "base/cleanup.h"
#include "base/io.h"
#include "draft/check_draft.h"
#include "draft/links.h"
#include "draft/model.h"
#include "draft/pins.h"
#include "lib/step.h"
#include <fcntl.h>
#include <sys/stat.h>

static struct trial trial;
static struct step *other;

static void setup(void)
{
	static const int64_t dims[] = {1};
	const struct item item = {.name = "v",
				  .spec = {.dtype = 1, .rank = 1, .dims = dims, .size = 4}};
	struct err e = {0};

	links_ask(NULL, NULL);
	trial_setup(&trial, (char *[]){"a", "s/b"}, 2);
	step_put(&trial.top, "other-5", 1, &item, 1);
	folder_put(&trial.top, bytes_of("\0\0\0\0", 4), "other-5.data-00000-of-00001");
	must(step_open_v2(trial.top.fd, "other-5", VERIFY_OFF, &other, &e), &e);
}

static void teardown(void)
{
	links_ask(NULL, NULL);
	trial_teardown(&trial);
	step_unref(other);
}

static int add(struct step *s, struct err *e)
{
	int r;

	pthread_mutex_lock(&trial.d->lock);
	r = draft_pin(trial.d, s, trial.top.fd, e);
	pthread_mutex_unlock(&trial.d->lock);
	return r;
}

static bool is_there(const char *name)
{
	struct stat st;

	return fstatat(trial.top.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

START_TEST(a_step_is_pinned_once)
{
	struct err e = {0};
	struct step *again;

	ck_assert_int_eq(add(trial.base, &e), 0);
	ck_assert_int_eq(add(other, &e), 1);
	ck_assert_int_eq(add(other, &e), 1);
	/* Also when it was parsed again. */
	must(step_open_v2(trial.top.fd, "other-5", VERIFY_OFF, &again, &e), &e);
	ck_assert_int_eq(add(again, &e), 1);
	step_unref(again);
	ck_assert_uint_eq(trial.d->n_pins, 2);
	ck_assert(is_there(".ckptfs/drafts/base-0/steps/other-5"));
	ck_assert(!is_there(".ckptfs/drafts/base-0/steps/other-5~2"));
}
END_TEST

START_TEST(a_step_that_can_not_be_held_is_no_pin)
{
	struct err e = {0};

	ck_assert_int_eq(unlinkat(trial.top.fd, "other-5.index", 0), 0);
	ck_assert_int_eq(add(other, &e), -ESTALE);
	ck_assert_str_eq(e.text, "other-5.index: is gone");
	ck_assert_uint_eq(trial.d->n_pins, 1);
	ck_assert(!is_there(".ckptfs/drafts/base-0/steps/other-5"));
	ck_assert_int_eq(add(trial.base, &e), 0);
}
END_TEST

START_TEST(a_pin_is_found_by_its_name)
{
	struct draft *d = trial.d;
	struct err e = {0};

	ck_assert_int_eq(add(other, &e), 1);
	must(trial_take_up(&trial, &e), &e);
	d = trial.d;
	ck_assert_uint_eq(d->n_pins, 1); /* nothing refers to the other one yet */
	pthread_mutex_lock(&d->lock);
	ck_assert_int_eq(draft_pin_by_name(d, bytes_str("base-0"), &e), 0);
	ck_assert_int_eq(draft_pin_by_name(d, bytes_str("other-5"), &e), 1);
	ck_assert_int_eq(draft_pin_by_name(d, bytes_str("other-5"), &e), 1);
	ck_assert_uint_eq(d->n_pins, 2);
	ck_assert(pin_is_of(&d->pins[1], other));
	ck_assert_int_eq(draft_pin_by_name(d, bytes_str("other"), &e), -ENOENT);
	ck_assert_str_eq(e.text, "other: No such file or directory");
	ck_assert_uint_eq(d->n_pins, 2);
	pthread_mutex_unlock(&d->lock);
}
END_TEST

START_TEST(a_pin_made_beside_the_draft_is_one_of_its_pins)
{
	struct draft *d = trial.d;
	struct pin pin = {0}, again = {0};
	struct err e = {0};

	must(draft_pin_beside(d, other, trial.top.fd, &pin, &e), &e);
	ck_assert_uint_eq(d->n_pins, 2);
	ck_assert_ptr_eq(pin.step, other);
	ck_assert_str_eq(d->pins[1].name, "other-5");
	must(draft_pin_beside(d, other, trial.top.fd, &again, &e), &e);
	ck_assert_uint_eq(d->n_pins, 2);
	ck_assert_ptr_eq(again.name, pin.name);
	ck_assert_uint_eq(d->sealed, 0);
}
END_TEST

/* Changes do not wait for ever for one that failed. */
START_TEST(a_pin_that_fails_beside_the_draft_unseals_it)
{
	struct draft *d = trial.d;
	struct pin pin = {0};
	struct err e = {0};

	ck_assert_int_eq(unlinkat(trial.top.fd, "other-5.data-00000-of-00001", 0), 0);
	ck_assert_int_eq(draft_pin_beside(d, other, trial.top.fd, &pin, &e), -ESTALE);
	ck_assert_str_eq(e.text, "other-5.data-00000-of-00001: is gone");
	ck_assert_uint_eq(d->n_pins, 1);
	ck_assert_uint_eq(d->sealed, 0);
	trial_put(&trial, "new.npy", bytes_str("x"));
}
END_TEST

START_TEST(the_folder_of_a_pin_has_its_files)
{
	CLEANUP(closep) int dir = -1;
	struct err e = {0};
	struct stat st;

	ck_assert_int_eq(add(other, &e), 1);
	dir = draft_pin_dir(trial.d, &trial.d->pins[1], &e);
	must(dir, &e);
	ck_assert_int_eq(fstatat(dir, "other-5.index", &st, 0), 0);
	ck_assert_int_lt(fstatat(dir, "base-0.index", &st, 0), 0);
}
END_TEST

/* What it made goes, and nothing else: not by way of the link to the directory either. */
static void assert_end_leaves_the_steps(bool loose)
{
	static const char *const files[] = {"base-0.index", "base-0.data-00000-of-00001",
					    "other-5.index", "other-5.data-00000-of-00001"};
	struct err e = {0};
	struct stat st;

	links_ask(loose ? links_refused : NULL, NULL);
	ck_assert_int_eq(add(other, &e), 1);
	ck_assert_int_eq(trial.d->pins[1].loose, loose);
	must(draft_discard(trial.d, &e), &e);
	ck_assert(!is_there(".ckptfs/drafts"));
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		ck_assert_msg(fstatat(trial.top.fd, files[i], &st, 0) == 0, "%s", files[i]);
		ck_assert_uint_eq(st.st_nlink, 1);
	}
}

START_TEST(the_end_of_a_draft_leaves_the_steps)
{
	assert_end_leaves_the_steps(false);
}
END_TEST

START_TEST(the_end_of_a_draft_without_links_leaves_the_steps)
{
	assert_end_leaves_the_steps(true);
}
END_TEST

TCase *pins_tests(void)
{
	TCase *t = tcase_create("pins");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_step_is_pinned_once);
	tcase_add_test(t, a_step_that_can_not_be_held_is_no_pin);
	tcase_add_test(t, a_pin_is_found_by_its_name);
	tcase_add_test(t, a_pin_made_beside_the_draft_is_one_of_its_pins);
	tcase_add_test(t, a_pin_that_fails_beside_the_draft_unseals_it);
	tcase_add_test(t, the_folder_of_a_pin_has_its_files);
	tcase_add_test(t, the_end_of_a_draft_leaves_the_steps);
	tcase_add_test(t, the_end_of_a_draft_without_links_leaves_the_steps);
	return t;
}
