#include "step/tree.h"
#include "base/cleanup.h"
#include "base/glob.h"
#include "message/meta_graph.h"
#include "step/full_names.h"
#include "step/text_kind.h"

static const char ending[] = VAR_ENDING;
enum { ENDING = sizeof ending - 1 };

/* --- comparing --------------------------------------------------------------------------------------------- */

/* Byte I of a path: a stem, and N_ENDING bytes of ".npy", which is nowhere in memory behind it. -1 behind the end. */
static int path_byte(struct bytes s, size_t n_ending, size_t i)
{
	if (i < s.n)
		return s.p[i];
	return i < s.n + n_ending ? ending[i - s.n] : -1;
}

static int compare(struct bytes a, size_t a_ending, struct bytes b, size_t b_ending)
{
	size_t i = a.n < b.n ? a.n : b.n;
	int c = i ? memcmp(a.p, b.p, i) : 0;

	for (; c == 0 && (i < a.n + a_ending || i < b.n + b_ending); i++)
		c = path_byte(a, a_ending, i) - path_byte(b, b_ending, i);
	return c;
}

static int compare_files(const void *a, const void *b)
{
	const struct tree_file *x = a, *y = b;

	return compare(bytes_of(x->stem, x->n), ENDING, bytes_of(y->stem, y->n), ENDING);
}

/* --- what is hidden ---------------------------------------------------------------------------------------- */

static bool is_in(const struct memberships *members, struct bytes key, const char *collection)
{
	size_t from, n = memberships_find(members, key, &from);

	while (n && strcmp(members->items[from + n - 1].collection, collection) != 0)
		n--;
	return n;
}

const char *tree_hides(const struct seen *seen, const struct memberships *members,
		       struct bytes stem, struct bytes key)
{
	if (bytes_eq(key, bytes_str(OBJECT_GRAPH_KEY)))
		return NULL;
	if (seen->var_list && !globs_match(seen->var_list, stem))
		return "var_list";
	return seen->collection && members && !is_in(members, key, seen->collection) ? "collection"
										     : NULL;
}

int tree_limit(struct step *s, struct err *e)
{
	CLEANUP(buf_release) struct buf stem = {0};
	int r = 0;

	for (uint32_t i = 0; i < s->n_vars && r == 0; i++) {
		struct bytes key = var_key(s, &s->vars[i]);

		stem.n = 0;
		r = full_names_path(s->full, s->object_based ? NAME_OBJECT : NAME_PLAIN, key,
				    &stem);
		s->vars[i].hidden = tree_hides(&s->seen, s->members, buf_bytes(&stem), key);
	}
	return r < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* --- building -------------------------------------------------------------------------------------------- */

/* Makes the files. Their stems are bytes of their keys, or full names. One with something escaped is added to ESCAPED, its offset to
 * OFFSETS, and is NULL in the file. */
static int make_stems(struct tree *t, const struct step *s, struct buf *escaped,
		      struct buf *offsets)
{
	int r = 0;

	for (uint32_t i = 0; i < s->n_vars && r == 0; i++) {
		struct bytes key = var_key(s, &s->vars[i]);
		struct tree_file f = {.stem = key.p, .var = i};
		struct bytes full = full_names_stem(s->full, key);
		size_t n = key.n, at = escaped->n;

		if (s->vars[i].kind == VAR_PART)
			continue;
		if (full.n) {
			f.stem = full.p;
			n = full.n;
		} else if (!name_is_plain(t->flavour, key, &n)) {
			r = name_to_path(t->flavour, key, escaped);
			f.stem = NULL;
			n = escaped->n - at;
			if (r == 0)
				r = buf_add(offsets, &at, sizeof at);
		}
		f.n = (uint32_t)n;
		t->files[t->n_files++] = f;
	}
	return escaped->n > UINT32_MAX ? -E2BIG : r;
}

static void hide(struct tree *t, const struct step *s)
{
	for (uint32_t i = 0; i < t->n_files;) {
		struct tree_file f = t->files[i];

		if (!s->vars[f.var].hidden) {
			i++;
			continue;
		}
		t->files[i] = t->files[--t->n_files];
		t->files[t->n_files] = f;
		t->n_hidden++;
	}
}

static void point_at_escaped(struct tree *t, const size_t *offsets)
{
	for (uint32_t i = 0; i < t->n_files; i++)
		if (!t->files[i].stem)
			t->files[i].stem = t->escaped + *offsets++;
}

/* Adds the folders of STEM that are below TOP, which FILE is the first in. TOP becomes the last of them. */
static int open_dirs(struct buf *dirs, uint32_t file, struct bytes stem, uint32_t *top)
{
	struct tree_dir d = {.lo = file, .parent = *top};
	size_t from = ((struct tree_dir *)dirs->p)[*top].prefix;
	const uint8_t *slash;

	while (from < stem.n && (slash = memchr(stem.p + from, '/', stem.n - from))) {
		from = (size_t)(slash - stem.p) + 1;
		d.prefix = (uint32_t)from;
		d.parent = *top;
		*top = (uint32_t)(dirs->n / sizeof d);
		if (*top > UINT32_MAX / 2)
			return -E2BIG;
		int r = buf_add(dirs, &d, sizeof d);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_below(const struct tree_file *f, const struct tree_file *first,
		     const struct tree_dir *d)
{
	return f->n >= d->prefix && !memcmp(f->stem, first->stem, d->prefix);
}

/* Makes the folders in one walk over the sorted files. TOP is the folder that the last file was in; its parents are not
 * ended either. */
static int make_dirs(struct tree *t, struct buf *dirs)
{
	struct tree_dir root = {0};
	uint32_t top = 0;
	int r = buf_add(dirs, &root, sizeof root);

	for (uint32_t i = 0; i < t->n_files && r == 0; i++) {
		const struct tree_file *f = &t->files[i];
		struct tree_dir *d = (struct tree_dir *)dirs->p;

		for (; top && !is_below(f, &t->files[d[top].lo], &d[top]); top = d[top].parent)
			d[top].hi = i;
		r = open_dirs(dirs, i, bytes_of(f->stem, f->n), &top);
	}
	if (r < 0)
		return r;
	for (struct tree_dir *d = (struct tree_dir *)dirs->p; top; top = d[top].parent)
		d[top].hi = t->n_files;
	((struct tree_dir *)dirs->p)->hi = t->n_files;
	return 0;
}

/* The index is sorted by key, so most often the paths are, too. */
static void sort_files(struct tree *t)
{
	uint32_t i = 1;

	while (i < t->n_files && compare_files(&t->files[i - 1], &t->files[i]) < 0)
		i++;
	if (i < t->n_files)
		qsort(t->files, t->n_files, sizeof *t->files, compare_files);
}

static int build(struct tree *t, const struct step *s)
{
	CLEANUP(buf_release) struct buf offsets = {0};
	struct buf escaped = {0}, dirs = {0};
	int r;

	t->files = malloc((s->n_vars + 1) * sizeof *t->files);
	if (!t->files)
		return -ENOMEM;
	r = make_stems(t, s, &escaped, &offsets);
	t->escaped = escaped.p;
	if (r < 0)
		return r;
	point_at_escaped(t, (const size_t *)offsets.p);
	hide(t, s);
	sort_files(t);
	r = make_dirs(t, &dirs);
	t->dirs = (struct tree_dir *)dirs.p;
	t->n_dirs = (uint32_t)(dirs.n / sizeof *t->dirs);
	t->memory = (t->n_files + t->n_hidden) * sizeof *t->files + escaped.cap + dirs.cap;
	return r;
}

int tree_init(struct tree *t, const struct step *s, struct err *e)
{
	int r;

	*t = (struct tree){.flavour = s->object_based ? NAME_OBJECT : NAME_PLAIN};
	r = build(t, s);
	if (r < 0)
		tree_release(t);
	return r < 0 ? err_sys(e, r, "the tree of %s", s->place.name) : 0;
}

void tree_release(struct tree *t)
{
	free(t->files);
	free(t->dirs);
	free(t->escaped);
	*t = (struct tree){0};
}

/* --- looking --------------------------------------------------------------------------------------------- */

struct bytes tree_dir_path(const struct tree *t, uint32_t dir)
{
	const struct tree_dir *d = &t->dirs[dir];

	return d->prefix ? bytes_of(t->files[d->lo].stem, d->prefix) : bytes_of(NULL, 0);
}

/* The child of DIR that file POS is below. There is one. */
static uint32_t child_dir(const struct tree *t, uint32_t dir, uint32_t pos)
{
	uint32_t lo = dir + 1, hi = t->n_dirs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->dirs[mid].lo <= pos)
			lo = mid + 1;
		else
			hi = mid;
	}
	lo--; /* the last folder that begins at POS or before it: the child, or one in the child */
	while (t->dirs[lo].parent != dir)
		lo = t->dirs[lo].parent;
	return lo;
}

static void child_at(const struct tree *t, uint32_t dir, uint32_t pos, struct tree_child *out)
{
	const struct tree_file *f = &t->files[pos];
	uint32_t prefix = t->dirs[dir].prefix;
	struct bytes rest = bytes_of(f->stem + prefix, f->n - prefix);
	const uint8_t *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;

	*out = (struct tree_child){.is_dir = slash, .index = pos, .name = rest};
	if (slash) {
		out->index = child_dir(t, dir, pos);
		out->name.n = (size_t)(slash - rest.p);
	}
}

bool tree_next(const struct tree *t, uint32_t dir, uint32_t *pos, struct tree_child *out)
{
	const struct tree_dir *d = &t->dirs[dir];
	uint32_t at = d->lo + *pos;

	if (at >= d->hi)
		return false;
	child_at(t, dir, at, out);
	*pos = (out->is_dir ? t->dirs[out->index].hi : at + 1) - d->lo;
	return true;
}

/* The first file below DIR whose path, without DIR's, is not less than PATH. */
static uint32_t lower_bound(const struct tree *t, uint32_t dir, struct bytes path)
{
	const struct tree_dir *d = &t->dirs[dir];
	uint32_t lo = d->lo, hi = d->hi;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct tree_file *f = &t->files[mid];
		struct bytes rest = bytes_of(f->stem + d->prefix, f->n - d->prefix);

		if (compare(rest, ENDING, path, 0) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_named(const struct tree *t, uint32_t dir, uint32_t pos, bool is_dir,
		     struct bytes name, struct tree_child *out)
{
	if (pos >= t->dirs[dir].hi)
		return false;
	child_at(t, dir, pos, out);
	return out->is_dir == is_dir && bytes_eq(out->name, name);
}

bool tree_lookup(const struct tree *t, uint32_t dir, struct bytes name, struct tree_child *out)
{
	uint8_t below[256];

	if (memchr(name.p, '/', name.n) || name.n >= sizeof below) /* no name is longer than 255 */
		return false;
	if (bytes_ends(name, bytes_of(ending, ENDING))) { /* no folder has that ending */
		uint32_t at = lower_bound(t, dir, name);

		name.n -= ENDING;
		return is_named(t, dir, at, false, name, out);
	}
	memcpy(below, name.p, name.n);
	below[name.n] = '/';
	return is_named(t, dir, lower_bound(t, dir, bytes_of(below, name.n + 1)), true, name, out);
}
