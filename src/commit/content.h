/* src/commit/content.h: the bytes of a variable of the new step, as a source. */
#pragma once
#include "commit/written.h"

/* A .npy file or what is made of one. */
struct content {
	struct source src;
	struct npy npy; /* how SRC is to be read */
	struct written file; /* the written file that SRC is over, or */
	struct buf memory; /* what it is over, or */
	int fd; /* a file without a name; -1 */
};

/* Nothing yet. */
#define CONTENT_EMPTY                                                                              \
	{                                                                                          \
		.file.fd = -1, .fd = -1                                                            \
	}

void content_release(struct content *c);

/* The file of W, written or as a pinned step has it. -ENOMEM, or of reading it. */
int content_open(struct plan *p, const struct want *w, struct content *c, struct err *e);

/* Reads the string that W is into BYTES, of which STRING is a part. -EUCLEAN: it is none; or of content_open. */
int content_read_string(struct plan *p, const struct want *w, struct buf *bytes,
			struct bytes *string, struct err *e);

/* Turns C into an array in C order, if it is none: slices are taken out of such. */
int content_make_c_order(const struct plan *p, struct content *c, struct err *e);

/* The slice at EXTENTS (slice.h) of WHOLE, which is in C order. */
int content_of_slice(const struct plan *p, const struct content *whole, const int64_t *extents,
		     struct content *slice, struct err *e);
