/* src/raw/place.h: whose a name in a folder is, ours or the view's. For raw/ alone. */
#pragma once
#include "raw/raw.h"

struct raw_place {
	int dirfd; /* of the folder, if it is one of the directory; else -1 */
	bool is_ours; /* also if nothing is there, but what is made there is made in the directory */
	bool is_there; /* in the directory */
	struct stat st; /* if it is there; of a link its own */
	const char *name; /* what the view is to be asked for: the caller's, or in `step` */
	struct buf step;
};

/* NAME in the folder PARENT. -ENOENT is none of its errors. */
int raw_place_find(struct raw *r, uint64_t parent, const char *name, struct raw_place *out,
		   struct err *e);
void raw_place_release(struct raw_place *p);

/* Has DIRFD a file or link NAME? It hides a step of that name, whose folder is shown as NAME%2F. */
bool raw_place_hides(int dirfd, const char *name);

/* OUT is what the view calls the step that is shown as NAME in DIRFD, with a NUL: without RAW_CLASH, if it has that for
 * such a file. -ENOMEM. */
int raw_place_step(int dirfd, const char *name, struct buf *out);

/* Is NAME one that TensorFlow looks for, of a file that holds a step or a part of it? */
bool raw_place_is_of_step(const struct raw *r, const char *name);

/* What the name of a step's folder ends with, if a file has the step's name. */
#define RAW_CLASH "%2F"
