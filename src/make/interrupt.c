#include "make/interrupt.h"
#include <signal.h>
#include <stddef.h>
#include <string.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

enum { N_SIGNALS = sizeof signals / sizeof *signals };

void interrupt_hold(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = 0; i < N_SIGNALS; i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int interrupt_check(struct err *e)
{
	sigset_t waiting;

	sigpending(&waiting);
	for (int i = 0; i < N_SIGNALS; i++)
		if (sigismember(&waiting, signals[i]))
			return err_set(e, -EINTR, "interrupted (%s); nothing was made",
				       strsignal(signals[i]));
	return 0;
}
