/* src/base/error.h: one failure, as an errno and a sentence.
 *
 * Functions that can fail return 0 (or a count) or a negative errno and take a `struct err *` as their
 * last argument, which may be NULL. It lives on the caller's stack and allocates nothing. The innermost
 * function says what is wrong, each caller puts in front of it where:
 *
 *     my-model-0.index: block at 4096: crc32c is 1a2b3c4d, recorded 5e6f7a8b
 */
#pragma once
#include <errno.h>

struct err {
	int code; /* negative errno; 0 if nothing failed */
	char text[512]; /* one line; '?' for control characters, dots for a long one's middle */
};

/* All three return CODE, so that `return err_set(...)` ends a function. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "FMT: " in front of the sentence that is there. */
int err_wrap(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and the words for errno CODE behind the sentence. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
