/* Tests of src/directory/rotation.[ch]. tests/tf/saver_options.py compares it with TensorFlow. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/rotation.h"
#include "lib/lit.h"
#include <sys/stat.h>

#define LATEST(path) "model_checkpoint_path: \"" path "\"\n"
#define PATH(path)   "all_model_checkpoint_paths: \"" path "\"\n"
#define TIME(t)      "all_model_checkpoint_timestamps: " t "\n"
#define LAST(t)      "last_preserved_timestamp: " t "\n"
#define THREE        LATEST("m-3") PATH("m-1") PATH("m-2") PATH("m-3")
#define TIMED        THREE TIME("100.0") TIME("200.0") TIME("300.0")

/* The directory has m-1, m-2 and m-3, whose files are of the seconds 1000, 2000 and 3000. A step is kept after
 * 60 seconds. */
static const struct {
	unsigned max_to_keep;
	const char *in_use;
	double next_kept; /* negative: 0, and after 0 seconds */
	const char *state; /* NULL: no file */
	int result;
	const char *step, *file;
} turns[] = {
	{2, "", 5000, THREE, ROTATION_REMOVE, "m-1", "m-1.index"},
	{1, "", 5000, THREE, ROTATION_REMOVE, "m-1", "m-1.index"},
	{3, "", 5000, THREE, 0, NULL, NULL},
	{0, "", 5000, THREE, 0, NULL, NULL},
	{2, "", 5000, NULL, 0, NULL, NULL},
	{2, "", 5000, "garbage", -EINVAL, NULL, NULL},
	/* another is the latest */
	{2, "", 5000, LATEST("m-2") PATH("m-1") PATH("m-3") PATH("m-2"), 0, NULL, NULL},
	{1, "", 5000, LATEST("/gone/m-3") PATH("/gone/m-3") PATH("/gone/m-2"), ROTATION_REMOVE,
	 "m-2", "m-2.index"},
	/* in use */
	{2, "m-1", 5000, THREE, ROTATION_REMOVE, "m-2", "m-2.index"},
	{2, "m-1 m-2", 5000, THREE, -EBUSY, NULL, NULL},
	{1, "", 5000, LATEST("m-3") PATH("m-3") PATH("m-3"), -EBUSY, NULL, NULL},
	/* what is listed and not there */
	{1, "", 500, LATEST("m-3") PATH("m-0") PATH("m-3"), ROTATION_REMOVE, "m-0", "m-0.index"},
	/* kept */
	{2, "", 999, THREE, ROTATION_KEEP, "m-1", "m-1.index"},
	{2, "", 1000, THREE, ROTATION_REMOVE, "m-1", "m-1.index"},
	{2, "m-1", 1000, THREE, ROTATION_KEEP, "m-2", "m-2.index"},
	{2, "", 999, TIMED LAST("40.5"), ROTATION_REMOVE, "m-1", "m-1.index"},
	{2, "", 5000, TIMED LAST("40.0"), ROTATION_KEEP, "m-1", "m-1.index"},
	{2, "", -1, THREE, ROTATION_KEEP, "m-1", "m-1.index"},
	{2, "", -1, TIMED LAST("40.0"), ROTATION_REMOVE, "m-1", "m-1.index"},
	{2, "m-1", 5000, TIMED LAST("141.0"), ROTATION_REMOVE, "m-2", "m-2.index"},
};

static bool is_in_use(void *arg, const char *step)
{
	return strstr(arg, step);
}

static void put_step(const struct folder *f, const char *file, time_t mtime)
{
	const struct timespec times[2] = {{.tv_sec = mtime}, {.tv_sec = mtime}};

	folder_put(f, LIT(""), "%s", file);
	ck_assert_int_eq(utimensat(f->fd, file, times, 0), 0);
}

START_TEST(the_oldest_has_its_turn)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(step_place_release) struct step_place place = {0};
	const struct rotation rotation = {.state_name = "checkpoint",
					  .latest = "m-3",
					  .max_to_keep = turns[_i].max_to_keep,
					  .keep_seconds = turns[_i].next_kept < 0 ? 0 : 60,
					  .next_kept = turns[_i].next_kept,
					  .in_use = is_in_use,
					  .arg = (void *)turns[_i].in_use};
	struct err e = {0};

	put_step(&f, "m-1.index", 1000);
	put_step(&f, "m-2.index", 2000);
	put_step(&f, "m-3.index", 3000);
	if (turns[_i].state)
		folder_put(&f, bytes_str(turns[_i].state), "checkpoint");
	ck_assert_int_eq(rotation_next(f.fd, &rotation, &place, &e), turns[_i].result);
	if (turns[_i].step) {
		ck_assert_str_eq(place.name, turns[_i].step);
		ck_assert_str_eq(place.file, turns[_i].file);
	}
}
END_TEST

TCase *rotation_tests(void)
{
	TCase *t = tcase_create("rotation");

	tcase_add_loop_test(t, the_oldest_has_its_turn, 0, COUNT(turns));
	return t;
}
