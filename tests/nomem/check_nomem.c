/* Fails the n-th allocation of all that opens and reads a step, and of what writes and edits one and its state
 * file, for n = 1, 2, ... until none is left: each time there is -ENOMEM or the right answer, and nothing
 * stays allocated.
 *
 * The allocations are those of our own code: see faults/faults.h. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/io.h"
#include "directory/family.h"
#include "directory/latest.h"
#include "directory/listing.h"
#include "directory/locate.h"
#include "directory/state_update.h"
#include "faults/faults.h"
#include "format/bundle.h"
#include "format/dtype.h"
#include "format/npy.h"
#include "lib/step.h"
#include "message/meta_graph.h"
#include "message/object_graph.h"
#include "step/npy_file.h"
#include "step/sidecar.h"
#include "step/tensor.h"
#include "step/tree.h"
#include <fcntl.h>
#include <stdio.h>

/* --- what is done -------------------------------------------------------------------------------------- */

static int read_var(struct step *s, const struct var *v, int dirfd, uint32_t *crc, struct err *e)
{
	static uint8_t all[1 << 20];
	struct tensor_shape shape;
	struct tensor *t;
	int r = tensor_shape(s, v, dirfd, &shape, e);

	if (r == 0)
		r = tensor_open(s, v, dirfd, &t, e);
	if (r < 0)
		return r;
	for (uint64_t off = 0; off < shape.size && r == 0;) {
		/* Odd lengths, so that elements are cut. */
		size_t n = shape.size - off < sizeof all - 1 ? shape.size - off : sizeof all - 1;

		r = tensor_read(t, off, n, all, e);
		*crc = crc32c_extend(*crc, all, r == 0 ? n : 0);
		off += n;
	}
	if (r == 0 && shape.size > 3)
		r = tensor_read(t, 1, shape.size - 3, all, e);
	tensor_close(t);
	return r;
}

static int walk(const struct step *s, uint32_t *crc, struct err *e)
{
	struct tree t;
	struct tree_child child, found;
	int r = tree_init(&t, s, e);

	if (r < 0)
		return r;
	for (uint32_t dir = 0; dir < t.n_dirs; dir++)
		for (uint32_t pos = 0; tree_next(&t, dir, &pos, &child);) {
			*crc = crc32c_extend(*crc, child.name.p, child.name.n);
			if (child.is_dir && !tree_lookup(&t, dir, child.name, &found))
				r = err_set(e, -ENOENT, "a folder is not found");
		}
	tree_release(&t);
	return r;
}

static void note_fault(const struct step *s, const struct var *v, int dirfd, uint32_t *crc)
{
	struct err why;

	step_check(s, v, dirfd, &why);
	*crc = crc32c_extend(*crc, why.text, strlen(why.text));
}

static int read_step(int dirfd, const struct step_place *where, uint32_t *crc, struct err *e)
{
	static char globs[] = "**/*a*:w", collection[] = "trainable_variables";
	/* Others have larger meta graphs: to parse them again and again takes long. */
	const struct seen seen = {globs, where->format == STEP_V1 ? collection : NULL};
	struct step *s;
	int r = step_open(dirfd, where, VERIFY_READ, &s, e);

	if (r < 0)
		return r;
	r = walk(s, crc, e);
	for (uint32_t i = 0; i < s->n_vars && r == 0; i++)
		if (s->vars[i].kind == VAR_BAD)
			note_fault(s, &s->vars[i], dirfd, crc);
		else if (s->vars[i].kind != VAR_PART)
			r = read_var(s, &s->vars[i], dirfd, crc, e);
	if (r == 0)
		r = sidecar_limit(s, dirfd, "meta", &seen, e);
	if (r == 0)
		r = walk(s, crc, e);
	step_unref(s);
	return r;
}

static int list_and_read(const struct location *at, uint32_t *crc, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	const struct listed *item;
	int r = listing_read(at->dirfd, "checkpoint", &l, e);

	if (r < 0)
		return r;
	item = listing_find(&l, LISTED_STEP, at->step);
	*crc = l.n;
	return item ? read_step(at->dirfd, &item->place, crc, e)
		    : err_set(e, -ENOENT, "%s is not listed", at->step);
}

static int do_all(const char *source, uint32_t *crc, struct err *e)
{
	struct location at;
	int r = locate(source, "checkpoint", &at, e);

	if (r < 0)
		return r;
	r = at.step ? list_and_read(&at, crc, e)
		    : err_set(e, -EINVAL, "%s: its step was not found", source);
	close(at.dirfd);
	free(at.step);
	return r;
}

/* --- what is written --------------------------------------------------------------------------------------- */

static int write_index(const struct source *src, const struct sink *out, struct err *e)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w = {0};
	struct bundle_entry entry;
	struct bundle b;
	int r = bundle_open(&b, *src, e);

	if (r < 0)
		return r;
	bundle_writer_init(&w, (uint32_t)b.num_shards, b.big_endian);
	for (int i = 0; (r = bundle_next(&b, &entry, e)) > 0; i++) {
		r = (i % 2 ? bundle_writer_add : bundle_writer_copy)(&w, &entry, e);
		if (r < 0)
			break;
	}
	bundle_close(&b);
	return r < 0 ? r : bundle_writer_finish(&w, *out, e);
}

static int store_npy(const struct sink *out, struct err *e)
{
	static const char *const files[] = {
		"\x93NUMPY\1\0\x40\0{'descr':'>f4','fortran_order':True,'shape':(2,3)}             \n"
		"aaaabbbbccccddddeeeeffff",
		"\x93NUMPY\1\0\x40\0{'descr':'|S8','fortran_order':True,'shape':(3,)}              \n"
		"aaaabbbbccccddddeeeeffff",
	};
	int r = 0;

	for (size_t i = 0; i < sizeof files / sizeof files[0] && r == 0; i++) {
		struct source src = source_of_memory(bytes_of(files[i], 10 + 64 + 24));
		struct npy_stored stored;
		struct npy npy;

		r = npy_parse(&src, 0, &npy, e);
		if (r == 0)
			r = npy_store(&src, &npy, false, 8, *out, &stored, e);
	}
	return r;
}

static int write_all(const char *path, uint32_t *crc, struct err *e)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(buf_release) struct buf written = {0};
	struct sink out = sink_of_buf(&written);
	struct source src;
	int r = source_of_fd(fd, &src, e);

	if (r == 0)
		r = write_index(&src, &out, e);
	if (r == 0)
		r = store_npy(&out, e);
	*crc = crc32c(written.p, written.n);
	return r;
}

/* The state file of the folder SOURCE is written, and changed. */
static int update_state(const char *source, uint32_t *crc, struct err *e)
{
	static const char old[] = "model_checkpoint_path: 'm-2'\n"
				  "all_model_checkpoint_paths: ['/gone/m-1', 'm-2']\n"
				  "unknown: 1\n";
	CLEANUP(closep) int dirfd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(buf_release) struct buf next = {0}, new = {0};
	struct step_place m1 = {.name = "m-1"}, added;
	struct step_place set = {.name = "v", .format = STEP_V1, .shards = 2};
	int r = io_replace_file(dirfd, dirfd, "checkpoint", bytes_str(old), 0644, e);

	if (r == 0)
		r = listing_read(dirfd, "checkpoint", &l, e);
	if (r == 0)
		r = step_next_free(dirfd, &l, "m-2", true, &next, e);
	added = (struct step_place){.name = (char *)next.p};
	if (r == 0)
		r = state_add(dirfd, dirfd, "checkpoint", NULL, &added, STATE_PATHS_KEPT, e);
	if (r == 0)
		r = state_rename(dirfd, "checkpoint", &added, &set, e);
	if (r == 0)
		r = state_point(dirfd, "checkpoint", &m1, e);
	if (r == 0)
		r = state_drop(dirfd, "checkpoint", &m1, e);
	if (r == 0)
		r = state_file_read(dirfd, "checkpoint", &new, e);
	*crc = crc32c(new.p, new.n);
	return r;
}

/* Checkpoint(a=Variable(1.0, name="va")), as TensorFlow writes it: "a" is asked for its name, gets another
 * key, and is taken out. */
static int edit_graph(struct buf *out, struct err *e)
{
	static const char graph[] =
		"\x0a\x0b\x0a\x05\x08\x01\x12\x01"
		"a\x2a\x02\x08\x01\x0a\x38\x12\x32\x0a\x0eVARIABLE_VALUE\x12\x02va"
		"\x1a\x1c"
		"a/.ATTRIBUTES/VARIABLE_VALUE\x2a\x02\x08\x01";
	struct key_change change = {.from = bytes_str("a/.ATTRIBUTES/VARIABLE_VALUE"),
				    .to = bytes_str("b/.ATTRIBUTES/VARIABLE_VALUE"),
				    .name = bytes_str("b")};
	struct bytes b = bytes_of(graph, sizeof graph - 1);
	CLEANUP(object_names_release) struct object_names names = {0};
	const char *name;
	bool changed;
	int r = object_names_read(b, &names, e);

	if (r < 0)
		return r;
	name = object_names_find(&names, change.from);
	if (!name || strcmp(name, "va") != 0)
		return err_set(e, -EINVAL, "the name of a is not found");
	r = object_graph_edit(b, &change, 1, out, &changed, e);
	change.to = bytes_of(NULL, 0);
	return r < 0 ? r : object_graph_edit(b, &change, 1, out, &changed, e);
}

/* Of a variable that two objects have. */
static int find_shared(struct buf *out, struct err *e)
{
	static const char graph[] = "\x0a\x0e\x0a\x05\x08\x01\x12\x01"
				    "a\x0a\x05\x08\x02\x12\x01"
				    "b\x0a\x07\x0a\x05\x08\x03\x12\x01w\x0a\x07\x0a\x05\x08\x03\x12"
				    "\x01w\x0a\x0a\x12\x08\x0a\x01v\x1a\x03"
				    "a/w";
	const struct key_change change = {.from = bytes_str("a/w")};
	CLEANUP(object_shared_release) struct object_shared s = {0};
	int r = object_shared_find(bytes_of(graph, sizeof graph - 1), &change, 1, &s, e);

	if (r == 0 && s.n != 1)
		return err_set(e, -EINVAL, "b/w is not found");
	return r < 0 ? r : buf_add_str(out, (char *)s.path.p);
}

static int edit_texts(const char *text, uint32_t *crc, struct err *e)
{
	CLEANUP(buf_release) struct buf out = {0};
	int r = meta_graph_from_text(bytes_str(text), &out, e);

	if (r == 0)
		r = edit_graph(&out, e);
	if (r == 0)
		r = find_shared(&out, e);
	*crc = crc32c(out.p, out.n);
	return r;
}

/* --- the loop ------------------------------------------------------------------------------------------ */

typedef int task(const char *source, uint32_t *crc, struct err *e);

static int complain(const char *source, unsigned long n, const char *what)
{
	printf("%s: allocation %lu fails: %s\n", source, n, what);
	return EXIT_FAILURE;
}

static int check(const char *source, task *run)
{
	uint32_t want = 0, have;
	unsigned long n = 0;
	struct err e = {0};
	bool hit;

	if (run(source, &want, &e) < 0)
		return complain(source, n, e.text);
	do {
		int r;

		have = 0;
		e = (struct err){0};
		fault_arm(FAULT_MEMORY, ++n, false);
		r = run(source, &have, &e);
		hit = fault_disarm();
		if (r < 0 && (r != -ENOMEM || e.code != r || !e.text[0]))
			return complain(source, n, e.text);
		if (r == 0 && have != want)
			return complain(source, n, "the answer is another");
		if (fault_live())
			return complain(source, n, "something was not freed");
	} while (hit);
	printf("%s: %lu allocations\n", source, n - 1);
	return n > 10 ? EXIT_SUCCESS : complain(source, n, "too few to be all");
}

/* An entry that takes more than the memory that is kept for all. */
static int check_large_entry(void)
{
	enum { SLICES = 200 };
	static const int64_t dims[] = {SLICES, 1, 1};
	static const int64_t slices[SLICES][3][2];
	const struct item item = {.name = "w",
				  .spec = {.dtype = DTYPE_FLOAT,
					   .rank = 3,
					   .dims = dims,
					   .n_slices = SLICES,
					   .slices = slices[0][0]}};
	struct folder f = folder_new();
	char path[100];
	int result;

	step_put(&f, "large", 1, &item, 1);
	snprintf(path, sizeof path, "%s/large", f.path);
	result = check(path, do_all);
	folder_remove(&f);
	return result;
}

static int check_state(void)
{
	struct folder f = folder_new();
	int result;

	folder_put(&f, bytes_str(""), "m-2.index");
	folder_put(&f, bytes_str(""), "m-3.data-00000-of-00001");
	result = check(f.path, update_state);
	folder_remove(&f);
	return result;
}

/* --- how many there are ------------------------------------------------------------------------------------ */

enum {
	MANY = 3000,
	NAME = 13, /* bytes of a name below */
	BYTES_PER_VARIABLE =
		48 + NAME + 16 + 2, /* struct var, struct tree_file; all else is shared */
};

static int open_many(int dirfd, struct step **s, struct tree *t, unsigned long *allocations)
{
	struct err e = {0};
	int r;

	fault_arm(FAULT_MEMORY, 0, false);
	r = step_open_v2(dirfd, "many", VERIFY_READ, s, &e);
	if (r == 0)
		r = tree_init(t, *s, &e);
	fault_disarm();
	*allocations = fault_calls();
	return r < 0 ? complain("many", 0, e.text) : 0;
}

/* A variable takes no allocation of its own, neither when the index is parsed nor when somebody asks for its size. */
static int count_allocations(void)
{
	static const int64_t dims[] = {2, 3};
	static struct item items[MANY];
	static char names[MANY][32];
	struct folder f = folder_new();
	unsigned long parsing;
	struct step *s = NULL;
	struct tree t = {0};
	int dirfd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result;

	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof names[i], "scope%02d/v%04d", i / 100, i);
		items[i] = (struct item){
			.name = names[i],
			.spec = {.dtype = DTYPE_FLOAT, .rank = 2, .dims = dims, .size = 24}};
	}
	step_put(&f, "many", 1, items, MANY);
	result = open_many(dirfd, &s, &t, &parsing);
	fault_arm(FAULT_MEMORY, 0, false);
	for (uint32_t i = 0; i < MANY && result == 0; i++)
		if (npy_file_size(s, &s->vars[i], dirfd) != 128 + 24)
			result = complain("many", i, "it has another size");
	fault_disarm();
	printf("%d variables: %lu allocations to parse them, %lu to size them\n", MANY, parsing,
	       fault_calls());
	if (result == 0 && (parsing > MANY / 20 || fault_calls()))
		result = EXIT_FAILURE;
	if (result == 0 && s->memory + t.memory > MANY * BYTES_PER_VARIABLE)
		result = complain("many", 0, "that is too much memory for a variable");
	tree_release(&t);
	step_unref(s);
	close(dirfd);
	folder_remove(&f);
	return result;
}

int main(void)
{
	static const char *const sources[] = {
		"linear/my-model-2000", "sharded/model-7", "partitioned/model-3",
		"partitioned/refused",  "snappy/model-3",  "maxshard/ckpt-1",
		"strings/text",         "names/odd",       "dtypes/variant",
		"v1-sharded/model-2",
	};
	char path[4096];
	int result = count_allocations();

	if (check_large_entry() != EXIT_SUCCESS)
		result = EXIT_FAILURE;

	for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
		snprintf(path, sizeof path, "%s/fixtures/%s", ASSETS, sources[i]);
		if (check(path, do_all) != EXIT_SUCCESS)
			result = EXIT_FAILURE;
	}
	if (check(ASSETS "/fixtures/partitioned/model-3.index", write_all) != EXIT_SUCCESS ||
	    check_state() != EXIT_SUCCESS)
		result = EXIT_FAILURE;
	if (check("graph_def { node { name: 'n' attr { key: 'b' } attr { key: 'a' value { i: 1 } } } }",
		  edit_texts) != EXIT_SUCCESS)
		result = EXIT_FAILURE;
	return result;
}
