#include "config.h" /* first, for memmem */

#include "base/cleanup.h"
#include "step/full_names.h"
#include <stdlib.h>

static struct bytes find(const struct full_name *items, size_t n, struct bytes from)
{
	size_t i = bytes_search(items, n, sizeof *items, from);

	return i < n && bytes_eq(items[i].from, from) ? items[i].to : bytes_of(NULL, 0);
}

static bool is_usable(struct bytes name)
{
	size_t len;

	return name.n && name_is_plain(NAME_PLAIN, name, &len) && name.p[0] != '.' &&
	       !memmem(name.p, name.n, "/.", 2) && !bytes_eq(name, bytes_str(OBJECT_GRAPH_KEY));
}

static struct bytes name_key(const struct object_names *names, size_t i)
{
	return bytes_str((char *)names->texts.p + names->items[i].key);
}

/* Is STEM that of a key? 1 or 0; -ENOMEM. */
static int is_taken(const struct full_names *f, struct bytes stem, const struct bytes *keys,
		    size_t n)
{
	CLEANUP(buf_release) struct buf key = {0};
	int r = name_from_path(NAME_OBJECT, stem, &key);
	size_t i;

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	i = bytes_search(keys, n, sizeof *keys, buf_bytes(&key));
	return (i < n && bytes_eq(keys[i], buf_bytes(&key))) ||
	       object_names_has(&f->names, buf_bytes(&key));
}

static int compare(const void *a, const void *b)
{
	return bytes_cmp(((const struct full_name *)a)->from, ((const struct full_name *)b)->from);
}

/* Puts what may have its full name into by_stem, by rules 1 and 3. */
static int list(struct full_names *f, const struct bytes *keys, size_t n)
{
	const char *texts = (char *)f->names.texts.p;

	for (size_t i = 0; i < f->names.n; i++) {
		struct bytes key = name_key(&f->names, i);
		struct bytes name = bytes_str(texts + f->names.items[i].name);
		int taken = 1;

		if ((i == 0 || !bytes_eq(key, name_key(&f->names, i - 1))) && is_usable(name))
			taken = is_taken(f, name, keys, n);
		if (taken < 0)
			return taken;
		if (!taken)
			f->by_stem[f->n++] = (struct full_name){name, key};
	}
	return 0;
}

/* Rule 2. */
static void drop_equal(struct full_names *f)
{
	size_t kept = 0, end;

	for (size_t i = 0; i < f->n; i = end) {
		for (end = i + 1; end < f->n && !compare(&f->by_stem[i], &f->by_stem[end]);)
			end++;
		if (end == i + 1)
			f->by_stem[kept++] = f->by_stem[i];
	}
	f->n = kept;
}

static int make(struct full_names *f, const struct bytes *keys, size_t n)
{
	int r;

	f->by_stem = calloc(f->names.n + 1, sizeof *f->by_stem);
	f->by_key = calloc(f->names.n + 1, sizeof *f->by_key);
	if (!f->by_stem || !f->by_key)
		return -ENOMEM;
	r = list(f, keys, n);
	qsort(f->by_stem, f->n, sizeof *f->by_stem, compare);
	drop_equal(f);
	for (size_t i = 0; i < f->n; i++)
		f->by_key[i] = (struct full_name){f->by_stem[i].to, f->by_stem[i].from};
	qsort(f->by_key, f->n, sizeof *f->by_key, compare);
	f->memory = sizeof *f + f->names.texts.cap +
		    f->names.n * (sizeof *f->names.items + 2 * sizeof *f->by_key);
	return r;
}

int full_names_read(struct bytes graph, const struct bytes *keys, size_t n, struct full_names **out,
		    struct err *e)
{
	struct full_names *f = calloc(1, sizeof *f);
	int r = f ? object_names_read(graph, &f->names, e) : err_set(e, -ENOMEM, "no memory");

	if (r == 0 && (r = make(f, keys, n)) < 0)
		err_sys(e, r, "the names of %zu variables", f->names.n);
	if (r < 0)
		full_names_free(f);
	else
		*out = f;
	return r;
}

void full_names_free(struct full_names *f)
{
	if (!f)
		return;
	free(f->by_key);
	free(f->by_stem);
	object_names_release(&f->names);
	free(f);
}

struct bytes full_names_stem(const struct full_names *f, struct bytes key)
{
	return f ? find(f->by_key, f->n, key) : bytes_of(NULL, 0);
}

int full_names_path(const struct full_names *f, enum name_flavour flavour, struct bytes key,
		    struct buf *out)
{
	struct bytes full = full_names_stem(f, key);

	return full.n ? buf_add(out, full.p, full.n) : name_to_path(flavour, key, out);
}

int full_names_key(const struct full_names *f, enum name_flavour flavour, struct bytes stem,
		   struct buf *key, struct err *e)
{
	struct bytes shown = f ? find(f->by_stem, f->n, stem) : bytes_of(NULL, 0);
	size_t start = key->n;
	int r = shown.n ? buf_add(key, shown.p, shown.n) : name_from_path(flavour, stem, key);

	if (r == -ENOENT)
		return err_set(e, -EINVAL,
			       "%.*s.npy: no variable has such a path, see NAMES in ckptfs(5)",
			       (int)stem.n, (char *)stem.p);
	if (r < 0)
		return err_set(e, r, "no memory");
	if (shown.n)
		return 0;
	shown = full_names_stem(f, bytes_of(key->p + start, key->n - start));
	if (!shown.n)
		return 0;
	key->n = start;
	return err_set(e, -EINVAL, "%.*s.npy: this variable is called %.*s.npy here", (int)stem.n,
		       (char *)stem.p, (int)shown.n, (char *)shown.p);
}
