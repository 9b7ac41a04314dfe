/* src/view/attr.h: what stat shows.
 *
 * Owner, mode and times of a variable are those of the shard that holds its first byte; ctime is shown equal to
 * mtime, for a new hard link to a shard changes its ctime. st_ino is a digest of where the bytes lie (device, inode
 * and times of the shard, offset, size) and of what the header says of them: two steps that share stored bytes
 * agree in everything that `cmp` and `diff` look at before they read, and others do not. */
#pragma once
#include "store/tensor.h"
#include "store/tree.h"

/* A file of the view. SIZE is that of the header and the array. */
void attr_of_var(const struct step *s, const struct var *v, uint64_t size, struct stat *out);

/* A text of SIZE made of the file ST; WHICH tells those of one file apart. */
void attr_of_text(const struct stat *st, unsigned which, uint64_t size, struct stat *out);

/* The step's folder (DIR 0), or one inside it. */
void attr_of_dir(const struct step *s, const struct tree *t, uint32_t dir, struct stat *out);
void attr_of_step(const struct stat *index, struct stat *out);

/* The link `latest`, whose target has N bytes, with the owner and times of the state file. */
void attr_of_link(const struct stat *state, size_t n, struct stat *out);

/* A subfolder of the checkpoint directory, the directory itself, or its state file, as they are on disk. */
void attr_of_disk(const struct stat *st, struct stat *out);

/* A folder of a draft that has no base; ST: of the draft's own folder. */
void attr_of_draft_dir(const struct stat *st, struct stat *out);

/* Tells folder INDEX of a step from the others by its st_ino. */
void attr_mix_ino(struct stat *st, uint32_t index);

/* A file of a draft's own; ST: of that file. */
void attr_of_staged(const struct stat *st, struct stat *out);
