#include "step/sidecar.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/tree.h"
#include <ctype.h>
#include <inttypes.h>

size_t sidecar_stem(const char *name)
{
	size_t n = strlen(name), end = n, at;

	while (end > 0 && isdigit((unsigned char)name[end - 1]))
		end--;
	if (end == n || end < 4 || strncmp(name + end - 4, "-of-", 4) != 0)
		return n;
	at = end -= 4;
	while (at > 0 && (isdigit((unsigned char)name[at - 1]) || name[at - 1] == '?'))
		at--;
	return at < end && at > 0 && name[at - 1] == '-' ? at - 1 : n;
}

int sidecar_name(const struct step_place *p, const char *suffix, struct buf *out)
{
	int r = buf_add(out, p->name, sidecar_stem(p->name));

	if (r == 0)
		r = buf_add_byte(out, '.');
	return r < 0 ? r : buf_add(out, suffix, strlen(suffix) + 1);
}

int sidecar_read(int dirfd, const struct step_place *p, const char *suffix, struct buf *out,
		 struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};
	CLEANUP(closep) int fd = -1;
	struct source src;
	int r = sidecar_name(p, suffix, &name);

	if (r < 0)
		return err_set(e, r, "no memory");
	r = fd = source_open(dirfd, (char *)name.p, &src, e);
	if (r >= 0 && src.size > SIDECAR_MAX)
		r = err_set(e, -EFBIG, "%" PRIu64 " bytes, more than a message has", src.size);
	if (r >= 0)
		r = source_read(&src, 0, src.size, out, e);
	return r < 0 ? err_wrap(e, r, "%s", (char *)name.p) : 0;
}

int sidecar_meta(int dirfd, const struct step_place *p, const char *suffix, struct meta_graph *out,
		 struct err *e)
{
	CLEANUP(buf_release) struct buf raw = {0};
	int r = sidecar_read(dirfd, p, suffix, &raw, e);

	if (r < 0)
		return r;
	r = meta_graph_parse(buf_bytes(&raw), out, e);
	return r < 0 ? err_wrap(e, r, "%s.%s", p->name, suffix) : 0;
}

int sidecar_object_graph(struct step *s, int dirfd, struct buf *out, struct err *e)
{
	const struct var *v = step_find(s, bytes_str(OBJECT_GRAPH_KEY));
	struct tensor_shape shape;
	struct tensor *t;
	size_t skip;
	int r;

	if (!v || v->dtype != DTYPE_STRING || v->rank)
		return err_set(e, -ENOENT, "there is no object graph");
	r = tensor_open(s, v, dirfd, &t, e);
	if (r < 0)
		return err_wrap(e, r, OBJECT_GRAPH_KEY);
	r = tensor_shape(s, v, dirfd, &shape, e);
	skip = shape.lengths ? 8 : 0;
	if (r == 0 && shape.size > SIDECAR_MAX)
		r = err_set(e, -EFBIG, "an object graph of %" PRIu64 " bytes", shape.size);
	if (r == 0 && buf_reserve(out, shape.size) < 0)
		r = err_set(e, -ENOMEM, "no memory for %" PRIu64 " bytes", shape.size);
	if (r == 0)
		r = tensor_read(t, skip, shape.size - skip, out->p + out->n, e);
	if (r == 0)
		out->n += shape.size - skip;
	tensor_close(t);
	return r < 0 ? err_wrap(e, r, OBJECT_GRAPH_KEY) : 0;
}

bool sidecar_graph_is_lost(const struct step *s, int r)
{
	const struct var *v = step_find(s, bytes_str(OBJECT_GRAPH_KEY));

	if (r == -EIO)
		return v && s->shards[v->shard].status < 0 && step_is_known(s);
	return r == -EUCLEAN || r == -EBADMSG || r == -EFBIG || r == -ENOENT || r == -ENOTSUP ||
	       r == -EACCES;
}

int sidecar_full_names(struct step *s, int dirfd, struct err *e)
{
	CLEANUP(freep) struct bytes *keys = calloc(s->n_vars + (size_t)1, sizeof *keys);
	CLEANUP(buf_release) struct buf graph = {0};
	int r = keys ? 0 : err_set(e, -ENOMEM, "no memory");

	if (!s->object_based || r < 0)
		return r;
	for (uint32_t i = 0; i < s->n_vars; i++)
		keys[i] = var_key(s, &s->vars[i]);
	r = sidecar_object_graph(s, dirfd, &graph, e);
	if (r == 0)
		r = full_names_read(buf_bytes(&graph), keys, s->n_vars, &s->full, e);
	if (r == 0)
		s->memory += s->full->memory;
	return r < 0 && sidecar_graph_is_lost(s, r) ? 0 : r;
}

static int read_members(struct step *s, int dirfd, const char *meta_suffix, struct err *e)
{
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	int r = sidecar_meta(dirfd, &s->place, meta_suffix, &m, e);

	if (r == -ENOENT || r == -EUCLEAN || r == -E2BIG || r == -EFBIG || r == -EACCES)
		return 0;
	if (r == 0 && !(s->members = calloc(1, sizeof *s->members)))
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0 && (r = meta_graph_memberships(&m, s->members)) < 0)
		err_set(e, r, "no memory");
	if (r == 0)
		s->memory += s->members->n * sizeof *s->members->items + s->members->keys.cap;
	return r;
}

int sidecar_limit(struct step *s, int dirfd, const char *meta_suffix, const struct seen *seen,
		  struct err *e)
{
	int r = seen_copy(seen, &s->seen);

	if (r < 0)
		return err_set(e, r, "no memory");
	if (seen->collection)
		r = read_members(s, dirfd, meta_suffix, e);
	return r == 0 && (seen->collection || seen->var_list) ? tree_limit(s, e) : r;
}
