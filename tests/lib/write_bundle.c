/* write_bundle PREFIX: a V2 bundle of .npy files, from lines at stdin; names are in hex.
 *
 *   bundle SHARDS BIG_ENDIAN               first
 *   tensor NAME SHARD FILE
 *   slice NAME SHARD EXTENTS FILE          start,length for each dimension, joined by ','
 *   hole NAME SHARD DTYPE SIZE             one of bytes, last in its shard, which the caller lengthens
 *   whole NAME DTYPE SHAPE EXTENTS...      a partitioned one; its slices are written by lines as above
 *
 * write_bundle -c FILE...: takes tables apart and writes them again, which must give the same bytes; of a
 * compressed one the same entries. */
#include "base/cleanup.h"
#include "format/bundle.h"
#include "format/npy.h"
#include "format/ordered_code.h"
#include "lib/files.h"
#include "lib/hex.h"

enum { MAX_SHARDS = 16, BUDGET = 1000, FIELDS = 16 };

struct job {
	struct bundle_writer index;
	struct buf shards[MAX_SHARDS];
};

static void must(int r, const struct err *e, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "write_bundle: %s: %s\n", what, e->text);
	exit(EXIT_FAILURE);
}

/* --- writing ----------------------------------------------------------------------------------------------- */

/* Stores FILE and enters it under KEY. */
static void put_tensor(struct job *job, struct bytes key, uint32_t shard, const char *path)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	struct bundle_entry entry = {.key = key, .shard = shard};
	struct npy_stored stored;
	struct source src;
	struct npy npy;
	struct err e;

	if (shard >= job->index.num_shards)
		abort();
	read_whole(&file, "%s", path);
	src = source_of_memory(buf_bytes(&file));
	must(npy_parse(&src, 0, &npy, &e), &e, path);
	if (npy.size != npy.stored)
		abort();
	entry.off = job->shards[shard].n;
	must(npy_store(&src, &npy, job->index.big_endian, BUDGET, sink_of_buf(&job->shards[shard]),
		       &stored, &e),
	     &e, path);
	entry.dtype = npy.dtype;
	entry.rank = npy.rank;
	entry.dims = npy.dims;
	entry.size = stored.size;
	entry.crc = stored.crc;
	must(bundle_writer_add(&job->index, &entry, &e), &e, path);
}

static void put_slice(struct job *job, struct bytes name, char *fields[])
{
	CLEANUP(buf_release)
	struct buf key = {0};
	int64_t extents[2 * SHAPE_MAX_RANK];
	unsigned n = parse_numbers(fields[3], extents, 2 * SHAPE_MAX_RANK);

	if (slice_key_encode(&key, name, n / 2, extents) < 0)
		abort();
	put_tensor(job, buf_bytes(&key), (uint32_t)atoi(fields[2]), fields[4]);
}

static void put_hole(struct job *job, struct bytes name, char *fields[])
{
	int64_t size = atoll(fields[4]);
	struct bundle_entry entry = {.key = name,
				     .shard = (uint32_t)atoi(fields[2]),
				     .dtype = (uint8_t)atoi(fields[3]),
				     .rank = 1,
				     .dims = &size,
				     .size = (uint64_t)size};
	struct err e;

	if (entry.shard >= job->index.num_shards)
		abort();
	entry.off = job->shards[entry.shard].n;
	must(bundle_writer_add(&job->index, &entry, &e), &e, fields[1]);
}

static void put_whole(struct job *job, struct bytes name, char *fields[])
{
	int64_t dims[SHAPE_MAX_RANK], slices[FIELDS * 2 * SHAPE_MAX_RANK];
	struct bundle_entry entry = {
		.key = name, .dtype = (uint8_t)atoi(fields[2]), .dims = dims, .slices = slices};
	struct err e;

	entry.rank = (uint8_t)parse_numbers(fields[3], dims, SHAPE_MAX_RANK);
	for (; fields[4 + entry.n_slices]; entry.n_slices++)
		parse_numbers(fields[4 + entry.n_slices],
			      slices + 2 * (size_t)entry.n_slices * entry.rank, 2u * entry.rank);
	must(bundle_writer_add(&job->index, &entry, &e), &e, fields[1]);
}

static void run_line(struct job *job, char *fields[])
{
	CLEANUP(buf_release)
	struct buf name = {0};

	if (!strcmp(fields[0], "bundle")) {
		bundle_writer_init(&job->index, (uint32_t)atoi(fields[1]), atoi(fields[2]));
		if (job->index.num_shards > MAX_SHARDS)
			abort();
		return;
	}
	add_hex(&name, fields[1]);
	if (!strcmp(fields[0], "tensor"))
		put_tensor(job, buf_bytes(&name), (uint32_t)atoi(fields[2]), fields[3]);
	else if (!strcmp(fields[0], "hole"))
		put_hole(job, buf_bytes(&name), fields);
	else if (!strcmp(fields[0], "slice"))
		put_slice(job, buf_bytes(&name), fields);
	else
		put_whole(job, buf_bytes(&name), fields);
}

static void put_file(const char *path, struct bytes b)
{
	FILE *f = fopen(path, "we");

	if (!f || (b.n && fwrite(b.p, 1, b.n, f) != b.n) || fclose(f)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

static void put_files(struct job *job, const char *prefix)
{
	CLEANUP(buf_release)
	struct buf index = {0};
	char path[4096];
	struct err e;

	for (uint32_t i = 0; i < job->index.num_shards; i++) {
		CLEANUP(buf_release)
		struct buf name = {0};

		if (bundle_shard_name(&name, bytes_str(prefix), i, job->index.num_shards) < 0)
			abort();
		snprintf(path, sizeof path, "%.*s", (int)name.n, (char *)name.p);
		put_file(path, buf_bytes(&job->shards[i]));
		buf_release(&job->shards[i]);
	}
	must(bundle_writer_finish(&job->index, sink_of_buf(&index), &e), &e, prefix);
	snprintf(path, sizeof path, "%s.index", prefix);
	put_file(path, buf_bytes(&index));
	bundle_writer_release(&job->index);
}

static void write_bundle(const char *prefix)
{
	struct job job = {0};
	CLEANUP(freep)
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, stdin) > 0) {
		char *fields[FIELDS + 1] = {NULL}, *rest = NULL;

		for (int i = 0; i < FIELDS; i++)
			fields[i] = strtok_r(i ? NULL : line, " \n", &rest);
		if (fields[0])
			run_line(&job, fields);
	}
	put_files(&job, prefix);
}

/* --- writing again ----------------------------------------------------------------------------------------- */

static void write_table(struct bytes file, struct buf *out, const char *path)
{
	CLEANUP(sstable_iter_release) struct sstable_iter it = {0};
	CLEANUP(sstable_writer_release) struct sstable_writer w;
	struct sstable t;
	struct err e;
	int r;

	must(sstable_open(&t, source_of_memory(file), &e), &e, path);
	must(sstable_iter_init(&it, &t, &e), &e, path);
	sstable_writer_init(&w, sink_of_buf(out));
	while ((r = sstable_next(&it, &e)) > 0)
		must(sstable_writer_add(&w, sstable_key(&it), sstable_value(&it), &e), &e, path);
	must(r, &e, path);
	must(sstable_writer_finish(&w, &e), &e, path);
	sstable_close(&t);
}

static void write_index(struct bytes file, struct buf *out, const char *path)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	struct bundle_entry entry;
	struct bundle b;
	struct err e;
	int r;

	must(bundle_open(&b, source_of_memory(file), &e), &e, path);
	bundle_writer_init(&w, (uint32_t)b.num_shards, b.big_endian);
	while ((r = bundle_next(&b, &entry, &e)) > 0)
		must(bundle_writer_add(&w, &entry, &e), &e, path);
	must(r, &e, path);
	must(bundle_writer_finish(&w, sink_of_buf(out), &e), &e, path);
	bundle_close(&b);
}

static bool is_compressed(struct bytes file)
{
	CLEANUP(block_iter_release) struct block_iter it = {0};
	struct sstable t = {0};
	bool found = false;

	if (sstable_open(&t, source_of_memory(file), NULL) < 0 ||
	    block_iter_init(&it, buf_bytes(&t.index), 0, NULL) < 0)
		abort();
	while (block_iter_next(&it, NULL) > 0) {
		struct cursor c = cursor_of(it.value);
		struct extent at;

		if (!cursor_varint(&c, &at.off) || !cursor_varint(&c, &at.len))
			abort();
		found |= file.p[at.off + at.len] == BLOCK_SNAPPY;
	}
	sstable_close(&t);
	return found;
}

static int check_again(const char *path)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	CLEANUP(buf_release)
	struct buf table = {0};
	CLEANUP(buf_release)
	struct buf index = {0};
	bool same = true;

	read_whole(&file, "%s", path);
	write_table(buf_bytes(&file), &table, path);
	if (!is_compressed(buf_bytes(&file)))
		same = bytes_eq(buf_bytes(&file), buf_bytes(&table));
	if (bytes_ends(bytes_str(path), bytes_str(".index"))) { /* else it is V1 */
		write_index(buf_bytes(&file), &index, path);
		same = same && bytes_eq(buf_bytes(&table), buf_bytes(&index));
	}
	if (same)
		return EXIT_SUCCESS;
	fprintf(stderr, "write_bundle: %s: written again it is another file\n", path);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	int result = EXIT_SUCCESS;

	if (argc < 2)
		return EXIT_FAILURE;
	if (strcmp(argv[1], "-c") != 0)
		write_bundle(argv[1]);
	for (int i = 2; i < argc; i++)
		if (check_again(argv[i]) != EXIT_SUCCESS)
			result = EXIT_FAILURE;
	return result;
}
