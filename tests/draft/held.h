/* tests/draft/held.h: the step NAME of a small checkpoint directory, and the folder in which it is pinned. What fails ends the
 * test. */
#pragma once
#include "draft/pin.h"
#include "lib/files.h"

#define NAME    "my-model-1000"
#define OTHER   "my-model-2000" /* also there, with the same variables */
#define INDEX   NAME ".index"
#define SHARD   NAME ".data-00000-of-00001"
#define META    NAME ".meta"
#define CHANGED ": is not the file that it was"
#define LOST    ": was replaced, and could not be held by hard links"

extern struct held {
	struct folder top;
	int steps; /* the draft's folder of pins */
	struct step *step;
	struct pin pin; /* or {0} */
} held;

/* The files of the folder FIXTURE, and of these the step NAME. */
void held_setup(const char *fixture, const char *name);
void held_teardown(void);

/* Makes a folder of the directory. */
void held_folder(const char *name);

/* Pins the step; loosely: where there are no hard links. */
void held_make(struct pin *out);
void held_make_loosely(struct pin *out);

/* The same, to held.pin, and what has become of it; what was pinned as NAME. */
int held_try(struct err *e);
int held_open(const char *name, struct pin *out, struct err *e);

/* A link_fn (draft/links.h): the first shard can't be linked, for the errno that ARG leads to. */
int held_fail_at_shard(void *arg, const char *from);

/* The variable w. */
float held_value(const struct pin *p);
int held_read(const struct pin *p, float *out, struct err *e);

/* --- what there is ----------------------------------------------------------------------------------------- */

/* The names in the folder FD are EXPECTED, sorted and with a blank between them. */
void held_assert_names(int fd, const char *expected);

/* The step's files are as they were at first, and have no other names. */
void held_assert_untouched(void);

void held_assert_gone(int fd, const char *name);
struct stat held_stat(int fd, const char *name);

/* R and E are CODE, and E has that sentence; so it is when NAME is opened. */
void held_assert_fails(int r, const struct err *e, int code, const char *sentence);
void held_assert_not_opened(const char *name, int code, const char *sentence);

/* --- what a trainer does ----------------------------------------------------------------------------------- */

void held_delete(const char *name);

/* As TensorFlow does: another file gets the name NAME, with the bytes that BY had at first. */
void held_replace(const char *name, const char *by);

/* The step is saved again, with other values. */
void held_train(void);
