#include "fuse/notify.h"
#include "base/cleanup.h"
#include "fuse/ckptfs.h"
#include "view/changes.h"
#include <poll.h>
#include <sys/eventfd.h>

struct notifier {
	struct ckptfs *fs;
	struct fuse_session *se;
	pthread_t thread;
	int wake; /* eventfd: something is in `told`, or it is time to stop */
	int ended; /* eventfd: the thread sends nothing any more */
	pthread_mutex_t lock;
	struct buf told; /* struct view_change: what is to be forgotten; under lock */
	bool stop; /* under lock */
	unsigned round,
		held[2]; /* requests under way that began in this round or the one before it; under lock */
	pthread_cond_t answered;
};

struct notifier_hold notifier_hold(struct notifier *n)
{
	struct notifier_hold h = {.notifier = n};

	if (!n)
		return h;
	HOLD(&n->lock);
	h.round = n->round % 2;
	n->held[h.round]++;
	return h;
}

void notifier_answered(struct notifier_hold *h)
{
	struct notifier *n = h->notifier;

	if (!n)
		return;
	HOLD(&n->lock);
	if (--n->held[h->round] == 0)
		pthread_cond_signal(&n->answered);
}

/* Waits for the requests that are under way, but not for those that come in the meantime. */
static void wait_for_requests(struct notifier *n)
{
	unsigned before;

	HOLD(&n->lock);
	before = n->round++ % 2;
	while (n->held[before])
		pthread_cond_wait(&n->answered, &n->lock);
}

static bool is_stopping(struct notifier *n)
{
	HOLD(&n->lock);
	return n->stop;
}

static void send(struct notifier *n, const struct buf *changes)
{
	if (changes->n)
		wait_for_requests(n);
	for (size_t i = 0; i < changes->n / sizeof(struct view_change) && !is_stopping(n); i++) {
		const struct view_change *c = (const struct view_change *)changes->p + i;

		/* It fails if the kernel does not know of it: that is as well. */
		if (*c->name)
			fuse_lowlevel_notify_inval_entry(n->se, c->id, c->name, strlen(c->name));
		else
			fuse_lowlevel_notify_inval_inode(n->se, c->id, 0, 0);
	}
}

static void send_changes(struct notifier *n)
{
	CLEANUP(buf_release) struct buf changes = {0};

	changes_read(&n->fs->view, &changes);
	send(n, &changes);
	commit_timer_wake(n->fs->timer); /* a trainer may have written over what was committed */
}

static void send_told(struct notifier *n)
{
	CLEANUP(buf_release) struct buf told = {0};
	uint64_t count;

	if (read(n->wake, &count, sizeof count) < 0)
		return;
	pthread_mutex_lock(&n->lock);
	buf_swap(&told, &n->told);
	pthread_mutex_unlock(&n->lock);
	send(n, &told);
}

static void add_one(int eventfd)
{
	const uint64_t one = 1;

	while (write(eventfd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void *run(void *arg)
{
	struct notifier *n = arg;
	struct pollfd fds[] = {{.fd = n->wake, .events = POLLIN},
			       {.fd = n->fs->view.inotify, .events = POLLIN},
			       {.fd = n->fs->view.heard, .events = POLLIN}};

	while (!is_stopping(n)) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents)
			send_told(n);
		if ((fds[1].revents || fds[2].revents) && !is_stopping(n))
			send_changes(n);
	}
	add_one(n->ended);
	return NULL;
}

static void release(struct notifier *n)
{
	changes_release(&n->fs->view);
	closep(&n->wake);
	closep(&n->ended);
	buf_release(&n->told);
	pthread_cond_destroy(&n->answered);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

struct notifier *notifier_start(struct ckptfs *fs, struct fuse_session *se)
{
	struct notifier *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->fs = fs;
	n->se = se;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->answered, NULL);
	changes_init(&fs->view);
	n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->wake >= 0 && n->ended >= 0 && pthread_create(&n->thread, NULL, run, n) == 0)
		return n;
	release(n);
	return NULL;
}

int notifier_end(struct notifier *n)
{
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_mutex_unlock(&n->lock);
	add_one(n->wake);
	return n->ended;
}

void notifier_free(struct notifier *n)
{
	pthread_join(n->thread, NULL);
	release(n);
}

void notifier_tell(struct notifier *n, const struct buf *changes)
{
	if (!n || !changes || !changes->n)
		return;
	pthread_mutex_lock(&n->lock);
	buf_add(&n->told, changes->p, changes->n);
	pthread_mutex_unlock(&n->lock);
	add_one(n->wake);
}
