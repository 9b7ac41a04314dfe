/* vardump DIR: every variable of every step in DIR, as the library reads it.
 *
 * For each a line with tabs between: step, key in hex, dtype, shape, "big" or "little", bytes of an element, 1 if
 * strings have their length in front, bytes; and behind the line those bytes. */
#include "base/cleanup.h"
#include "directory/listing.h"
#include "format/dtype.h"
#include "step/tensor.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

static int fail(const struct err *e)
{
	fprintf(stderr, "vardump: %s\n", e->text);
	return 1;
}

static void print_line(const struct step *s, const struct var *v, const struct tensor_shape *shape)
{
	struct bytes key = var_key(s, v);

	printf("%s\t", s->place.name);
	for (size_t i = 0; i < key.n; i++)
		printf("%02x", key.p[i]);
	printf("\t%s\t", dtype_info(v->dtype)->name);
	for (unsigned i = 0; i < v->rank; i++)
		printf(i ? ",%" PRId64 : "%" PRId64, var_dims(s, v)[i]);
	printf("\t%s\t%" PRIu64 "\t%d\t%" PRIu64 "\n", s->big_endian ? "big" : "little",
	       shape->item, shape->lengths, shape->size);
}

static int dump_var(struct step *s, const struct var *v, int dirfd)
{
	CLEANUP(freep) uint8_t *bytes = NULL;
	struct tensor_shape shape;
	struct err e = {0};
	struct tensor *t;
	int r = tensor_open(s, v, dirfd, &t, &e);

	if (r < 0)
		return fail(&e);
	r = tensor_shape(s, v, dirfd, &shape, &e);
	bytes = malloc(shape.size + 1);
	if (r == 0 && bytes)
		r = tensor_read(t, 0, shape.size, bytes, &e);
	tensor_close(t);
	if (r < 0 || !bytes)
		return fail(&e);
	print_line(s, v, &shape);
	return fwrite(bytes, 1, shape.size, stdout) != shape.size;
}

static int dump_step(int dirfd, const struct step_place *place)
{
	struct err e = {0};
	struct step *s;
	int failed = 0;

	if (step_open(dirfd, place, VERIFY_READ, &s, &e) < 0)
		return fail(&e);
	for (uint32_t i = 0; i < s->n_vars && !failed; i++)
		if (s->vars[i].kind != VAR_PART)
			failed = dump_var(s, &s->vars[i], dirfd);
	step_unref(s);
	return failed;
}

int main(int argc, char **argv)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(closep) int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct err e = {0};
	int failed = 0;

	if (fd < 0 || listing_read(fd, "checkpoint", &l, &e) < 0)
		return fail(&e);
	for (uint32_t i = 0; i < l.n && !failed; i++)
		if (l.items[i].kind == LISTED_STEP)
			failed = dump_step(fd, &l.items[i].place);
	return failed;
}
