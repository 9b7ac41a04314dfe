#include "base/kept.h"
#include "base/cleanup.h"
#include <string.h>
#include <sys/resource.h>

enum { PART_OF_DESCRIPTORS = 8 };

static unsigned max_kept(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur / PART_OF_DESCRIPTORS >= MAX_KEPT)
		return MAX_KEPT;
	return (unsigned)l.rlim_cur / PART_OF_DESCRIPTORS;
}

void kept_init(struct kept *k, dev_t dev)
{
	*k = (struct kept){.dev = dev, .max = max_kept()};
	pthread_mutex_init(&k->lock, NULL);
}

void kept_release(struct kept *k)
{
	kept_close(k);
	pthread_mutex_destroy(&k->lock);
}

uint64_t kept_owner(struct kept *k)
{
	HOLD(&k->lock);
	return ++k->owners;
}

uint64_t kept_closings(struct kept *k)
{
	HOLD(&k->lock);
	return k->closings;
}

struct kept_file *kept_new(int fd, const struct stat *st)
{
	struct kept_file *f = calloc(1, sizeof *f);

	if (!f) {
		close(fd);
		return NULL;
	}
	f->fd = fd;
	f->st = *st;
	atomic_init(&f->refs, 1);
	return f;
}

void kept_unref(struct kept_file *f)
{
	if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	close(f->fd);
	free(f);
}

/* --- with the lock held -------------------------------------------------------------------------------------- */

/* The place of OWNER's file NUMBER in k->files; k->n: it is not there. */
static unsigned find(const struct kept *k, uint64_t owner, uint32_t number)
{
	unsigned i = 0;

	while (i < k->n && !(k->files[i]->owner == owner && k->files[i]->number == number))
		i++;
	return i;
}

static unsigned find_oldest(const struct kept *k)
{
	unsigned oldest = 0;

	for (unsigned i = 1; i < k->n; i++)
		if (k->files[i]->used < k->files[oldest]->used)
			oldest = i;
	return oldest;
}

/* Gives its reference to the caller. */
static struct kept_file *take_out(struct kept *k, unsigned at)
{
	struct kept_file *f = k->files[at];

	k->files[at] = k->files[--k->n];
	return f;
}

/* --- the files -------------------------------------------------------------------------------------------------- */

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_as_it_was(const struct kept_file *f)
{
	struct stat now;

	return fstat(f->fd, &now) == 0 && now.st_size == f->st.st_size &&
	       now.st_nlink == f->st.st_nlink && is_same_time(now.st_mtim, f->st.st_mtim) &&
	       is_same_time(now.st_ctim, f->st.st_ctim);
}

static struct kept_file *use(struct kept *k, uint64_t owner, uint32_t number)
{
	struct kept_file *f;
	unsigned at;

	HOLD(&k->lock);
	at = find(k, owner, number);
	if (at == k->n)
		return NULL;
	f = k->files[at];
	f->used = ++k->clock;
	atomic_fetch_add(&f->refs, 1);
	return f;
}

/* F, to which the caller has a reference, is kept no longer. */
static void drop(struct kept *k, struct kept_file *f)
{
	struct kept_file *kept = NULL;
	unsigned at;

	pthread_mutex_lock(&k->lock);
	at = find(k, f->owner, f->number);
	if (at < k->n && k->files[at] == f)
		kept = take_out(k, at);
	pthread_mutex_unlock(&k->lock);
	kept_unref(kept);
}

struct kept_file *kept_find(struct kept *k, uint64_t owner, uint32_t number)
{
	struct kept_file *f = use(k, owner, number);

	if (!f || is_as_it_was(f))
		return f;
	drop(k, f);
	kept_unref(f);
	return NULL;
}

void kept_add(struct kept *k, struct kept_file *f, uint64_t owner, uint32_t number,
	      uint64_t closings)
{
	struct kept_file *oldest = NULL;

	pthread_mutex_lock(&k->lock);
	if (closings == k->closings && f->st.st_dev == k->dev && k->max &&
	    find(k, owner, number) == k->n) {
		if (k->n == k->max)
			oldest = take_out(k, find_oldest(k));
		f->owner = owner;
		f->number = number;
		f->used = ++k->clock;
		atomic_fetch_add(&f->refs, 1);
		k->files[k->n++] = f;
	}
	pthread_mutex_unlock(&k->lock);
	kept_unref(oldest);
}

void kept_close(struct kept *k)
{
	struct kept_file *files[MAX_KEPT];
	unsigned n;

	pthread_mutex_lock(&k->lock);
	n = k->n;
	memcpy(files, k->files, n * sizeof(*files));
	k->n = 0;
	k->closings++;
	pthread_mutex_unlock(&k->lock);
	for (unsigned i = 0; i < n; i++)
		kept_unref(files[i]);
}
