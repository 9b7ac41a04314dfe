/* tests/faults/mounted.h: a view of a small checkpoint directory, called as the kernel would, and whether all
 * of it is sound. */
#pragma once
#include "faults/trial.h"
#include "view/view.h"

#define OTHER "other.ckpt" /* a second step */

enum { MAX_HELD = 256, BIAS = 5 /* numbers that the hidden bias has */ };

struct mounted_options {
	unsigned max_to_keep;
	bool write_v1;
	bool watched; /* so shards stay open */
	bool safetensors;
};

struct mounted {
	struct trial t; /* the directory */
	struct view v;
	uint64_t held[MAX_HELD]; /* what was looked up, as often as it was */
	unsigned n_held;
	/* Numbers of BASE and of what is in it, where they were looked up. */
	uint64_t step, hidden, output, weights, biases, new;
	struct view_file *from, *f; /* open, or NULL */
	struct view_dir *dir;
	struct buf changes;
	struct err warning; /* the last one; code 0: none */
	bool told; /* that a draft waits for the next mount */
	struct mounted_options options;
};

/* A directory with two steps, and a view of it into which nobody has looked. */
void mounted_begin(struct mounted *m, struct mounted_options options);

/* The same directory, mounted anew: nothing was looked up. */
void remount(struct mounted *m);

/* Closes and forgets all, unmounts, and looks whether all is given back. The directory stays: */
void mounted_end(struct mounted *m);

/* Times are told a second late, from now on: a folder is taken to have been still for long. */
void mounted_late(bool late);

/* The kernel has a reference more on it. Gives its number. */
uint64_t hold(struct mounted *m, const struct view_entry *entry);

/* Looks NAME up, which is there. */
uint64_t look_up(struct mounted *m, uint64_t dir, const char *name);

/* Looks DE up, which D, the open folder ID, gave last: as it is listed, or, of a text whose size is not known, by its name. */
int look_up_listed(struct mounted *m, struct view_dir *d, uint64_t id, const struct view_dirent *de,
		   struct view_entry *out, struct err *e);

/* Opens the file ID for writing, puts the bytes into it, and closes it as close(2) does. */
int put(struct mounted *m, uint64_t id, uint64_t off, struct bytes b, struct err *e);

/* All that is shown, a line for each name, sorted. */
char *dump_view(struct mounted *m);

/* Writes to the step NAME, if it is there, and has all committed. */
void use(struct mounted *m, const char *name);
