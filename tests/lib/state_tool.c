/* state_tool add|drop|point DIR STATE NAME..., state_tool rename DIR STATE FROM TO: changes the state file. A step that is
 * not in DIR is taken for V2; the new name for that of a step of FROM's kind. */
#include "base/cleanup.h"
#include "directory/listing.h"
#include "directory/state_update.h"
#include <fcntl.h>
#include <stdio.h>

typedef int change(int dirfd, const char *state_name, const struct step_place *place,
		   struct err *e);

static int add(int dirfd, const char *state_name, const struct step_place *place, struct err *e)
{
	return state_add(dirfd, dirfd, state_name, NULL, place, STATE_PATHS_KEPT, e);
}

static change *find_change(const char *word)
{
	if (!strcmp(word, "add"))
		return add;
	if (!strcmp(word, "drop"))
		return state_drop;
	return strcmp(word, "point") ? NULL : state_point;
}

static struct step_place find_step(const struct listing *l, char *name)
{
	const struct listed *item = listing_find(l, LISTED_STEP, name);

	return item ? item->place : (struct step_place){.name = name};
}

static int run(int dirfd, int argc, char **argv, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	change *f = find_change(argv[1]);
	int r = listing_read(dirfd, argv[3], &l, e);

	if (!f && (strcmp(argv[1], "rename") || argc != 6))
		return err_set(e, -EINVAL, "%s?", argv[1]);
	if (r == 0 && !f) {
		struct step_place from = find_step(&l, argv[4]), to = from;

		to.name = argv[5];
		return state_rename(dirfd, argv[3], &from, &to, e);
	}
	for (int i = 4; i < argc && r == 0; i++) {
		struct step_place step = find_step(&l, argv[i]);

		r = f(dirfd, argv[3], &step, e);
	}
	return r;
}

int main(int argc, char **argv)
{
	CLEANUP(closep) int dirfd = -1;
	struct err e = {0};

	if (argc < 5)
		return EXIT_FAILURE;
	dirfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		err_sys(&e, -errno, "%s", argv[2]);
	if (dirfd >= 0 && run(dirfd, argc, argv, &e) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "state_tool: %s\n", e.text);
	return EXIT_FAILURE;
}
