#include "step/text.h"
#include "base/cleanup.h"
#include "step/var_field.h"

/* The largest text. Indentation can make a hundred bytes of two. */
static const size_t TEXT_MAX = (size_t)4 << 30;

/* Is there a file that the text is made of? */
static int find_sidecar(struct texts *t, const struct step *s, int dirfd, enum text_kind kind)
{
	const char *suffix = text_sidecar(kind, t->meta_suffix);
	CLEANUP(buf_release) struct buf name = {0};
	int r = sidecar_name(&s->place, suffix, &name);

	if (r < 0)
		return r;
	if (fstatat(dirfd, (char *)name.p, &t->st[kind], 0) < 0)
		return errno == EIO || errno == ENOMEM ? -errno : 0;
	t->there[kind] = S_ISREG(t->st[kind].st_mode);
	return 0;
}

int texts_init(struct texts *t, const struct step *s, int dirfd, const char *meta_suffix,
	       bool strip_default_attrs)
{
	int r = 0;

	*t = (struct texts){.meta_suffix = meta_suffix, .strip_default_attrs = strip_default_attrs};
	pthread_mutex_init(&t->lock, NULL);
	for (enum text_kind kind = 0; kind < N_TEXTS && r == 0; kind++) {
		if (text_sidecar(kind, meta_suffix)) {
			r = find_sidecar(t, s, dirfd, kind);
			continue;
		}
		t->there[kind] = kind != TEXT_OBJECT_GRAPH || s->object_based;
		t->st[kind] = s->index;
	}
	return r;
}

void texts_release(struct texts *t)
{
	memberships_release(&t->memberships);
	object_names_release(&t->names);
	pthread_mutex_destroy(&t->lock);
}

/* What was read is wrong, and stays so. */
static bool is_final(int r)
{
	return r == -EUCLEAN || r == -EBADMSG || r == -EFBIG;
}

/* --- collections ------------------------------------------------------------------------------------------- */

/* Under t->lock. A damaged meta graph counts as one without collections; its own text says what is wrong. */
static int load_memberships(struct texts *t, const struct step *s, int dirfd, struct err *e)
{
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	int r = 0;

	if (t->has_memberships)
		return 0;
	if (t->there[TEXT_META_GRAPH])
		r = sidecar_meta(dirfd, &s->place, t->meta_suffix, &m, e);
	if (t->there[TEXT_META_GRAPH] && r == 0)
		r = meta_graph_memberships(&m, &t->memberships);
	t->has_memberships = r != -EIO && r != -ENOMEM && r != -EMFILE && r != -ENFILE;
	return t->has_memberships ? 0 : r;
}

int text_collections(struct texts *t, const struct step *s, int dirfd, struct bytes key,
		     struct buf *out, struct err *e)
{
	size_t from, n = 0;
	int r;

	pthread_mutex_lock(&t->lock);
	r = load_memberships(t, s, dirfd, e);
	if (r == 0)
		n = memberships_find(&t->memberships, key, &from);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = i ? buf_add_byte(out, ',') : 0;
		if (r == 0)
			r = buf_add_str(out, t->memberships.items[from + i].collection);
	}
	pthread_mutex_unlock(&t->lock);
	return r < 0 || n ? r : -ENODATA;
}

/* --- full names -------------------------------------------------------------------------------------------- */

/* Under t->lock. */
static int load_names(struct texts *t, struct step *s, int dirfd, struct err *e)
{
	CLEANUP(buf_release) struct buf graph = {0};
	struct err why = t->no_names;
	int r = why.code;

	if (!t->has_names && r == 0) {
		r = sidecar_object_graph(s, dirfd, &graph, &why);
		if (r == 0)
			r = object_names_read(buf_bytes(&graph), &t->names, &why);
		if (r < 0)
			err_wrap(&why, r, "%s", s->place.name);
		t->has_names = r == 0;
		if (is_final(r))
			t->no_names = why;
	}
	if (r < 0 && e)
		*e = why;
	return r;
}

int text_full_name(struct texts *t, struct step *s, int dirfd, struct bytes key, struct buf *out,
		   struct err *e)
{
	const char *name = NULL;
	int r;

	if (!s->object_based)
		return -ENODATA;
	pthread_mutex_lock(&t->lock);
	r = load_names(t, s, dirfd, e);
	if (r == 0)
		name = object_names_find(&t->names, key);
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		return r;
	return name ? buf_add_str(out, name) : -ENODATA;
}

/* Are there names for the table? Once there are none it stays so, for the table's size is known then. Or why that can't be
 * found out now. */
static int has_names(struct texts *t, struct step *s, int dirfd, bool *has)
{
	int r = -ENODATA;

	*has = false;
	if (!s->object_based)
		return 0;
	pthread_mutex_lock(&t->lock);
	if (!t->nameless)
		r = load_names(t, s, dirfd, NULL);
	*has = r == 0;
	t->nameless = t->nameless || (r < 0 && sidecar_graph_is_lost(s, r));
	r = t->nameless ? 0 : r;
	pthread_mutex_unlock(&t->lock);
	return r;
}

/* --- variables.tsv ----------------------------------------------------------------------------------------- */

static bool is_escaped(uint8_t c)
{
	return c < 0x20 || c == 0x7f || c == '\\';
}

static int add_escaped(struct buf *out, uint8_t c)
{
	if (c == '\t' || c == '\n' || c == '\\')
		return buf_printf(out, "\\%c", c == '\t' ? 't' : c == '\n' ? 'n' : '\\');
	return buf_printf(out, "\\x%02x", c);
}

static int add_name(struct buf *out, struct bytes name)
{
	size_t done = 0;
	int r = 0;

	for (size_t i = 0; i < name.n && r == 0; i++) {
		if (!is_escaped(name.p[i]))
			continue;
		r = buf_add(out, name.p + done, i - done);
		if (r == 0)
			r = add_escaped(out, name.p[i]);
		done = i + 1;
	}
	return r == 0 && done < name.n ? buf_add(out, name.p + done, name.n - done) : r;
}

/* A tab, and the field's value or "-". */
static int add_field(struct buf *out, const struct step *s, const struct var *v,
		     enum var_field field)
{
	int r = buf_add_byte(out, '\t');

	if (r == 0)
		r = var_field_put(s, v, field, out);
	return r == -ENODATA ? buf_add_byte(out, '-') : r;
}

/* A tab, and the name or "-". Not NAMED: no variable has one; why is said where the object graph is read as a text. */
static int add_full_name(struct buf *out, struct texts *t, struct step *s, int dirfd, bool named,
			 const struct var *v)
{
	CLEANUP(buf_release) struct buf name = {0};
	int r = buf_add_byte(out, '\t'), found = -ENODATA;

	if (r == 0 && named)
		found = text_full_name(t, s, dirfd, var_key(s, v), &name, NULL);
	if (r < 0 || (found < 0 && found != -ENODATA))
		return r < 0 ? r : found;
	return found == 0 ? add_name(out, buf_bytes(&name)) : buf_add_byte(out, '-');
}

static int add_line(struct buf *out, struct texts *t, struct step *s, int dirfd, bool named,
		    const struct var *v)
{
	int r = add_name(out, var_key(s, v));

	if (r == 0)
		r = add_field(out, s, v, VAR_DTYPE);
	if (r == 0)
		r = buf_add_str(out, "\t[");
	if (r == 0)
		r = var_field_put(s, v, VAR_SHAPE, out);
	if (r == 0)
		r = buf_add_str(out, "]\t");
	if (r == 0)
		r = buf_add_decimal(out, v->size);
	if (r == 0)
		r = add_field(out, s, v, VAR_CRC);
	if (r == 0)
		r = buf_add_byte(out, '\t');
	if (r == 0)
		r = text_collections(t, s, dirfd, var_key(s, v), out, NULL);
	if (r == -ENODATA)
		r = buf_add_byte(out, '-');
	if (r == 0)
		r = add_full_name(out, t, s, dirfd, named, v);
	return r == 0 ? buf_add_byte(out, '\n') : r;
}

/* Adds LINE to OUT, if there is one, and its length to SIZE. */
static int put_line(struct buf *line, struct buf *out, uint64_t *size)
{
	int r = out ? buf_add(out, line->p, line->n) : 0;

	*size += line->n;
	line->n = 0;
	return *size > TEXT_MAX ? -E2BIG : r;
}

/* OUT may be NULL: of a million variables only the size is to be known, without 50 MB for the text. */
static int make_variables(struct texts *t, struct step *s, int dirfd, struct buf *out,
			  uint64_t *size)
{
	CLEANUP(buf_release) struct buf line = {0};
	int r = buf_add_str(&line, "name\tdtype\tshape\tbytes\tcrc32c\tcollections\tfull_name\n");
	bool named = false;

	*size = 0;
	if (r == 0)
		r = has_names(t, s, dirfd, &named);
	if (r == 0)
		r = put_line(&line, out, size);
	for (uint32_t i = 0; i < s->n_vars && r == 0; i++) {
		if (s->vars[i].kind == VAR_PART || s->vars[i].hidden)
			continue;
		r = add_line(&line, t, s, dirfd, named, &s->vars[i]);
		if (r == 0)
			r = put_line(&line, out, size);
	}
	return r;
}

/* --- the others -------------------------------------------------------------------------------------------- */

static int make_meta_graph(const struct texts *t, const struct step *s, int dirfd, struct buf *out,
			   struct err *e)
{
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	int r = sidecar_meta(dirfd, &s->place, t->meta_suffix, &m, e);

	if (r == 0 && t->strip_default_attrs)
		r = meta_graph_strip(&m, e);
	return r < 0 ? r : meta_graph_print(&m, out, e);
}

static int make_object_graph(struct step *s, int dirfd, struct buf *out, struct err *e)
{
	CLEANUP(buf_release) struct buf graph = {0};
	int r = sidecar_object_graph(s, dirfd, &graph, e);

	if (r == 0 && (r = object_graph_print(buf_bytes(&graph), out, e)) < 0)
		err_wrap(e, r, OBJECT_GRAPH_KEY);
	return r < 0 ? err_wrap(e, r, "%s", s->place.name) : 0;
}

static int make_debug_info(const struct step *s, int dirfd, struct buf *out, struct err *e)
{
	CLEANUP(buf_release) struct buf raw = {0};
	int r = sidecar_read(dirfd, &s->place, text_sidecar(TEXT_DEBUG_INFO, NULL), &raw, e);

	if (r < 0)
		return r;
	r = debug_info_print(buf_bytes(&raw), out, e);
	return r < 0 ? err_wrap(e, r, "%s.debug", s->place.name) : 0;
}

int text_make(struct texts *t, struct step *s, int dirfd, enum text_kind kind, struct buf *out,
	      struct err *e)
{
	uint64_t size;
	int r = -EINVAL;

	out->max = TEXT_MAX;
	switch (kind) {
	case TEXT_VARIABLES:
		r = make_variables(t, s, dirfd, out, &size);
		if (r < 0)
			err_sys(e, r, "%s", text_name(kind));
		break;
	case TEXT_META_GRAPH:
		r = make_meta_graph(t, s, dirfd, out, e);
		break;
	case TEXT_OBJECT_GRAPH:
		r = make_object_graph(s, dirfd, out, e);
		break;
	case TEXT_DEBUG_INFO:
		r = make_debug_info(s, dirfd, out, e);
		break;
	case N_TEXTS:
		break;
	}
	return r == -E2BIG ? err_set(e, -EFBIG, "%s: too large", text_name(kind)) : r;
}

bool text_size_is_known(struct texts *t, enum text_kind kind)
{
	bool known;

	pthread_mutex_lock(&t->lock);
	known = t->known[kind];
	pthread_mutex_unlock(&t->lock);
	return known;
}

static int find_size(struct texts *t, struct step *s, int dirfd, enum text_kind kind,
		     uint64_t *size)
{
	CLEANUP(buf_release) struct buf text = {0};
	int r;

	if (kind == TEXT_VARIABLES) {
		r = make_variables(t, s, dirfd, NULL, size);
		return r == -E2BIG ? -EFBIG : r;
	}
	r = text_make(t, s, dirfd, kind, &text, NULL);
	*size = text.n;
	return r;
}

uint64_t text_size(struct texts *t, struct step *s, int dirfd, enum text_kind kind, bool *lasts)
{
	uint64_t size;
	bool known;
	int r;

	pthread_mutex_lock(&t->lock);
	known = t->known[kind];
	size = t->size[kind];
	pthread_mutex_unlock(&t->lock);
	*lasts = true;
	if (known)
		return size;
	r = find_size(t, s, dirfd, kind, &size);
	if (r < 0)
		size = t->st[kind].st_size ? (uint64_t)t->st[kind].st_size : 1;
	pthread_mutex_lock(&t->lock);
	t->known[kind] = *lasts = r == 0 || is_final(r);
	t->size[kind] = size;
	pthread_mutex_unlock(&t->lock);
	return size;
}
