#include "base/glob.h"
#include "base/utf8.h"

static bool is_end(char c)
{
	return !c || c == ':';
}

static struct bytes char_at(struct bytes s, size_t i)
{
	size_t n = utf8_length(bytes_of(s.p + i, s.n - i));

	return bytes_of(s.p + i, n ? n : 1);
}

/* Behind the ']' of the set that begins at P, with '['; NULL: it has none. */
static const char *set_end(const char *p)
{
	p += p[1] == '!' || p[1] == '^' ? 2 : 1;
	p = *p ? strchr(p + 1, ']') : NULL; /* the first may be a ']' itself */
	return p ? p + 1 : NULL;
}

/* Is C one of what stands between '[' and ']'? */
static bool set_has(struct bytes set, struct bytes c)
{
	bool not = *set.p == '!' || *set.p == '^', has = false;

	for (size_t i = not ; i < set.n;) {
		struct bytes from = char_at(set, i), to = from;

		i += from.n;
		if (i + 1 < set.n && set.p[i] == '-') {
			to = char_at(set, i + 1);
			i += 1 + to.n;
		}
		has = has || (bytes_cmp(from, c) <= 0 && bytes_cmp(c, to) <= 0);
	}
	return has != not ;
}

/* Behind what P begins with, which is no star, if it stands for the character C; else NULL. */
static const char *match_one(const char *p, struct bytes c)
{
	const char *end = *p == '[' ? set_end(p) : NULL;
	bool slash = *c.p == '/';

	if (is_end(*p))
		return NULL;
	if (*p == '?')
		return slash ? NULL : p + 1;
	if (end)
		return !slash && set_has(bytes_of(p + 1, (size_t)(end - p) - 2), c) ? end : NULL;
	return strncmp(p, (const char *)c.p, c.n) ? NULL : p + c.n;
}

/* The last star that was met. */
struct star {
	const char *behind; /* NULL: none */
	size_t at; /* what it stands for ends there in the name */
	enum { IN_FOLDER, ANY, FOLDERS } kind;
};

/* Lets S stand for more of NAME. False: it can't. */
static bool lengthen(struct star *s, struct bytes name)
{
	const uint8_t *from = name.p + s->at, *slash;

	if (!s->behind || s->at == name.n || (s->kind == IN_FOLDER && *from == '/'))
		return false;
	if (s->kind != FOLDERS) {
		s->at += char_at(name, s->at).n;
		return true;
	}
	slash = memchr(from, '/', name.n - s->at);
	if (slash)
		s->at += (size_t)(slash - from) + 1;
	return slash;
}

/* Where the glob at P has a star: that, and P is moved behind it. BEGIN: of the glob. */
static bool is_star(const char **p, const char *begin, size_t at, struct star *out)
{
	const char *s = *p;
	bool any = s[0] == '*' && s[1] == '*';
	bool folders = any && s[2] == '/' && (s == begin || s[-1] == '/');

	if (*s != '*')
		return false;
	*p += 1 + any + folders;
	*out = (struct star){*p, at, folders ? FOLDERS : any ? ANY : IN_FOLDER};
	return true;
}

/* It is enough to lengthen the last star, and then the last of those that stand for folders: what is before such a star has matched as
 * early as it can. */
static bool match(const char *begin, struct bytes name)
{
	struct star last = {0}, wide = {0};
	const char *p = begin, *next;
	size_t i = 0;

	while (i < name.n || !is_end(*p)) {
		if (is_star(&p, begin, i, &last)) {
			wide = last.kind == IN_FOLDER ? wide : last;
			continue;
		}
		next = i < name.n ? match_one(p, char_at(name, i)) : NULL;
		if (next) {
			i += char_at(name, i).n;
			p = next;
			continue;
		}
		if (!lengthen(&last, name)) {
			if (!lengthen(&wide, name))
				return false;
			last = wide;
		}
		wide = last.kind == IN_FOLDER ? wide : last;
		i = last.at;
		p = last.behind;
	}
	return true;
}

bool globs_match(const char *globs, struct bytes name)
{
	const char *end;

	for (const char *p = globs;; p++) {
		if (match(p, name))
			return true;
		while (!is_end(*p))
			p = *p == '[' && (end = set_end(p)) ? end : p + 1;
		if (!*p)
			return false;
	}
}
