#include "base/lacks.h"
#include "base/cleanup.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum { MAX_KNOWN = 64 };

static struct {
	dev_t dev;
	unsigned flags;
} known[MAX_KNOWN];

/* Those before it do not change any more. */
static atomic_uint n_known;

static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

static int find(dev_t dev)
{
	unsigned n = atomic_load(&n_known);

	for (unsigned i = 0; i < n; i++)
		if (known[i].dev == dev)
			return (int)i;
	return -1;
}

bool lacks_note(dev_t dev, unsigned flags)
{
	unsigned n;

	HOLD(&adding);
	n = atomic_load(&n_known);
	if (find(dev) >= 0 || n == MAX_KNOWN)
		return find(dev) >= 0;
	known[n].dev = dev;
	known[n].flags = flags;
	atomic_store(&n_known, n + 1);
	return true;
}

bool lacks_known(dev_t dev)
{
	return find(dev) >= 0;
}

unsigned lacks_of(dev_t dev)
{
	int i = find(dev);

	return i < 0 ? 0 : known[i].flags;
}

unsigned lacks_at(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : lacks_of(st.st_dev);
}
