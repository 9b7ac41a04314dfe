/* Input: a byte, the length of the shard (16 bits), an index, the shard, which is that of each number.
 * The index's checksums are repaired if the byte is odd; bits 1 and 2 are how tensors are verified; with bit 3 the
 * index is a V1 file. Files are kept in memory; the folder has links to them. */
#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "fuzz/repair.h"
#include "safetensors/safetensors_file.h"
#include "step/tensor.h"
#include "step/tree.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_READ = 1 << 16, SHARDS = 3 };

static struct {
	char path[64];
	int dirfd, index, shard;
} folder = {.dirfd = -1};

static void remove_folder(void)
{
	char name[64];

	unlinkat(folder.dirfd, "m.index", 0);
	unlinkat(folder.dirfd, "m", 0);
	for (int of = 1; of <= SHARDS; of++)
		for (int i = 0; i < of; i++) {
			snprintf(name, sizeof name, "m.data-%05d-of-%05d", i, of);
			unlinkat(folder.dirfd, name, 0);
		}
	rmdir(folder.path);
}

static void link_to(int fd, const char *name)
{
	char target[64];

	snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
	must_hold(symlinkat(target, folder.dirfd, name) == 0);
}

static void make_folder(void)
{
	char name[64];

	snprintf(folder.path, sizeof folder.path, "/tmp/ckptfs.XXXXXX");
	must_hold(mkdtemp(folder.path) != NULL);
	folder.dirfd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder.index = memfd_create("index", MFD_CLOEXEC);
	folder.shard = memfd_create("shard", MFD_CLOEXEC);
	must_hold(folder.dirfd >= 0 && folder.index >= 0 && folder.shard >= 0);
	atexit(remove_folder);
	link_to(folder.index, "m.index");
	link_to(folder.index, "m");
	for (int of = 1; of <= SHARDS; of++)
		for (int i = 0; i < of; i++) {
			snprintf(name, sizeof name, "m.data-%05d-of-%05d", i, of);
			link_to(folder.shard, name);
		}
}

static void put(int fd, const uint8_t *p, size_t n)
{
	must_hold(ftruncate(fd, 0) == 0 && pwrite(fd, p, n, 0) == (ssize_t)n);
}

/* Every byte that is asked for is written, and it is the same each time. */
static void read_twice(const struct tensor *t, uint64_t off, uint64_t n)
{
	static uint8_t a[MAX_READ], b[MAX_READ];
	struct err e;

	n = n < MAX_READ ? n : MAX_READ;
	memset(a, 0x00, n);
	memset(b, 0xff, n);
	if (tensor_read(t, off, n, a, &e) == 0 && tensor_read(t, off, n, b, &e) == 0)
		must_hold(memcmp(a, b, n) == 0);
}

static void read_var(struct step *s, const struct var *v)
{
	struct tensor_shape shape;
	struct tensor *t;
	struct err e;

	if (step_check(s, v, folder.dirfd, &e) < 0 || tensor_open(s, v, folder.dirfd, &t, &e) < 0)
		return;
	if (tensor_shape(s, v, folder.dirfd, &shape, &e) == 0) {
		read_twice(t, 0, shape.size);
		read_twice(t, shape.size / 3, shape.size / 2);
		read_twice(t, shape.size - shape.size % MAX_READ, shape.size % MAX_READ);
	}
	tensor_close(t);
}

/* All of T as one file: its header is one, and each byte that can be read is the same each time. */
static void read_whole(struct step *s, const struct tree *t)
{
	static uint8_t a[MAX_READ], b[MAX_READ];
	const struct safetensors_of of = {.step = s, .tree = t};
	struct safetensors whole = {0};
	struct safetensors_file *f;

	if (safetensors_layout(&of, &whole, NULL) == 0 &&
	    safetensors_open(&whole, s, folder.dirfd, &f, NULL) == 0) {
		const uint64_t offs[] = {0, 5, whole.head.n, whole.size / 2,
					 whole.size - whole.size % MAX_READ};

		must_hold(get_le64(whole.head.p) + 8 == whole.head.n && whole.head.n % 8 == 0);
		for (size_t i = 0; i < sizeof offs / sizeof *offs; i++) {
			int64_t n = safetensors_read(f, offs[i], MAX_READ, a, NULL);

			memset(b, 0xff, sizeof b);
			if (n > 0 && safetensors_read(f, offs[i], MAX_READ, b, NULL) == n)
				must_hold(!memcmp(a, b, (size_t)n));
		}
		safetensors_close(f);
	}
	safetensors_release(&whole);
}

/* Each name in each folder is found under it, and each file is in one folder. */
static void walk(struct step *s)
{
	struct tree t;
	struct tree_child child, found;
	uint32_t files = 0;

	if (tree_init(&t, s, NULL) < 0)
		return;
	for (uint32_t dir = 0; dir < t.n_dirs; dir++) {
		uint8_t name[256 + 4];

		for (uint32_t pos = 0; tree_next(&t, dir, &pos, &child);) {
			size_t n = child.name.n;

			must_hold(n && n <= 255);
			memcpy(name, child.name.p, n);
			memcpy(name + n, ".npy", 4);
			must_hold(tree_lookup(&t, dir, bytes_of(name, child.is_dir ? n : n + 4),
					      &found));
			must_hold(found.is_dir == child.is_dir && found.index == child.index);
			files += !child.is_dir;
		}
	}
	must_hold(files == t.n_files);
	read_whole(s, &t);
	tree_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct step_place v1 = {.name = "m", .file = "m", .format = STEP_V1};
	const struct step_place v2 = {.name = "m", .file = "m.index", .format = STEP_V2};
	size_t shard_n;
	uint8_t *index;
	struct step *s;

	if (folder.dirfd < 0)
		make_folder();
	if (size < 3)
		return 0;
	shard_n = data[1] | (size_t)data[2] << 8;
	if (shard_n > size - 3 || !(index = malloc(size - 3 - shard_n + 1)))
		return 0;
	memcpy(index, data + 3, size - 3 - shard_n);
	if (data[0] & 1)
		repair_table(index, size - 3 - shard_n);
	put(folder.index, index, size - 3 - shard_n);
	put(folder.shard, data + size - shard_n, shard_n);
	free(index);
	if (step_open(folder.dirfd, data[0] & 8 ? &v1 : &v2, (data[0] >> 1 & 3) % 3, &s, NULL) < 0)
		return 0;
	for (uint32_t i = 0; i < s->n_vars; i++)
		if (s->vars[i].kind != VAR_PART)
			read_var(s, &s->vars[i]);
	walk(s);
	step_unref(s);
	return 0;
}
