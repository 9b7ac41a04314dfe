#include "tool/match.h"
#include "base/cleanup.h"
#include "base/glob.h"
#include "tool/list.h"
#include <stdio.h>

struct matching {
	match_found *found;
	void *arg;
	bool any;
};

/* PATH up to the component with the first glob; empty: it is the first one. REST is what is behind. */
static char *before_glob(const char *path, const char **rest)
{
	size_t n = strcspn(path, "*?[");

	while (n && path[n - 1] != '/')
		n--;
	*rest = path + n;
	return n ? strndup(path, n) : strdup(".");
}

/* A ':' would end a glob. */
char *match_list(const char *glob)
{
	CLEANUP(buf_release) struct buf out = {0};
	int r = 0;

	for (; *glob && r == 0; glob++)
		r = *glob == ':' ? buf_add_str(&out, "[:]") : buf_add_byte(&out, (uint8_t)*glob);
	return r == 0 && buf_add_byte(&out, 0) == 0 ? (char *)TAKE(out.p, NULL) : NULL;
}

bool match_name(const char *glob, struct bytes stem)
{
	CLEANUP(freep) char *globs = match_list(glob);
	CLEANUP(buf_release) struct buf name = {0};

	if (!globs || buf_add(&name, stem.p, stem.n) < 0 || buf_add_str(&name, VAR_ENDING) < 0)
		return false;
	return globs_match(globs, stem) || globs_match(globs, buf_bytes(&name));
}

/* NAME in the folder BASE, as a path. The caller frees it; NULL: no memory. */
static char *join(const char *base, const char *name)
{
	size_t n = strlen(base);
	char *path = NULL;

	if (!strcmp(base, "."))
		return strdup(name);
	return asprintf(&path, "%s%s%s", base, n && base[n - 1] == '/' ? "" : "/", name) < 0 ? NULL
											     : path;
}

static int tell(struct matching *m, const char *base, const char *name, const struct place *p,
		struct err *e)
{
	CLEANUP(freep) char *path = join(base, name);

	if (!path)
		return err_set(e, -ENOMEM, "no memory");
	m->any = true;
	return m->found(m->arg, path, p, e);
}

/* The variables of the step or scope P, which is BASE, that match GLOB, with or without .npy. */
static int match_in_step(struct matching *m, const char *base, const struct place *p,
			 const char *glob, struct err *e)
{
	CLEANUP(freep) char *globs = match_list(glob);
	CLEANUP(list_release) struct list all = {0};
	int r = globs ? list_step(p, true, &all, e) : err_set(e, -ENOMEM, "no memory");

	for (size_t i = 0; i < all.n && r == 0; i++) {
		struct bytes name = bytes_str(all.items[i].name);
		struct place var = *p;

		var.kind = PLACE_VAR;
		var.at = all.items[i].at;
		if (globs_match(globs, bytes_of(name.p, name.n - strlen(VAR_ENDING))) ||
		    globs_match(globs, name))
			r = tell(m, base, all.items[i].name, &var, e);
	}
	return r;
}

/* The step NAME of the folder P, which is BASE. BEHIND: what the path has behind the step; NULL: nothing. */
static int match_step(struct matching *m, const char *base, const struct place *p, const char *name,
		      const char *behind, struct err *e)
{
	CLEANUP(place_release) struct place in = PLACE_EMPTY;
	CLEANUP(freep) char *path = NULL;
	int r = place_in(p, name, &in, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0 || !behind)
		return r < 0 ? r : tell(m, base, name, &in, e);
	if (in.kind != PLACE_STEP)
		return 0;
	path = join(base, name);
	if (!path)
		return err_set(e, -ENOMEM, "no memory");
	return match_in_step(m, path, &in, behind, e);
}

/* The steps of the folder P, which is BASE, that match the first component of GLOB; or what is in them. */
static int match_in_folder(struct matching *m, const char *base, const struct place *p,
			   const char *glob, struct err *e)
{
	const char *slash = strchr(glob, '/');
	CLEANUP(freep) char *first = strndup(glob, slash ? (size_t)(slash - glob) : strlen(glob));
	CLEANUP(freep) char *globs = first ? match_list(first) : NULL;
	CLEANUP(list_release) struct list all = {0};
	int r = globs ? list_folder(p, false, &all, e) : err_set(e, -ENOMEM, "no memory");

	for (size_t i = 0; i < all.n && r == 0; i++)
		if (all.items[i].kind == ITEM_STEP &&
		    globs_match(globs, bytes_str(all.items[i].name)))
			r = match_step(m, base, p, all.items[i].name,
				       slash && slash[1] ? slash + 1 : NULL, e);
	return r;
}

static int match_glob(struct places *ps, const char *path, struct matching *m, struct err *e)
{
	CLEANUP(place_release) struct place p = PLACE_EMPTY;
	const char *rest;
	CLEANUP(freep) char *base = before_glob(path, &rest);
	int r = base ? place_find(ps, base, WISH_SCOPE, &p, e) : err_set(e, -ENOMEM, "no memory");

	if (r == 0 && p.kind == PLACE_FOLDER)
		r = match_in_folder(m, base, &p, rest, e);
	else if (r == 0 && (p.kind == PLACE_STEP || p.kind == PLACE_SCOPE))
		r = match_in_step(m, base, &p, rest, e);
	if (r == 0 && !m->any)
		return err_set(e, -ENOENT, "%s: no step or variable matches", path);
	return r;
}

int match_each(struct places *ps, const char *path, enum place_wish wish, match_found *found,
	       void *arg, struct err *e)
{
	CLEANUP(place_release) struct place p = PLACE_EMPTY;
	struct matching m = {found, arg, false};
	int r = place_find(ps, path, wish, &p, e);

	if (r == -ENOENT && strpbrk(path, "*?["))
		return match_glob(ps, path, &m, e);
	return r < 0 ? r : found(arg, path, &p, e);
}
