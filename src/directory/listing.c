#include "directory/listing.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/source.h"
#include "format/v1.h"
#include <fcntl.h>
#include <limits.h>
#include <string.h>

static bool ends_with(const char *s, const char *suffix)
{
	return bytes_ends(bytes_str(s), bytes_str(suffix));
}

void listing_release(struct listing *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		step_place_release(&l->items[i].place);
	for (uint32_t i = 0; i < l->n_passed; i++)
		step_place_release(&l->passed[i].place);
	free(l->items);
	free(l->passed);
	buf_release(&l->data);
	*l = (struct listing){0};
}

static int compare(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	int c = strcmp(x->place.name, y->place.name);

	return c ? c : (int)x->kind - (int)y->kind;
}

const struct listed *listing_find(const struct listing *l, enum listed_kind kind, const char *name)
{
	struct listed key = {kind, {.name = (char *)name}};

	return l->n ? bsearch(&key, l->items, l->n, sizeof *l->items, compare) : NULL;
}

const struct listed *listing_find_step(const struct listing *l, const char *name)
{
	const struct listed *step = listing_find(l, LISTED_STEP, name);
	const struct listed *link = step ? NULL : listing_find(l, LISTED_LINK, name);

	return link ? listing_find(l, LISTED_STEP, link->place.file) : step;
}

/* The name of a save's temporary folder: PREFIX_temp, or PREFIX_temp_ and 32 hex digits. */
static bool looks_temporary(const char *name)
{
	const char *temp = strstr(name, "_temp");

	for (const char *next; temp && (next = strstr(temp + 1, "_temp"));)
		temp = next;
	if (!temp)
		return false;
	temp += strlen("_temp");
	return !*temp || (*temp == '_' && strlen(temp + 1) == 32 &&
			  strspn(temp + 1, "0123456789abcdef") == 32);
}

bool folder_is_temporary(int dirfd, const char *name)
{
	CLEANUP(dir_closep) DIR *d = looks_temporary(name) ? dir_open(dirfd, name) : NULL;
	const struct dirent *de;
	bool only_parts = d;

	while (only_parts && (de = dir_next(d)))
		only_parts = !strncmp(de->d_name, "part-", 5);
	return only_parts;
}

/* "….tempstate12345" */
static bool is_unfinished(const char *name)
{
	const char *temp = strstr(name, ".tempstate");

	return temp && temp[strlen(".tempstate")] &&
	       !temp[strspn(temp + strlen(".tempstate"), "0123456789") + strlen(".tempstate")];
}

bool name_is_temporary(const char *name)
{
	size_t n = strlen(name);

	return is_unfinished(name) || (n > 36 && !strncmp(name + n - 36, ".tmp", 4) &&
				       strspn(name + n - 32, "0123456789abcdef") == 32);
}

size_t name_without_shard(const char *name, uint32_t *of)
{
	size_t n = strlen(name);
	const char *p = n > 15 ? name + n - 15 : NULL;

	*of = 0;
	if (p && p[0] == '-' && !strncmp(p + 6, "-of-", 4) && strspn(p + 1, "0123456789") == 5 &&
	    strspn(p + 10, "0123456789") == 5)
		*of = (uint32_t)strtoul(p + 10, NULL, 10);
	return *of ? (size_t)(p - name) : n;
}

bool name_is_data(const char *name, size_t *prefix_n, uint32_t *of)
{
	for (const char *p = name; (p = strstr(p, ".data-")); p++) {
		size_t digits = strspn(p + 6, "0123456789");
		const char *total = p + 6 + digits;

		if (digits < 5 || strncmp(total, "-of-", 4) != 0 ||
		    strspn(total + 4, "0123456789") < 5 ||
		    total[4 + strspn(total + 4, "0123456789")])
			continue;
		*prefix_n = (size_t)(p - name);
		*of = (uint32_t)strtoul(total + 4, NULL, 10);
		return true;
	}
	return false;
}

bool name_is_data_of(const char *name, const char *prefix)
{
	size_t n = strlen(prefix), prefix_n;
	uint32_t of;

	return name_is_data(name, &prefix_n, &of) && prefix_n == n && !strncmp(name, prefix, n);
}

bool name_can_be_link(const char *name)
{
	size_t prefix_n;
	uint32_t of;

	return !ends_with(name, ".index") && !ends_with(name, ".meta") &&
	       !name_is_data(name, &prefix_n, &of) && !name_is_temporary(name) &&
	       name_without_shard(name, &of) == strlen(name);
}

int listing_is_sure(const struct listing *l, struct err *e)
{
	return l->unread ? err_sys(e, l->unread,
				   "a file in the directory, which may be a V1 checkpoint")
			 : 0;
}

/* 1; 0: also if nobody lets us read it; or why it can't be read now. */
static int is_v1(int dirfd, const char *name)
{
	CLEANUP(closep) int fd = -1;
	struct source src;
	int r;

	if (ends_with(name, ".meta") || strstr(name, ".data-") || is_unfinished(name) ||
	    dir_is_removed(name))
		return 0;
	fd = source_open(dirfd, name, &src, NULL);
	r = fd >= 0 ? v1_probe(src) : fd;
	return r == 1 || r == -EIO || r == -ESTALE || r == -ENOMEM || r == -EMFILE || r == -ENFILE
		       ? r
		       : 0;
}

/* Sets what the file NAME stands for, and N, how much of NAME is to be listed. 1; 0: it is not listed; or of is_v1. */
static int classify_file(int dirfd, const char *name, const char *state_name, struct listed *out,
			 size_t *n)
{
	int r;

	*n = strlen(name);
	out->kind = LISTED_STATE;
	if (!strcmp(name, state_name))
		return 1;
	out->kind = LISTED_STEP;
	if (ends_with(name, ".index")) {
		*n -= strlen(".index");
		return 1;
	}
	out->place.format = STEP_V1;
	r = is_v1(dirfd, name);
	if (r > 0)
		*n = name_without_shard(name, &out->place.shards);
	return r;
}

/* The same, for any entry of the directory. */
static int classify(int dirfd, const char *name, int type, const char *state_name,
		    struct listed *out, size_t *n)
{
	*out = (struct listed){0};
	if (type == DT_DIR) {
		*n = strlen(name);
		out->kind = LISTED_FOLDER;
		return strcmp(name, ".") && strcmp(name, "..") && strcmp(name, ".ckptfs") &&
		       !folder_is_temporary(dirfd, name);
	}
	if (type != DT_REG && type != DT_LNK)
		return 0;
	return classify_file(dirfd, name, state_name, out, n);
}

static int add(struct buf *items, struct listed item, const char *file, size_t n)
{
	int r;

	item.place.name = strndup(file, n);
	item.place.file = strdup(file);
	r = item.place.name && item.place.file ? buf_add(items, &item, sizeof item) : -ENOMEM;
	if (r < 0)
		step_place_release(&item.place);
	return r;
}

/* Adds the link NAME, if it leads to a name in its own directory. */
static int add_if_link(int dirfd, const char *name, struct buf *items)
{
	struct listed item = {.kind = LISTED_LINK};
	char target[NAME_MAX + 1];
	ssize_t n = name_can_be_link(name) ? readlinkat(dirfd, name, target, sizeof target) : 0;
	int r;

	if (n < 0 && errno != ENOENT && errno != EINVAL)
		return -errno;
	if (n <= 0 || n > NAME_MAX || memchr(target, '/', (size_t)n))
		return 0;
	item.place.name = strdup(name);
	item.place.file = strndup(target, (size_t)n);
	r = item.place.name && item.place.file ? buf_add(items, &item, sizeof item) : -ENOMEM;
	if (r < 0)
		step_place_release(&item.place);
	return r;
}

/* What the entries of a directory give, one by one, before they are compared with each other. */
struct reading {
	int dirfd;
	const char *state_name;
	struct buf items; /* struct listed */
	int unread; /* this and what follows as in struct listing */
	bool looks_beyond;
	struct buf data;
};

/* FNV-1a. */
static uint32_t number_of(const char *prefix, size_t n)
{
	uint32_t h = 2166136261;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)prefix[i]) * 16777619;
	return h;
}

static int note_data(struct buf *data, const char *name)
{
	size_t n;
	uint32_t of, number;

	if (!name_is_data(name, &n, &of))
		return 0;
	number = number_of(name, n);
	/* The shards of a step often come one after the other. */
	if (data->n && memcmp(data->p + data->n - sizeof number, &number, sizeof number) == 0)
		return 0;
	return buf_add(data, &number, sizeof number);
}

bool listing_may_have_data(const struct listing *l, const char *prefix)
{
	const uint32_t number = number_of(prefix, strlen(prefix));
	const uint32_t *numbers = (const uint32_t *)l->data.p;

	for (size_t i = 0; i < l->data.n / sizeof number; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/* Adds what the entry NAME of the directory gives. */
static int read_entry(struct reading *of, const char *name, int type)
{
	struct listed item;
	size_t n, before = of->items.n;
	int r = classify(of->dirfd, name, type, of->state_name, &item, &n);

	if (r < 0 && r != -ENOMEM) {
		of->unread = r;
		r = 0;
	}
	if (r > 0)
		r = add(&of->items, item, name, n);
	if (r == 0 && type == DT_LNK) {
		of->looks_beyond |= of->items.n > before;
		before = of->items.n;
		r = add_if_link(of->dirfd, name, &of->items);
		of->looks_beyond |= of->items.n == before;
	}
	of->looks_beyond |= type == DT_DIR && looks_temporary(name);
	return r == 0 ? note_data(&of->data, name) : r;
}

static int read_entries(struct reading *of)
{
	CLEANUP(dir_closep) DIR *d = dir_open(of->dirfd, ".");
	const struct dirent *de;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (de = dir_next(d)))
		r = read_entry(of, de->d_name, dir_type(of->dirfd, de));
	return r == 0 ? -errno : r;
}

/* By name and kind, then in the order in which TensorFlow prefers them: V2, a single file, the larger set; of a set
 * the first shard comes first. */
static int compare_all(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	int c = compare(a, b);

	if (c == 0)
		c = (int)x->place.format - (int)y->place.format;
	if (c == 0 && x->place.shards != y->place.shards)
		c = !x->place.shards || (y->place.shards && x->place.shards > y->place.shards) ? -1
											       : 1;
	return c ? c : strcmp(x->place.file, y->place.file);
}

/* ITEM, which was an item of L, is none any more. */
static void pass_over(struct listing *l, struct listed item)
{
	l->passed[l->n_passed++] = item;
}

/* Sorts, and keeps the one that TensorFlow prefers of those with the same name and kind. */
static void keep_preferred(struct listing *l)
{
	uint32_t kept = 0;

	if (l->n)
		qsort(l->items, l->n, sizeof *l->items, compare_all);
	for (uint32_t i = 0; i < l->n; i++) {
		if (kept && compare(&l->items[kept - 1], &l->items[i]) == 0)
			pass_over(l, l->items[i]);
		else
			l->items[kept++] = l->items[i];
	}
	l->n = kept;
}

/* Is ITEM the V1 file NAME, taken for a step? */
static bool is_step_by_link(const struct listed *item, const char *name)
{
	return item->kind == LISTED_STEP && item->place.format == STEP_V1 &&
	       !strcmp(item->place.file, name);
}

/* Keeps the links that lead to a step, and not to another link. What leads to a V1 file is a link, and no step. */
static void keep_links(struct listing *l)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		struct step_place *p = &l->items[i].place;

		if (l->items[i].kind == LISTED_LINK)
			p->shards = listing_find(l, LISTED_STEP, p->file) &&
				    !listing_find(l, LISTED_LINK, p->file);
	}
	for (uint32_t i = 0; i < l->n; i++) {
		struct step_place *p = &l->items[i].place;
		bool is_link = l->items[i].kind == LISTED_LINK, keep = !is_link || p->shards;

		if (is_link)
			p->shards = 0;
		if (keep && is_link && kept && is_step_by_link(&l->items[kept - 1], p->name))
			pass_over(l, l->items[--kept]);
		if (keep)
			l->items[kept++] = l->items[i];
		else
			pass_over(l, l->items[i]);
		l->looks_beyond |= !keep; /* it may be the file that it leads to */
	}
	l->n = kept;
}

/* Makes OUT of what was read, which is empty then; R says whether all was. */
static int finish(struct reading *of, int r, struct listing *out)
{
	struct listing l = {.items = (struct listed *)of->items.p,
			    .n = (uint32_t)(of->items.n / sizeof(struct listed)),
			    .unread = of->unread,
			    .looks_beyond = of->looks_beyond,
			    .data = of->data};

	/* Any item may be passed over. */
	if (r == 0 && l.n && !(l.passed = malloc(l.n * sizeof *l.passed)))
		r = -ENOMEM;
	if (r < 0) {
		listing_release(&l);
		return r;
	}
	keep_preferred(&l);
	keep_links(&l);
	if (!l.n_passed)
		freep(&l.passed);
	*out = l;
	return 0;
}

int listing_read(int dirfd, const char *state_name, struct listing *out, struct err *e)
{
	struct reading of = {.dirfd = dirfd, .state_name = state_name};
	int r = finish(&of, read_entries(&of), out);

	return r < 0 ? err_sys(e, r, "reading the directory") : 0;
}

int listing_add_link(struct listing *l, const char *name, const char *target)
{
	struct step_place place = {.name = (char *)name, .file = (char *)target};
	struct listed link = {.kind = LISTED_LINK};
	struct listed *items = realloc(l->items, (l->n + (size_t)1) * sizeof *items), *old;
	size_t at = l->n;

	if (!items)
		return -ENOMEM;
	l->items = items;
	if (step_place_copy(&place, &link.place) < 0)
		return -ENOMEM;
	old = (struct listed *)listing_find(l, LISTED_LINK, name);
	if (old) {
		step_place_release(&old->place);
		*old = link;
		return 0;
	}
	while (at && compare(&link, &items[at - 1]) < 0)
		at--;
	memmove(items + at + 1, items + at, (l->n - at) * sizeof *items);
	items[at] = link;
	l->n++;
	return 0;
}

int listing_keep(struct listing *l, bool (*keep)(const void *arg, const struct listed *item),
		 const void *arg)
{
	size_t room = l->n + (size_t)l->n_passed;
	struct listed *passed = room ? realloc(l->passed, room * sizeof *passed) : NULL;
	uint32_t kept = 0;

	if (room && !passed)
		return -ENOMEM;
	l->passed = passed;
	for (uint32_t i = 0; i < l->n; i++) {
		if (keep(arg, &l->items[i]))
			l->items[kept++] = l->items[i];
		else
			pass_over(l, l->items[i]);
	}
	l->n = kept;
	return 0;
}

/* --- updating ---------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Appends to OUT pointers to NAMES, sorted. */
static int sort_names(const struct buf *names, struct buf *out)
{
	int r = 0;

	for (const char *n = (char *)names->p; r == 0 && n < (char *)names->p + names->n;
	     n += strlen(n) + 1)
		r = buf_add(out, &n, sizeof n);
	if (out->n)
		qsort(out->p, out->n / sizeof(char *), sizeof(char *), compare_names);
	return r;
}

/* Copies those of the N items at FROM that are not of a name in SORTED. */
static int carry_over(struct reading *of, const struct listed *from, uint32_t n,
		      const struct buf *sorted)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct step_place *p = &from[i].place;
		const char *name = from[i].kind == LISTED_LINK ? p->name : p->file;
		struct listed copy = {.kind = from[i].kind};
		int r;

		if (sorted->n &&
		    bsearch(&name, sorted->p, sorted->n / sizeof name, sizeof name, compare_names))
			continue;
		r = step_place_copy(p, &copy.place);
		if (r == 0 && (r = buf_add(&of->items, &copy, sizeof copy)) < 0)
			step_place_release(&copy.place);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Adds what each name in SORTED gives now. */
static int look_again(struct reading *of, const struct buf *sorted)
{
	const char *const *names = (const char *const *)sorted->p;
	int r = 0;

	for (size_t i = 0; i < sorted->n / sizeof *names && r == 0; i++) {
		struct stat st;

		if (i && !strcmp(names[i], names[i - 1]))
			continue;
		if (fstatat(of->dirfd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			r = read_entry(of, names[i], (int)IFTODT(st.st_mode));
		else if (errno != ENOENT)
			r = -EAGAIN;
	}
	return r == 0 && of->unread ? -EAGAIN : r;
}

int listing_update(int dirfd, const char *state_name, const struct listing *old,
		   const struct buf *names, struct listing *out, struct err *e)
{
	struct reading of = {.dirfd = dirfd, .state_name = state_name};
	CLEANUP(buf_release) struct buf sorted = {0};
	int r = old->unread || old->looks_beyond ? -EAGAIN : sort_names(names, &sorted);

	if (r == 0)
		r = buf_add(&of.data, old->data.p, old->data.n);
	if (r == 0)
		r = carry_over(&of, old->items, old->n, &sorted);
	if (r == 0)
		r = carry_over(&of, old->passed, old->n_passed, &sorted);
	if (r == 0)
		r = look_again(&of, &sorted);
	r = finish(&of, r, out);
	if (r == 0 && out->looks_beyond) {
		listing_release(out);
		r = -EAGAIN;
	}
	return r < 0 && r != -EAGAIN ? err_sys(e, r, "looking at the directory") : r;
}
