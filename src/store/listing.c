#include "store/listing.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *s, const char *suffix)
{
	return bytes_ends(bytes_str(s), bytes_str(suffix));
}

void listing_release(struct listing *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		free(l->items[i].name);
	free(l->items);
	*l = (struct listing){0};
}

static int compare(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : (int)x->kind - (int)y->kind;
}

const struct listed *listing_find(const struct listing *l, enum listed_kind kind, const char *name)
{
	struct listed key = {kind, (char *)name};

	return l->n ? bsearch(&key, l->items, l->n, sizeof *l->items, compare) : NULL;
}

static DIR *open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
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

static bool is_temporary(int dirfd, const char *name)
{
	const struct dirent *de;
	bool only_parts = true;
	DIR *d;

	if (!looks_temporary(name) || !(d = open_dir(dirfd, name)))
		return false;
	while (only_parts && (de = readdir(d)))
		only_parts = !strncmp(de->d_name, "part-", 5) || !strcmp(de->d_name, ".") ||
			     !strcmp(de->d_name, "..");
	closedir(d);
	return only_parts;
}

/* What a name in the directory stands for; false if for nothing that is listed. */
static bool classify(int dirfd, const struct dirent *de, const char *state_name, struct listed *out)
{
	const char *name = de->d_name;
	unsigned char type = de->d_type;
	struct stat st;

	if (type == DT_UNKNOWN && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		type = IFTODT(st.st_mode);
	if (type == DT_DIR) {
		out->kind = LISTED_FOLDER;
		return strcmp(name, ".") && strcmp(name, "..") && strcmp(name, ".ckptfs") &&
		       !is_temporary(dirfd, name);
	}
	if (type != DT_REG && type != DT_LNK)
		return false;
	out->kind = ends_with(name, ".index") ? LISTED_STEP : LISTED_STATE;
	return out->kind == LISTED_STEP || !strcmp(name, state_name);
}

static int add(struct buf *items, const struct listed *item, const char *name)
{
	struct listed new = *item;
	size_t n = strlen(name) - (item->kind == LISTED_STEP ? strlen(".index") : 0);
	int r;

	new.name = strndup(name, n);
	if (!new.name)
		return -ENOMEM;
	r = buf_add(items, &new, sizeof new);
	if (r < 0)
		free(new.name);
	return r;
}

int listing_read(int dirfd, const char *state_name, struct listing *out, struct err *e)
{
	struct buf items = {0};
	const struct dirent *de;
	struct listed item;
	int r = 0;
	DIR *d = open_dir(dirfd, ".");

	if (!d)
		return err_sys(e, -errno, "open");
	while (r == 0 && (errno = 0, de = readdir(d)))
		if (classify(dirfd, de, state_name, &item))
			r = add(&items, &item, de->d_name);
	if (r == 0 && errno)
		r = -errno;
	closedir(d);

	struct listing l = {(struct listed *)items.p, (uint32_t)(items.n / sizeof item)};

	if (r < 0) {
		listing_release(&l);
		return err_sys(e, r, "reading the directory");
	}
	if (l.n)
		qsort(l.items, l.n, sizeof *l.items, compare);
	*out = l;
	return 0;
}

/* Cuts NAME into what is before "-NUMBER" and what is after it: nothing, or an extension without digits alone.
 * Without a number, all is before it. */
static void split_number(const char *name, struct bytes *head, struct bytes *tail)
{
	size_t n = strlen(name), end = n;

	*head = bytes_of(name, n);
	*tail = bytes_of(name + n, 0);
	for (;;) {
		size_t start = end;

		while (start > 0 && isdigit((unsigned char)name[start - 1]))
			start--;
		if (start < end && start > 0 && name[start - 1] == '-') {
			*head = bytes_of(name, start - 1);
			*tail = bytes_of(name + end, n - end);
			return;
		}
		if (end < n) /* one extension at most */
			return;
		while (end > 0 && name[end - 1] != '.')
			end--;
		if (end-- == 0)
			return;
	}
}

bool same_family(const char *a, const char *b)
{
	struct bytes head_a, tail_a, head_b, tail_b;

	split_number(a, &head_a, &tail_a);
	split_number(b, &head_b, &tail_b);
	return bytes_eq(head_a, head_b) && bytes_eq(tail_a, tail_b);
}
