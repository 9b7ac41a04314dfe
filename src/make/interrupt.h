/* src/make/interrupt.h: a signal that would end the process waits until what was begun is undone. */
#pragma once
#include "base/error.h"

/* From now on SIGINT, SIGTERM and SIGHUP wait; a pipe that nobody reads is an error of write(2). */
void interrupt_hold(void);

/* -EINTR, with a sentence: one of them waits. Between two pieces of what takes long it is asked for. */
int interrupt_check(struct err *e);
