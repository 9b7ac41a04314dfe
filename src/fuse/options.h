/* src/fuse/options.h: what follows -o.
 *
 * There are three kinds: our own; those of the kernel and of libfuse, which are handed on; and those that mount(8) keeps in
 * /etc/fstab for others, which mean nothing here. Any other is an error, unless `sloppy`. A known one that has a wrong value,
 * none where it needs one, or one where it takes none, is always an error. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "commit/commit.h"
#include <stdio.h>

struct options_number {
	bool given;
	unsigned n;
};

struct options {
	char *filename; /* show only this step's family; NULL: all */
	char *meta_graph_suffix; /* NULL: "meta" */
	char *latest_filename; /* name of the state file; NULL: "checkpoint" */
	enum verify_mode verify;
	bool full_names; /* names=full, and not key */
	bool reshape;
	bool strip_default_attrs;
	struct seen seen; /* show only these variables */
	bool read_only;
	bool no_xattr; /* no extended attributes */
	bool raw; /* the directory's own files, too */
	bool safetensors; /* STEP.safetensors beside each step */
	bool has_timer; /* commit=SECONDS, and not sync */
	unsigned commit_seconds;
	enum state_paths state_paths;
	bool nowrite_state, pad_step_number, sharded, write_v1;
	struct options_number max_to_keep; /* 0, or not given: all */
	bool has_keep_hours;
	double keep_hours; /* keep_checkpoint_every_n_hours */
	bool has_compact;
	double compact;
	bool has_cache;
	uint64_t cache; /* bytes */
	struct commit_makes makes;
	char *fsname; /* NULL: the source */
	struct options_number uid, gid, umask, max_read;
	struct buf handed_on; /* to libfuse, as "allow_other,nosuid"; max_read too. Without a NUL */
};

/* Adds what the comma-separated TEXT says to O ("\," is a comma in a value). SLOPPY: unknown options are ignored. -EINVAL: E
 * names the option; -ENOMEM. */
int options_parse(struct options *o, const char *text, bool sloppy, struct err *e);
void options_release(struct options *o);

/* Prints a line for each of our own options, and the names of those that are handed on. */
void options_print(FILE *f);

/* Appends "name", or "name=value" with commas and backslashes escaped, to a comma-separated LIST. VALUE may be NULL. -ENOMEM. */
int options_add(struct buf *list, const char *name, const char *value);
