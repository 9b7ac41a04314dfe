/* src/base/append.h: writes a file from its start, or its end, on. What is put is gathered into larger writes, and the disk begins
 * to write before all is there, so that syncing it takes less time at the end. */
#pragma once
#include "base/buf.h"
#include "base/sink.h"

struct append {
	int fd; /* -1: none */
	uint64_t at; /* the end of the file */
	struct buf gathered; /* what comes behind that end */
};

/* FD, which becomes the append's, has AT bytes. */
struct append append_of(int fd, uint64_t at);
void append_release(struct append *a);

/* Where what is put next will be. */
uint64_t append_end(const struct append *a);

/* -ENOMEM, or of writing; then what is at the end is not known. */
int append_put(struct append *a, struct bytes b, struct err *e);
struct sink append_sink(struct append *a);

/* Puts LEN bytes of the file FROM at OFF, as io_copy_range does. */
int append_copy(struct append *a, int from, uint64_t off, uint64_t len, struct err *e);

/* Writes what was gathered. */
int append_flush(struct append *a, struct err *e);
