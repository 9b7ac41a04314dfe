/* src/edit/out_file.h: a file that is there when it is whole, and not before. */
#pragma once
#include "base/append.h"

struct out_file {
	int dirfd; /* of a regular file its directory; else -1 */
	char *name; /* in it */
	char *temporary; /* the same, until it is whole; NULL: it is written in place, or whole */
	int fd; /* that is written in place: standard output, a pipe, a device; else -1 */
	struct append to;
};

/* An empty one, for CLEANUP(out_file_release). */
#define OUT_FILE_EMPTY                                                                             \
	(struct out_file)                                                                          \
	{                                                                                          \
		.dirfd = -1, .fd = -1, .to.fd = -1                                                 \
	}

/* PATH; "-" is the standard output. A regular file of that name is replaced at the end. Signals wait from now on (edit/writer.h). */
int out_file_open(const char *path, struct out_file *out, struct err *e);

/* Puts bytes behind those that are there. -EINTR, or of writing. */
int out_file_put(struct out_file *f, struct bytes b, struct err *e);

/* It is whole: it gets its name. */
int out_file_finish(struct out_file *f, struct err *e);

/* One that is not whole is removed. */
void out_file_release(struct out_file *f);
