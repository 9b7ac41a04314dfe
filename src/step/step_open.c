/* src/step/step_open.c: a step is read from its directory. */
#include "base/cleanup.h"
#include "step/name.h"
#include "step/step_build.h"

/* Takes B's memory from it, cut to what is used. */
static void *take_memory(struct buf *b, size_t *memory)
{
	void *p = realloc(b->p, b->n ? b->n : 1);

	*memory += b->n;
	p = p ? p : b->p;
	*b = (struct buf){0};
	return p;
}

static void take_arrays(struct step *s, struct builder *b)
{
	s->big_endian = b->big_endian;
	s->num_shards = (uint32_t)b->num_shards;
	s->n_vars = builder_n_vars(b);
	s->n_parts = (uint32_t)(b->parts.n / sizeof(struct part));
	s->n_shards = (uint32_t)(b->shards.n / sizeof(struct shard));
	s->vars = take_memory(&b->vars, &s->memory);
	s->parts = take_memory(&b->parts, &s->memory);
	s->shards = take_memory(&b->shards, &s->memory);
	s->dims = take_memory(&b->dims, &s->memory);
	s->names = take_memory(&b->names, &s->memory);
	s->texts = take_memory(&b->texts, &s->memory);
	s->strings = take_memory(&b->strings, &s->memory);
}

/* What is known of all variables together. */
static void sum_up(struct step *s)
{
	s->sound = true;
	for (uint32_t i = 0; i < s->n_vars; i++) {
		const struct var *v = &s->vars[i];
		struct shard *shard = &s->shards[v->shard];

		s->sound &= v->kind != VAR_BAD;
		if (v->kind != VAR_WHOLE && v->kind != VAR_PART)
			continue;
		shard->entries++;
		shard->used += v->size;
		s->sound &= shard->status == 0 && v->off <= shard->id.size &&
			    v->size <= shard->id.size - v->off;
	}
}

static int make_step(struct builder *b, const struct step_place *where, const struct stat *index,
		     struct step **out)
{
	struct step *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	atomic_init(&s->refs, 1);
	s->verify = verify_new(builder_n_vars(b));
	if (!s->verify || step_place_copy(where, &s->place) < 0) {
		step_unref(s);
		return -ENOMEM;
	}
	s->id = file_id_of(index);
	s->index = *index;
	s->memory = sizeof *s;
	take_arrays(s, b);
	sum_up(s);
	s->object_based = step_find(s, bytes_str(OBJECT_GRAPH_KEY)) != NULL;
	*out = s;
	return 0;
}

int step_open(int dirfd, const struct step_place *where, enum verify_mode mode, struct step **out,
	      struct err *e)
{
	CLEANUP(builder_release) struct builder b = {0};
	CLEANUP(closep) int fd = -1;
	struct source src;
	struct stat st;
	int r;

	r = fd = source_open(dirfd, where->file, &src, e);
	if (r >= 0 && fstat(fd, &st) < 0)
		r = err_sys(e, -errno, "fstat");
	if (r >= 0 && where->format == STEP_V2)
		r = build_bundle(&b, src, dirfd, where, &st, e);
	if (r < 0)
		return err_wrap(e, r, "%s", where->file);
	if (where->format == STEP_V1)
		r = build_v1(&b, dirfd, where, &st, e);
	if (r >= 0 && (r = make_step(&b, where, &st, out)) < 0)
		err_set(e, r, "%s: no memory", where->file);
	if (r < 0)
		return r;
	(*out)->mode = mode;
	return 0;
}
