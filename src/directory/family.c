#include "directory/family.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "step/sidecar.h"
#include <ctype.h>
#include <fcntl.h>

/* --- names with numbers ------------------------------------------------------------------------------------ */

typedef __int128 number_t;

enum { MAX_DIGITS = 39 };

static const number_t MAX_NUMBER = ((number_t)1 << 126) + (((number_t)1 << 126) - 1);

/* HEAD-NUMBER TAIL, where TAIL is nothing or an extension. Without a number all is HEAD. */
struct numbered {
	struct bytes head, tail;
	bool has_number;
	bool padded; /* with zeros, as by Saver's pad_step_number */
	number_t number; /* else 0 */
	size_t width; /* of the number: its characters, with the sign */
};

/* Splits NAME at its digits, which are from START to END and have a '-' before them. One more '-' is the number's
 * sign, as TensorFlow prints it by "%d". False: it is too large. */
static bool split_at(const char *name, size_t start, size_t end, struct numbered *out)
{
	bool negative = start > 1 && name[start - 2] == '-';
	number_t number = 0;

	for (size_t i = start; i < end; i++) {
		if (number > (MAX_NUMBER - 10) / 10)
			return false;
		number = 10 * number + (name[i] - '0');
	}
	*out = (struct numbered){.head = bytes_of(name, start - 1 - negative),
				 .tail = bytes_str(name + end),
				 .has_number = true,
				 .padded = end - start > 1 && name[start] == '0',
				 .number = negative ? -number : number,
				 .width = end - start + negative};
	return true;
}

static struct numbered split_number(const char *name)
{
	size_t n = strlen(name), end = n;
	const struct numbered none = {.head = bytes_of(name, n), .tail = bytes_of(name + n, 0)};
	struct numbered split;

	/* To TensorFlow a-1-of-5 is a shard, and a.meta the meta graph of it and of a-1-of-6: that is no next step. */
	if (sidecar_stem(name) < n)
		return none;
	for (;;) {
		size_t start = end;

		while (start > 0 && isdigit((unsigned char)name[start - 1]))
			start--;
		if (start < end && start > 0 && name[start - 1] == '-')
			return split_at(name, start, end, &split) ? split : none;
		if (end < n) /* one extension at most */
			return none;
		while (end > 0 && name[end - 1] != '.')
			end--;
		if (end-- == 0)
			return none;
	}
}

static bool are_family(const struct numbered *a, const struct numbered *b)
{
	return bytes_eq(a->head, b->head) && bytes_eq(a->tail, b->tail);
}

bool same_family(const char *a, const char *b)
{
	struct numbered x = split_number(a), y = split_number(b);

	return are_family(&x, &y);
}

/* --- the next step ----------------------------------------------------------------------------------------- */

/* Appends N in at least WIDTH characters, with zeros before its digits. */
static int print_number(number_t n, size_t width, struct buf *out)
{
	char digits[MAX_DIGITS + 1];
	size_t at = sizeof digits;
	bool negative = n < 0;
	int r = negative ? buf_add_byte(out, '-') : 0;

	if (negative)
		n = -n;
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	for (size_t i = sizeof digits - at + negative; i < width && r == 0; i++)
		r = buf_add_byte(out, '0');
	return r < 0 ? r : buf_add(out, digits + at, sizeof digits - at);
}

/* The last of NAME's family that L lists; NAME itself if that is none. PADDED: some number of the family is. */
static struct numbered find_highest(const struct listing *l, const char *name, bool *padded)
{
	struct numbered highest = split_number(name);

	*padded = highest.padded;
	for (uint32_t i = 0; i < l->n; i++) {
		struct numbered n = split_number(l->items[i].place.name);

		if (l->items[i].kind != LISTED_STEP || !n.has_number || !are_family(&n, &highest))
			continue;
		*padded |= n.padded;
		if (!highest.has_number || n.number > highest.number)
			highest = n;
	}
	return highest;
}

/* Appends, with its NUL, the name of the step after the last of NAME's family that L lists. */
static int print_next(const struct listing *l, const char *name, bool pad, struct buf *out)
{
	bool padded;
	struct numbered highest = find_highest(l, name, &padded);
	size_t width = padded ? highest.width : 1;
	int r = buf_add(out, highest.head.p, highest.head.n);

	if (r == 0)
		r = buf_add_byte(out, '-');
	if (r == 0)
		r = print_number(highest.number + 1, pad && width < PAD_DIGITS ? PAD_DIGITS : width,
				 out);
	if (r == 0)
		r = buf_add(out, highest.tail.p, highest.tail.n);
	return r < 0 ? r : buf_add_byte(out, 0);
}

/* --- what the listing does not tell ------------------------------------------------------------------------ */

/* 1, 0, or why that can't be known. */
static int exists(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

static int has_data(int dirfd, const char *name)
{
	CLEANUP(dir_closep) DIR *d = dir_open(dirfd, ".");
	const struct dirent *de;

	if (!d)
		return -errno;
	while ((de = dir_next(d)))
		if (name_is_data_of(de->d_name, name))
			return 1;
	return -errno;
}

static int is_free(int dirfd, const struct listing *l, const char *name)
{
	CLEANUP(buf_release) struct buf index = {0}, meta = {0};
	const struct step_place place = {.name = (char *)name};
	int r = step_index_name(name, &index);

	if (r == 0)
		r = sidecar_name(&place, META_SUFFIX, &meta);
	if (r == 0)
		r = exists(dirfd, (char *)index.p);
	if (r == 0)
		r = exists(dirfd, (char *)meta.p);
	if (r == 0)
		r = exists(dirfd, name);
	if (r == 0 && (!l || listing_may_have_data(l, name)))
		r = has_data(dirfd, name);
	return r < 0 ? r : !r;
}

int step_name_is_free(int dirfd, const struct listing *l, const char *name, struct err *e)
{
	int r = is_free(dirfd, l, name);

	return r < 0 ? err_sys(e, r, "%s", name) : r;
}

int step_next_free(int dirfd, const struct listing *l, const char *name, bool pad, struct buf *out,
		   struct err *e)
{
	enum { TRIES = 1000 };
	CLEANUP(buf_release) struct buf next = {0};
	int r = print_next(l, name, pad, &next);

	for (int i = 0; i < TRIES && r == 0; i++) {
		CLEANUP(buf_release) struct buf taken = {0};

		r = is_free(dirfd, l, (char *)next.p);
		if (r != 0)
			break;
		buf_swap(&taken, &next);
		r = print_next(l, (char *)taken.p, pad, &next);
	}
	if (r > 0)
		r = buf_add(out, next.p, next.n);
	else if (r == 0)
		r = -EEXIST;
	return r < 0 ? err_sys(e, r, "the next step of %s", name) : 0;
}
