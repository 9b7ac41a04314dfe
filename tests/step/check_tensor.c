/* Tests of src/step/tensor.[ch] against a model that takes each element by itself from the shards. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "format/dtype.h"
#include "lib/files.h"
#include "lib/lit.h"
#include "lib/random.h"
#include "lib/step.h"
#include "step/check_step.h"
#include "step/tensor.h"
#include <fcntl.h>
#include <stdio.h>

static void must(int r, const struct err *e)
{
	if (r < 0)
		ck_abort_msg("%d %s", r, e->text);
}

/* --- the model ----------------------------------------------------------------------------------------- */

struct model {
	const struct step *s;
	const struct var *v;
	struct buf *shards; /* whole, in the order of s->shards */
	struct bytes *elements;
	uint64_t n;
};

/* The elements of V, which lies in one range of a shard. */
static void split(const struct model *m, const struct var *v, uint64_t n, struct bytes *out)
{
	const struct buf *shard = &m->shards[v->shard];
	struct bytes stored = bytes_of(shard->p + v->off, v->size);
	size_t item = dtype_info(v->dtype)->item;
	struct cursor c = cursor_of(stored), text;
	struct bytes skipped;
	uint64_t len;

	ck_assert_uint_le(v->off + v->size, shard->n);
	if (item) {
		ck_assert_uint_eq(crc32c(stored.p, stored.n), v->crc);
		for (uint64_t i = 0; i < n; i++)
			out[i] = bytes_of(stored.p + i * item, item);
		return;
	}
	text = c;
	for (uint64_t i = 0; i < n; i++)
		ck_assert(cursor_varint(&text, &len));
	ck_assert(cursor_take(&text, 4, &skipped));
	for (uint64_t i = 0; i < n; i++)
		ck_assert(cursor_varint(&c, &len) && cursor_take(&text, len, &out[i]));
	ck_assert_uint_eq(cursor_left(&text), 0);
}

/* Puts the elements of a slice where their coordinates say. */
static void place(struct model *m, const int64_t *extents, const struct bytes *elements)
{
	const int64_t *dims = var_dims(m->s, m->v);
	unsigned rank = m->v->rank;
	int64_t at[8] = {0};

	ck_assert_uint_le(rank, COUNT(at));
	for (uint64_t i = 0; i < m->n; i++) {
		bool in = true;

		for (unsigned k = 0; k < rank; k++)
			in &= at[k] >= extents[2 * k] &&
			      at[k] < extents[2 * k] + extents[2 * k + 1];
		if (in)
			m->elements[i] = *elements++;
		for (unsigned k = rank; k-- > 0 && ++at[k] == dims[k];)
			at[k] = 0;
	}
}

static void fill(struct model *m)
{
	CLEANUP(freep)
	struct bytes *part = calloc(m->n + 1, sizeof *part);

	ck_assert_ptr_nonnull(part);
	if (m->v->kind == VAR_WHOLE)
		split(m, m->v, m->n, m->elements);
	for (uint32_t i = 0; m->v->kind == VAR_SLICED && i < m->v->n_parts; i++) {
		const struct part *p = &m->s->parts[m->v->aux + i];
		const struct var *v = &m->s->vars[p->var];

		split(m, v, var_count(m->s, v), part);
		place(m, m->s->dims + p->extents, part);
	}
}

/* What NumPy would hold. */
static void array(const struct model *m, struct buf *out)
{
	size_t item = 1;
	bool lengths = false, strings = m->v->dtype == DTYPE_STRING;

	for (uint64_t i = 0; i < m->n; i++) {
		struct bytes b = m->elements[i];

		item = b.n > item ? b.n : item;
		lengths |= strings && b.n && !b.p[b.n - 1];
	}
	for (uint64_t i = 0; i < m->n; i++) {
		struct bytes b = m->elements[i];
		uint8_t len[8];

		put_le64(len, b.n);
		if (buf_add(out, len, lengths ? 8 : 0) < 0 || buf_add(out, b.p, b.n) < 0)
			ck_abort();
		for (size_t k = b.n; k < item; k++)
			if (buf_add_byte(out, 0) < 0)
				ck_abort();
	}
}

/* --- windows ------------------------------------------------------------------------------------------- */

static void check_windows(const struct tensor *t, struct bytes want, uint64_t *seed)
{
	CLEANUP(freep)
	uint8_t *have = malloc(want.n + 2);
	struct err e = {0};

	ck_assert_ptr_nonnull(have);
	for (int i = 0; i < 60; i++) {
		size_t off = i ? random_below(seed, want.n + 1) : 0;
		size_t len = i ? random_below(seed, want.n - off + 1) : want.n;

		if (i % 2 && len > 9)
			len = 1 + random_below(seed, 9);
		memset(have, 0xa5, want.n + 2);
		must(tensor_read(t, off, len, have + 1, &e), &e);
		if ((len && memcmp(have + 1, want.p + off, len) != 0) || have[0] != 0xa5 ||
		    have[len + 1] != 0xa5)
			ck_abort_msg("%zu bytes at %zu of %zu", len, off, want.n);
	}
	ck_assert_int_eq(tensor_read(t, want.n, 1, have, &e), -EINVAL);
	ck_assert_int_eq(tensor_read(t, want.n + 1, 0, have, &e), -EINVAL);
	ck_assert_int_eq(tensor_read(t, 1, SIZE_MAX, have, &e), -EINVAL);
}

static void check_var(struct step *s, const struct var *v, int dirfd, struct buf *shards,
		      uint64_t *seed)
{
	CLEANUP(buf_release)
	struct buf want = {0};
	struct model m = {s, v, shards, NULL, var_count(s, v)};
	struct tensor_shape shape, again;
	struct tensor *t;
	struct err e = {0};

	must(tensor_shape(s, v, dirfd, &shape, &e), &e);
	must(tensor_open(s, v, dirfd, &t, &e), &e);
	must(tensor_shape(s, v, dirfd, &again, &e), &e);
	ck_assert(shape.size == again.size && shape.item == again.item);
	m.elements = calloc(m.n + 1, sizeof *m.elements);
	ck_assert_ptr_nonnull(m.elements);
	if (v->dtype == DTYPE_VARIANT) {
		ck_assert(shape.record && shape.item == 1);
		ck_assert_int_eq(buf_add(&want, shards[v->shard].p + v->off, v->size), 0);
	} else {
		fill(&m);
		array(&m, &want);
	}
	ck_assert_uint_eq(shape.size, want.n);
	check_windows(t, buf_bytes(&want), seed);
	free(m.elements);
	tensor_close(t);
}

static const struct {
	const char *folder, *step;
	uint32_t whole, sliced;
} steps[] = {
	{"linear", "my-model-2000", 9, 0}, {"dtypes", "numeric", 121, 0},
	{"dtypes", "variant", 3, 0},       {"bigendian", "numeric", 80, 0},
	{"strings", "text", 14, 0},        {"sharded", "model-7", 5, 1},
	{"partitioned", "model-3", 5, 12}, {"partitioned", "refused", 0, 5},
	{"snappy", "model-3", 5, 12},      {"maxshard", "ckpt-1", 3, 1},
	{"keras", "ckpt-3", 17, 0},        {"savedmodel/variables", "variables", 3, 0},
	{"names", "odd", 55, 0},
};

/* In each of the modes of verification. */
START_TEST(windows_are_parts_of_the_whole)
{
	int n = _i % (int)COUNT(steps);
	enum verify_mode mode = (enum verify_mode)(_i / (int)COUNT(steps));
	char path[4096];
	struct buf shards[8] = {0};
	uint32_t whole = 0, sliced = 0;
	uint64_t seed = (uint64_t)_i;
	struct step *s;
	struct err e;
	int dirfd;

	snprintf(path, sizeof path, "%s/fixtures/%s", ASSETS, steps[n].folder);
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dirfd, 0);
	must(step_open_v2(dirfd, steps[n].step, mode, &s, &e), &e);
	ck_assert_uint_le(s->n_shards, COUNT(shards));
	for (uint32_t i = 0; i < s->n_shards; i++)
		read_whole(&shards[i], "%s/%s.data-%05u-of-%05u", path, steps[n].step,
			   s->shards[i].number, s->num_shards);
	for (uint32_t i = 0; i < s->n_vars; i++) {
		const struct var *v = &s->vars[i];

		whole += v->kind == VAR_WHOLE;
		sliced += v->kind == VAR_SLICED;
		if (v->kind != VAR_PART)
			check_var(s, v, dirfd, shards, &seed);
	}
	ck_assert_uint_eq(whole, steps[n].whole);
	ck_assert_uint_eq(sliced, steps[n].sliced);
	for (uint32_t i = 0; i < s->n_shards; i++)
		buf_release(&shards[i]);
	step_unref(s);
	close(dirfd);
}
END_TEST

START_TEST(a_slice_of_a_scalar_is_read)
{
	const struct item items[] = {
		{.name = "s", .spec = {.dtype = DTYPE_INT32, .n_slices = 1}},
		{.name = "s", .is_slice = true, .spec = {.dtype = DTYPE_INT32, .size = 4}},
	};
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct tensor *t;
	struct step *s;
	struct err e;
	uint8_t b[4];

	step_put(&f, "m", 1, items, COUNT(items));
	folder_put(&f, LIT("1234"), "m.data-00000-of-00001");
	must(step_open_v2(f.fd, "m", VERIFY_OFF, &s, &e), &e);
	must(tensor_open(s, step_find(s, bytes_str("s")), f.fd, &t, &e), &e);
	must(tensor_read(t, 0, 4, b, &e), &e);
	ck_assert_mem_eq(b, "1234", 4);
	tensor_close(t);
	step_unref(s);
}
END_TEST

TCase *tensor_tests(void)
{
	TCase *t = tcase_create("tensor");

	tcase_add_loop_test(t, windows_are_parts_of_the_whole, 0, 3 * COUNT(steps));
	tcase_add_test(t, a_slice_of_a_scalar_is_read);
	return t;
}
