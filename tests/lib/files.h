/* tests/lib/files.h: whole files, and folders that go away again. For tests: what fails ends the test. */
#pragma once
#include "base/buf.h"

/* The file PATH, which is printed. */
void read_whole(struct buf *out, const char *path, ...) __attribute__((format(printf, 2, 3)));

/* A new folder of its own for a test; folder_remove takes away all that is in it. */
struct folder {
	char path[64];
	int fd;
};

struct folder folder_new(void);
void folder_remove(struct folder *f);
void folder_put(const struct folder *f, struct bytes content, const char *name, ...)
	__attribute__((format(printf, 3, 4)));
/* Copies the plain files of the folder FROM. */
void folder_copy(const struct folder *f, const char *from);
