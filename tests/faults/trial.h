/* tests/faults/trial.h: a small checkpoint directory, drafts of it, and whether all of it is sound. What fails
 * ends the program. */
#pragma once
#include "commit/commit.h"
#include "directory/step_files.h"
#include "faults/faults.h"

#define BASE "my_net.ckpt"

struct trial {
	char path[64];
	int top;
	struct step *base;
	struct tree tree;
	struct draft *d; /* or NULL */
	struct rescue rescue;
	struct draft_item *open; /* for writing, or NULL */
	bool own; /* what is written is large enough to become a shard of its own */
	bool v1, sharded; /* commits write V1 files, or are sharded */
};

/* What is being tried, for messages. */
extern char context[256];

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *fmt, ...);
void must(int r, const struct err *e);

void trial_begin(struct trial *t);
void trial_end(struct trial *t);

struct draft_config trial_config(const struct trial *t);
int trial_draft(struct trial *t, struct err *e);
int trial_commit(struct trial *t, struct err *e);
int trial_publish(struct trial *t, struct err *e); /* a commit after which the draft goes on */
int trial_recover(struct trial *t, struct err *e); /* a draft that was found is T's */

/* The item of that path, which is there. */
struct draft_item *item(const struct trial *t, const char *path);

/* A .npy file of COUNT floats, until the next call; nothing is allocated, here and below, but by what is tested. */
enum { SMALL = 3, LARGE = 80000 };
struct bytes make_npy(unsigned count);

/* Opens the item for writing, puts the bytes into it, and closes it. */
int write_item(struct trial *t, struct draft_item *i, struct bytes b, uint64_t off, bool truncate,
	       struct err *e);
int create_file(struct trial *t, const char *dir, const char *name, struct bytes b, struct err *e);

/* The lines of TEXT, which is released, sorted; with a NUL. */
char *sorted(struct buf *text);

/* All that a draft holds, a line for each item, sorted. With NULL: "". */
char *dump_draft(struct draft *d);

/* The draft as it is on disk, taken up: "" if there is none. */
char *dump_disk(const struct trial *t);

/* All steps and what they hold, in the same way; ends the program if one is not whole, or there are files that
 * are of none. */
char *dump_steps(const struct trial *t);

/* Nothing has happened to the files that the base came with, as far as they have their names. */
void check_base(const struct trial *t);

unsigned count_descriptors(void);

/* TRY(S, f, n) for each kind of fault and n = 1, 2, ... until it is false: there are no n calls. With EACH false, and with
 * AddressSanitizer, some numbers are left out. What is allocated or open is to be as before. */
void try_each(bool (*try)(const void *s, enum fault f, unsigned long n), const void *s, bool each);

/* Is NAME one of the program's arguments, or are there none? */
bool is_named(int argc, char *argv[], const char *name);
