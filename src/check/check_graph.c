/* src/check/check_graph.c: what a step's meta graph and object graph name, against what is stored. */
#include "base/cleanup.h"
#include "check/check_job.h"
#include "message/object_graph.h"
#include "step/sidecar.h"
#include <inttypes.h>

enum { MAX_NAMES = 5 }; /* in one sentence */

/* "3 variables that …: a, b, c" */
struct names {
	struct buf text;
	uint32_t n;
};

static void add_name(struct names *names, struct bytes key)
{
	if (names->n++ < MAX_NAMES)
		buf_printf(&names->text, "%s%.*s", names->n > 1 ? ", " : "", (int)key.n,
			   (const char *)key.p);
}

static void tell_names(struct job *j, struct names *names, const char *one, const char *several)
{
	struct err e;

	if (!names->n)
		return;
	if (names->n > MAX_NAMES)
		buf_printf(&names->text, " and %" PRIu32 " more", names->n - MAX_NAMES);
	err_set(&e, 0, "%" PRIu32 " %s: %.*s", names->n, names->n == 1 ? one : several,
		(int)names->text.n, (char *)names->text.p);
	job_note(j, e.text);
	buf_release(&names->text);
}

static bool in_variables(const struct memberships *m, struct bytes key)
{
	size_t from, n = memberships_find(m, key, &from);

	for (size_t i = from; i < from + n; i++)
		if (!strcmp(m->items[i].collection, "variables"))
			return true;
	return false;
}

static void compare_graph(struct job *j, const struct memberships *m)
{
	const struct step *s = j->s;
	struct names lacking = {0}, unknown = {0};
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->items[i].collection, "variables") != 0)
			continue;
		any = true;
		if (!step_find(s, m->items[i].key))
			add_name(&lacking, m->items[i].key);
	}
	for (uint32_t i = 0; any && i < s->n_vars; i++)
		if (s->vars[i].kind != VAR_PART && !in_variables(m, var_key(s, &s->vars[i])))
			add_name(&unknown, var_key(s, &s->vars[i]));
	tell_names(j, &lacking, "variable of its graph is not stored",
		   "variables of its graph are not stored");
	tell_names(j, &unknown, "variable is stored that its graph does not list",
		   "variables are stored that its graph does not list");
}

static int check_meta(struct job *j)
{
	CLEANUP(meta_graph_release) struct meta_graph graph = {0};
	CLEANUP(memberships_release) struct memberships m = {0};
	struct err e = {0};
	int r = sidecar_meta(j->dirfd, &j->s->place, META_SUFFIX, &graph, &e);

	if (r == -ENOENT)
		return 0;
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		job_found(j, NO_KEY, e.text);
		return 0;
	}
	r = meta_graph_memberships(&graph, &m);
	if (r == 0)
		compare_graph(j, &m);
	return r;
}

/* Whether some key is KEY, or begins with it. */
static bool has_key(const struct step *s, const struct object_key *key)
{
	uint32_t lo = 0, hi = s->n_vars;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (bytes_cmp(var_key(s, &s->vars[mid]), key->key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n_vars && (key->whole ? bytes_eq(var_key(s, &s->vars[lo]), key->key)
					     : bytes_starts(var_key(s, &s->vars[lo]), key->key));
}

static void compare_objects(struct job *j, const struct object_keys *keys)
{
	const struct step *s = j->s;
	struct names unknown = {0};
	uint32_t told = 0;

	for (size_t i = 0; i < keys->n; i++)
		if (!has_key(s, &keys->items[i]) && told++ < CHECK_MAX_TOLD)
			job_found(j, keys->items[i].key,
				  "the object graph names it, and it is not stored");
	for (uint32_t i = 0; i < s->n_vars; i++) {
		struct bytes key = var_key(s, &s->vars[i]);

		if (s->vars[i].kind != VAR_PART && !bytes_eq(key, bytes_str(OBJECT_GRAPH_KEY)) &&
		    !object_keys_cover(keys, key))
			add_name(&unknown, key);
	}
	tell_names(j, &unknown, "variable is stored that the object graph does not name",
		   "variables are stored that the object graph does not name");
}

static void check_objects(struct job *j)
{
	CLEANUP(buf_release) struct buf raw = {0};
	CLEANUP(object_keys_release) struct object_keys keys = {0};
	struct err e = {0};

	/* If it can't be read, that is told of its variable. */
	if (!j->s->object_based || sidecar_object_graph(j->s, j->dirfd, &raw, &e) < 0)
		return;
	if (object_keys_read(buf_bytes(&raw), &keys, &e) < 0)
		job_found(j, bytes_str(OBJECT_GRAPH_KEY), e.text);
	else
		compare_objects(j, &keys);
}

int check_graphs(struct job *j)
{
	int r = check_meta(j);

	if (r == 0 && !job_stopped(j))
		check_objects(j);
	return r;
}
