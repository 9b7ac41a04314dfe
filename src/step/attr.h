/* src/step/attr.h: what stat shows.
 *
 * Owner, mode and times of a variable are those of the shard that holds its first byte; a partitioned variable has the
 * mode that all its shards allow (step/step.h). ctime is equal to mtime, since a new hard link to a shard changes
 * the shard's ctime. st_ino is a digest of where the bytes lie (device, inode and times of the shard, offset,
 * size) and of what the header says of them. So if two steps share stored bytes they agree in everything that
 * `cmp` and `diff` look at before they read, and if they do not share them they differ. For folders see below. */
#pragma once
#include "step/tensor.h"
#include "step/tree.h"

/* A variable. SIZE is that of the header and the array. MAKER as in var_owner. */
void attr_of_var(const struct step *s, const struct var *v, const struct stat *maker, uint64_t size,
		 struct stat *out);

/* st_ino of it alone: the size of strings is known only after they were read. */
uint64_t attr_var_ino(const struct step *s, const struct var *v);

/* Sets the owner: what is in a new step that is not committed yet belongs to its maker. */
void attr_give_to(const struct stat *maker, struct stat *out);

/* A text of SIZE made from the file ST; WHICH tells several texts of one file apart. */
void attr_of_text(const struct stat *st, unsigned which, uint64_t size, struct stat *out);

/* The step's folder, or one inside it; st_ino is to be set. */
void attr_of_step(const struct stat *index, struct stat *out);

/* st_ino of folders. It is the same before, in and after a draft, since fts(3) and others compare it when they go
 * up. Of a step's folder: INDEX is the step's file; of a step that is nothing but its draft, the draft's folder. */
uint64_t attr_step_ino(const struct stat *index);

/* Of a folder in the step that has the number STEP: folder DIR of its tree; one with PATH that its draft has; and
 * one of a new step, by its index. */
uint64_t attr_dir_ino(uint64_t step, const struct tree *t, uint32_t dir);
uint64_t attr_path_ino(uint64_t step, struct bytes path);
uint64_t attr_new_dir_ino(uint64_t step, uint32_t index);

/* The link `latest`, whose target has N bytes, with the owner and times of the state file. */
void attr_of_link(const struct stat *state, size_t n, struct stat *out);

/* A subfolder of the checkpoint directory, the directory itself, or its state file, as they are on disk. */
void attr_of_disk(const struct stat *st, struct stat *out);

/* A folder of a draft that has no base; ST: of the draft's own folder. st_ino is to be set. */
void attr_of_draft_dir(const struct stat *st, struct stat *out);

/* A folder, or a text of SIZE, that is made up in the folder ST, and that nobody writes to. WHICH tells several apart. */
void attr_of_made_up(const struct stat *st, uint32_t which, mode_t type, uint64_t size,
		     struct stat *out);

/* All times become T. */
void attr_set_times(struct stat *st, struct timespec t);

/* A file of a draft's own; ST: of that file. */
void attr_of_staged(const struct stat *st, struct stat *out);
