/* Families of steps, and the name of the next one. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "directory/listing.h"
#include "step/sidecar.h"
#include <ctype.h>
#include <fcntl.h>

/* HEAD-NUMBER TAIL, where TAIL is nothing, or an extension without digits alone; TensorFlow writes the number
 * as "%d", so a '-' more may belong to it. Without a number, all is HEAD. */
struct numbered {
	struct bytes head, digits, tail;
	bool negative;
};

static struct numbered split_at(const char *name, size_t start, size_t end)
{
	bool negative = start > 1 && name[start - 2] == '-';

	return (struct numbered){.head = bytes_of(name, start - 1 - negative),
				 .digits = bytes_of(name + start, end - start),
				 .tail = bytes_str(name + end),
				 .negative = negative};
}

static struct numbered split_number(const char *name)
{
	size_t n = strlen(name), end = n;
	const struct numbered none = {.head = bytes_of(name, n), .tail = bytes_of(name + n, 0)};

	/* To TensorFlow a-1-of-5 is a shard, and a.meta the meta graph of it and of a-1-of-6: that is no next step. */
	if (sidecar_stem(name) < n)
		return none;
	for (;;) {
		size_t start = end;

		while (start > 0 && isdigit((unsigned char)name[start - 1]))
			start--;
		if (start < end && start > 0 && name[start - 1] == '-')
			return split_at(name, start, end);
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

/* --- numbers of any length --------------------------------------------------------------------------------- */

static struct bytes without_zeros(struct bytes digits)
{
	while (digits.n && *digits.p == '0')
		digits = bytes_of(digits.p + 1, digits.n - 1);
	return digits;
}

static int compare_numbers(const struct numbered *a, const struct numbered *b)
{
	struct bytes x = without_zeros(a->digits), y = without_zeros(b->digits);
	bool below_a = a->negative && x.n, below_b = b->negative && y.n; /* -0 is 0 */
	int c;

	if (below_a != below_b)
		return below_a ? -1 : 1;
	c = x.n != y.n ? (x.n < y.n ? -1 : 1) : bytes_cmp(x, y);
	return below_a ? -c : c;
}

/* Adds one to a number, or takes one off; it begins with a '0' for what is carried. */
static void count_one(uint8_t *digits, size_t n, bool down)
{
	const uint8_t full = down ? '0' : '9', wrapped = down ? '9' : '0';

	while (n && digits[n - 1] == full)
		digits[--n] = wrapped;
	if (n)
		digits[n - 1] = (uint8_t)(digits[n - 1] + (down ? -1 : 1));
}

/* The number behind OF; PADDED: in as many places, with its sign. */
static int print_next(const struct numbered *of, bool padded, struct buf *out)
{
	CLEANUP(buf_release) struct buf digits = {0};
	struct bytes number = without_zeros(of->digits);
	size_t width = padded ? of->digits.n + of->negative : 1;
	bool negative = of->negative && number.n;
	int r = buf_add_byte(&digits, '0');

	if (r == 0)
		r = buf_add(&digits, number.p, number.n);
	if (r < 0)
		return r;
	count_one(digits.p, digits.n, negative);
	number = without_zeros(buf_bytes(&digits));
	negative &= number.n > 0;
	if (negative)
		r = buf_add_byte(out, '-');
	for (size_t i = number.n + negative; i < width && r == 0; i++)
		r = buf_add_byte(out, '0');
	return r < 0 ? r : buf_add(out, number.p, number.n);
}

/* --- the next step ----------------------------------------------------------------------------------------- */

/* As Saver's pad_step_number makes them. */
static bool is_padded(const struct numbered *n)
{
	return n->digits.n > 1 && *n->digits.p == '0';
}

/* The highest number of NAME's family; none: 0. */
static struct numbered find_highest(const struct listing *l, const char *name, bool *padded)
{
	struct numbered highest = split_number(name);

	*padded = is_padded(&highest);
	for (uint32_t i = 0; i < l->n; i++) {
		struct numbered n = split_number(l->items[i].place.name);

		if (l->items[i].kind != LISTED_STEP || !n.digits.n || !are_family(&n, &highest))
			continue;
		*padded |= is_padded(&n);
		if (!highest.digits.n || compare_numbers(&n, &highest) > 0)
			highest = n;
	}
	return highest;
}

int step_next_name(const struct listing *l, const char *name, struct buf *out)
{
	CLEANUP(buf_release) struct buf next = {0};
	bool padded;
	struct numbered highest = find_highest(l, name, &padded);
	int r = buf_add(&next, highest.head.p, highest.head.n);

	if (r == 0)
		r = buf_add_byte(&next, '-');
	if (r == 0)
		r = print_next(&highest, padded, &next);
	if (r == 0)
		r = buf_add(&next, highest.tail.p, highest.tail.n);
	if (r == 0)
		r = buf_add_byte(&next, 0);
	return r < 0 ? r : buf_add(out, next.p, next.n);
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
	size_t prefix_n;
	uint32_t of;

	if (!d)
		return -errno;
	while ((de = dir_next(d)))
		if (name_is_data(de->d_name, &prefix_n, &of) && prefix_n == strlen(name) &&
		    !memcmp(de->d_name, name, prefix_n))
			return 1;
	return -errno;
}

static int is_free(int dirfd, const char *name)
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
	if (r == 0)
		r = has_data(dirfd, name);
	return r < 0 ? r : !r;
}

int step_name_is_free(int dirfd, const char *name, struct err *e)
{
	int r = is_free(dirfd, name);

	return r < 0 ? err_sys(e, r, "%s", name) : r;
}

int step_next_free(int dirfd, const struct listing *l, const char *name, struct buf *out,
		   struct err *e)
{
	enum { TRIES = 1000 };
	CLEANUP(buf_release) struct buf next = {0};
	int r = step_next_name(l, name, &next);

	for (int i = 0; i < TRIES && r == 0; i++) {
		CLEANUP(buf_release) struct buf taken = {0};

		r = is_free(dirfd, (char *)next.p);
		if (r != 0)
			break;
		buf_swap(&taken, &next);
		r = step_next_name(l, (char *)taken.p, &next);
	}
	if (r > 0)
		r = buf_add(out, next.p, next.n);
	else if (r == 0)
		r = -EEXIST;
	return r < 0 ? err_sys(e, r, "the next step of %s", name) : 0;
}
