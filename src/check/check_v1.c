/* src/check/check_v1.c: decodes each record of a V1 step.
 *
 * V1 has checksums of its blocks, and no others. Each shard is read once from its start. If a block is damaged, the
 * slices whose keys would lie in it fail. */
#include "base/cleanup.h"
#include "check/check_job.h"
#include "format/v1.h"
#include <inttypes.h>

static const size_t MAX_DECODED = (size_t)4
				  << 30; /* as tensor.c: what can't be shown can't be good */

struct shards {
	_Atomic uint32_t next;
	_Atomic uint8_t *met; /* [n_vars]: whether the slice was found, or has failed */
};

/* The reading of one shard. Its records are sorted by key, as the step's variables are. */
struct walk {
	struct job *j;
	struct shards *shards;
	uint32_t shard;
	uint32_t next; /* the variables before it were passed */
};

static const struct err missing = {-EUCLEAN, "its record is missing"};

static void fail(struct walk *w, uint32_t var, struct err *why)
{
	job_fail_in_shard(w->j, var, why);
	w->shards->met[var] = true;
}

/* Passes the variables up to the key UPTO; NULL: all that are left. Those of them that are slices of this shard and
 * were not met fail with WHY. */
static void pass_slices(struct walk *w, const struct bytes *upto, const struct err *why)
{
	const struct step *s = w->j->s;

	for (; w->next < s->n_vars; w->next++) {
		const struct var *v = &s->vars[w->next];
		struct err own = *why;

		if (upto && bytes_cmp(var_key(s, v), *upto) > 0)
			return;
		if (v->kind == VAR_PART && v->shard == w->shard && !w->shards->met[w->next])
			fail(w, w->next, &own);
	}
}

static void check_record(struct walk *w, struct bytes key, struct bytes value)
{
	CLEANUP(buf_release) struct buf decoded = {.max = MAX_DECODED};
	const struct step *s = w->j->s;
	const struct var *v = step_find(s, key);
	struct err why = {0};
	int r;

	if (!v || v->kind != VAR_PART || v->shard != w->shard)
		return;
	r = v1_decode(value, v->dtype, var_count(s, v), &decoded, &why);
	if (r == -ENOMEM)
		job_stop(w->j, &why);
	else if (r < 0)
		fail(w, (uint32_t)(v - s->vars), &why);
	w->shards->met[v - s->vars] = true;
	pass_slices(w, &key, &missing);
}

/* Passes the variables of the damaged block in which IT is, and goes on behind it. False: IT can't. */
static bool pass_block(struct walk *w, struct sstable_iter *it, const struct err *why)
{
	struct bytes last;

	if (!sstable_skip(it)) {
		pass_slices(w, NULL, why);
		return false;
	}
	last = buf_bytes(&it->index.key);
	pass_slices(w, &last, why);
	return true;
}

static void walk_table(struct walk *w, const struct sstable *t)
{
	CLEANUP(sstable_iter_release) struct sstable_iter it = {0};
	uint64_t at = 0;
	struct err why = {0};
	int r = sstable_iter_init(&it, t, &why);

	while (!job_stopped(w->j)) {
		if (r == 0)
			r = sstable_next(&it, &why);
		if (r == 0)
			break;
		if (r > 0 && sstable_key(&it).n)
			check_record(w, sstable_key(&it), sstable_value(&it));
		else if (r < 0 && !pass_block(w, &it, &why))
			return;
		if (it.data.start > at) {
			job_saw(w->j, it.data.start - at);
			at = it.data.start;
		}
		r = 0;
	}
	if (!job_stopped(w->j))
		pass_slices(w, NULL, &missing);
	if (t->src.size > at)
		job_saw(w->j, t->src.size - at);
}

static void check_shard(struct job *j, struct shards *shards, uint32_t number)
{
	CLEANUP(closep) int fd = -1;
	CLEANUP(sstable_close) struct sstable t = {0};
	struct walk w = {.j = j, .shards = shards, .shard = number};
	struct source src;
	struct err e = {0};
	int r = fd = step_open_shard(j->s, j->dirfd, number, &e);

	if (r >= 0)
		r = source_of_fd(fd, &src, &e);
	if (r < 0) {
		job_stop(j, &e);
		return;
	}
	if (sstable_open(&t, src, &e) < 0)
		pass_slices(&w, NULL, &e);
	else
		walk_table(&w, &t);
}

static void check_shards(struct job *j, void *arg)
{
	struct shards *shards = arg;

	for (uint32_t i; (i = shards->next++) < j->s->n_shards && !job_stopped(j);)
		if (j->s->shards[i].status == 0)
			check_shard(j, shards, i);
}

void check_v1_data(struct job *j)
{
	struct shards shards = {.met = calloc(j->s->n_vars + (size_t)1, 1)};
	struct err e = {0};

	if (!shards.met) {
		err_set(&e, -ENOMEM, "no memory");
		job_stop(j, &e);
		return;
	}
	job_run(j, check_shards, &shards);
	free((void *)shards.met);
	for (uint32_t i = 0; i < j->s->n_shards; i++)
		if (j->s->shards[i].status == 0)
			j->out->bytes += j->s->shards[i].id.size;
}
