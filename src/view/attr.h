/* src/view/attr.h: what stat shows.
 *
 * Owner, mode and times of a variable are those of the shard that holds its first byte, but for the mode of a
 * partitioned one, which is what all its shards allow (step/step.h). ctime is shown equal to mtime, for a new
 * hard link to a shard changes its ctime. st_ino is a digest of where the bytes lie (device, inode and times
 * of the shard, offset, size) and of what the header says of them: two steps that share stored bytes agree in
 * everything that `cmp` and `diff` look at before they read, and others do not. A folder's is below. */
#pragma once
#include "step/tensor.h"
#include "step/tree.h"

/* A file of the view. SIZE is that of the header and the array. MAKER as in var_owner. */
void attr_of_var(const struct step *s, const struct var *v, const struct stat *maker, uint64_t size,
		 struct stat *out);

/* Gives what is in a new step that is not committed yet to its maker. */
void attr_give_to(const struct stat *maker, struct stat *out);

/* A text of SIZE made of the file ST; WHICH tells those of one file apart. */
void attr_of_text(const struct stat *st, unsigned which, uint64_t size, struct stat *out);

/* The step's folder, or one inside it; st_ino is to be set. */
void attr_of_step(const struct stat *index, struct stat *out);

/* st_ino of folders, which is the same before, in and after a draft, since fts(3) and others compare it as
 * they go up: of the folder of a new step, whose file is INDEX (for one that is nothing but its draft, the
 * draft's folder); of folder DIR below one with STEP; and of one that the step does not have. PATH: in the
 * step. */
uint64_t attr_step_ino(const struct stat *index);
uint64_t attr_dir_ino(uint64_t step, const struct tree *t, uint32_t dir);
uint64_t attr_path_ino(uint64_t step, struct bytes path);
uint64_t attr_new_dir_ino(uint64_t step, uint32_t index);

/* The link `latest`, whose target has N bytes, with the owner and times of the state file. */
void attr_of_link(const struct stat *state, size_t n, struct stat *out);

/* A subfolder of the checkpoint directory, the directory itself, or its state file, as they are on disk. */
void attr_of_disk(const struct stat *st, struct stat *out);

/* A folder of a draft that has no base; ST: of the draft's own folder. st_ino is to be set. */
void attr_of_draft_dir(const struct stat *st, struct stat *out);

/* The entries of the folder last changed then. */
void attr_set_times(struct stat *st, struct timespec t);

/* A file of a draft's own; ST: of that file. */
void attr_of_staged(const struct stat *st, struct stat *out);
