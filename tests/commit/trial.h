/* tests/commit/trial.h: a small checkpoint directory with a step, and a draft of it. What fails ends the test. */
#pragma once
#include "commit/commit.h"
#include "draft/draft_state.h"
#include "lib/files.h"

#define BASE "my_net.ckpt"
#define NEXT "my_net.ckpt-1" /* what its first commit is called */

struct trial {
	struct folder top;
	struct step *base;
	struct tree tree;
	struct draft *d; /* or NULL */
};

void must(int r, const struct err *e);

/* A directory with the step BASE, and a draft over it; or with NEW one of a new step of that name. */
void trial_begin(struct trial *t, bool new);

/* The first, with a small new file hidden/new.npy of ones, and a large one hidden/large.npy of threes. */
void trial_begin_written(struct trial *t);
void trial_end(struct trial *t);

struct draft_config trial_config(const struct trial *t);
extern const struct commit_config trial_commit_config;

/* Commits the draft: R and what has become of it. */
int trial_commit(struct trial *t, enum commit_result *result, struct err *e);

/* The same, after which a draft over a base goes on as a whole. */
int trial_publish(struct trial *t, enum commit_result *result, struct err *e);

/* trial_commit in a thread; trial_join gives R. */
struct commit_thread {
	struct trial *t;
	pthread_t thread;
	enum commit_result result;
	int r;
	struct err e;
};
void trial_start(struct trial *t, struct commit_thread *c);
int trial_join(struct commit_thread *c);

/* The item of that path, which is there; its index. */
struct draft_item *trial_item(const struct trial *t, const char *path);
uint32_t trial_index(const struct trial *t, const char *path);

/* Puts a .npy file of COUNT floats VALUE in the place of the file PATH, which is made if need be. */
enum { SMALL = 3, LARGE = 80000 };
int trial_write(struct trial *t, const char *path, unsigned count, float value, struct err *e);

/* The first float of the file PATH of the draft; of KEY of the step NAME. */
float trial_read(struct trial *t, const char *path);
float trial_saved(const struct trial *t, const char *name, const char *key);

/* Whether there is a file of that name in the directory. */
bool trial_has(const struct trial *t, const char *name);

/* The names in the directory that belong to the step NAME, but for the base's. */
unsigned trial_count(const struct trial *t, const char *name);
