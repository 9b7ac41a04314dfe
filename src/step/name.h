/* src/step/name.h: the key of a variable and its path in the step's folder. Each key has one path, each path one key.
 *
 * A key is any non-empty string of bytes; it may hold NUL, '/' and what is not UTF-8. Its path is a stem,
 * which is made here, and ".npy", which the caller puts behind it.
 *
 *  1. The key is split at '/'; the last component names the file, the others are folders.
 *  2. '%' and the bytes 00-1F and 7F become %XX with upper-case digits. A '%' without two hex digits behind it
 *     is called lone. The rules below put it where it stands for something that is not in the key.
 *  3. The components '.' and '..' become %2E and %2E%2E, an empty one becomes a lone '%'.
 *  4. A folder that ends in .npy, .tsv or .pbtxt has that dot written %2E, so no folder has a file's name.
 *  5. A component is cut if rules 2 to 4 would make it longer than 255 bytes, with the marker and ".npy" if it
 *     is the last one. It is cut after rule 2: while more than 200 bytes are left, the first 200 become a folder
 *     with a lone '%' at its end (one or two bytes fewer if an escape would be split). 3 and 4 are applied to the
 *     rest.
 *  6. In an object-based checkpoint rules 1 to 5 are applied to another name than the key. Let
 *     S = "/.ATTRIBUTES/VARIABLE_VALUE".
 *       a. the object graph's own key is shown as it is;
 *       b. NAME S is shown as NAME, unless NAME holds "/.ATTRIBUTES/" or is the graph's own key;
 *       c. any other key that holds "/.ATTRIBUTES/" is shown in full;
 *       d. any other key is shown in full with a marker, a lone '%' at the end of the stem.
 *  7. A path is accepted only if it is the one that its key gives.
 *
 * Example: `w/Adam` is w/Adam, `x.npy/y` is x%2Enpy/y, `a//b` is a/%/b, 300 times n is nnn...%/nnn... */
#pragma once
#include "base/buf.h"

/* The key of the object graph. A checkpoint that has it is object-based. */
#define OBJECT_GRAPH_KEY "_CHECKPOINTABLE_OBJECT_GRAPH"

enum name_flavour {
	NAME_PLAIN,
	NAME_OBJECT, /* the checkpoint is object-based */
};

/* Appends the stem of KEY to PATH. -EINVAL if the key is empty, or of buf_add; then PATH is as it was. */
int name_to_path(enum name_flavour f, struct bytes key, struct buf *path);

/* Is the stem just the first bytes of KEY? Then STEM_LEN is how many. */
bool name_is_plain(enum name_flavour f, struct bytes key, size_t *stem_len);

/* Appends the key with the stem STEM to KEY. -ENOENT if there is none, or of buf_add; then KEY is as it was. */
int name_from_path(enum name_flavour f, struct bytes stem, struct buf *key);

/* In a checkpoint directory each step and each subfolder is shown as a folder, named by rules 2 to 4. ENTRY is the
 * step's prefix without its directory, or the subfolder's name. CLASH puts "%2F" behind it, for a subfolder with the
 * name of a step. Appends to NAME. -EINVAL if ENTRY holds '/' or NUL, -ENAMETOOLONG if the name would be longer than
 * 255 bytes, or of buf_add; then NAME is as it was. */
int name_from_entry(struct bytes entry, bool clash, struct buf *name);

/* The inverse: appends the entry to ENTRY. -ENOENT if there is none, or of buf_add; then both outputs are as they
 * were. The entry may be "", "." or "..", as a step's prefix may. So do not open it: look it up in the directory's
 * listing. */
int name_to_entry(struct bytes name, struct buf *entry, bool *clash);
