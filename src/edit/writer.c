#include "edit/writer.h"
#include "message/state.h"
#include "step/text_kind.h"
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Parsed steps may take so much memory; more only if they are in use. */
enum { CACHE = 256 << 20 };

static const double COMPACT = 0.5, KEEP_SECONDS = 3600.0 * 10000;

/* A draft needs a descriptor for each step that it takes something from. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int writer_open(struct view *v, int dirfd, const char *program, const struct writer_says *says,
		struct err *e)
{
	char who[300], host[100] = "";
	const struct view_config c = {
		.state_name = STATE_NAME,
		.meta_suffix = META_SUFFIX,
		.verify = VERIFY_READ,
		.writable = true,
		.tool = true,
		.commit_ms = -1,
		.cache = CACHE,
		.compact = COMPACT,
		.state_paths = STATE_PATHS_KEPT,
		.write_state = true,
		.keep_seconds = KEEP_SECONDS,
		.who = who,
		.warn = says->warn,
		.tell = says->tell,
		.remind = says->remind,
		.warn_arg = says->arg,
	};

	raise_descriptor_limit();
	gethostname(host, sizeof host - 1);
	snprintf(who, sizeof who, "process %d on %s, %s\n", (int)getpid(), host, program);
	return writer_refused(view_init(v, dirfd, &c, e), e);
}

int writer_refused(int r, struct err *e)
{
	return r == -EBUSY ? err_set(e, r, "%s; wait for that to end, or unmount it", e->text) : r;
}

struct draft_owner writer_owner(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return (struct draft_owner){geteuid(), getegid(), 0777 & ~mask};
}

/* --- files ---------------------------------------------------------------------------------------------------- */

enum { AT_ONCE = 64 << 20 }; /* bytes that are copied before a signal is looked for */

int writer_copy(struct view_file *from, struct view_file *to, struct err *e)
{
	uint64_t at = 0;
	int64_t n = 1;
	int r = 0;

	while (n > 0 && (r = writer_interrupted(e)) == 0) {
		n = view_copy_range(from, at, to, at, AT_ONCE, e);
		at += n > 0 ? (uint64_t)n : 0;
	}
	return r < 0 ? r : n < 0 ? (int)n : 0;
}

int writer_close(struct view_file *f, int r, struct err *e)
{
	if (r == 0)
		r = view_flush(f, e);
	view_close(f);
	return r;
}

/* --- signals -------------------------------------------------------------------------------------------------- */

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

enum { N_SIGNALS = sizeof signals / sizeof *signals };

void writer_hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = 0; i < N_SIGNALS; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* One that is ignored, as by nohup(1), never waits. */
int writer_interrupted(struct err *e)
{
	sigset_t waiting;

	sigpending(&waiting);
	for (int i = 0; i < N_SIGNALS; i++)
		if (sigismember(&waiting, signals[i]))
			return err_set(e, -EINTR, "interrupted (%s); nothing was changed",
				       strsignal(signals[i]));
	return 0;
}
