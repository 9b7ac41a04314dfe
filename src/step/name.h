/* src/step/name.h: the key of a variable and its path in the step's folder, one-to-one in both directions.
 *
 * A key is any non-empty string of bytes; it may hold NUL, '/' and what is not UTF-8. Its path is a stem,
 * which this module makes, and ".npy", which the caller puts behind it.
 *
 *  1. The key is split at '/'; the last component names the file, the others are folders.
 *  2. '%' and the bytes 00-1F and 7F become %XX with upper-case digits. A '%' that no two hex digits
 *     follow is called lone; from here on each stands for something that is not in the key.
 *  3. The components '.' and '..' become %2E and %2E%2E, an empty one becomes a lone '%'.
 *  4. A folder that ends in .npy, .tsv or .pbtxt has that dot written %2E, so no folder has a file's name.
 *  5. A component that by 2 to 4, with marker and ".npy" if it is the last, would pass 255 bytes is cut:
 *     as often as more than 200 bytes of what 2 made are left, the first 200 of them (or one or two
 *     fewer, if an escape would be split) become a folder with a lone '%' at its end. 3 and 4 are
 *     applied to what is left.
 *  6. In an object-based checkpoint the name that 1 to 5 apply to is not always the key. With
 *     S = "/.ATTRIBUTES/VARIABLE_VALUE":
 *       a. the object graph's own key is shown as it is;
 *       b. NAME S is shown as NAME, unless NAME holds "/.ATTRIBUTES/" or is the graph's own key;
 *       c. any other key that holds "/.ATTRIBUTES/" is shown in full;
 *       d. any other key is shown in full with a marker, a lone '%' at the end of the stem.
 *  7. A path is accepted only if it is the one that its key gives.
 *
 * Example: `w/Adam` is w/Adam, `x.npy/y` is x%2Enpy/y, `a//b` is a/%/b, 300 times n is nnn...%/nnn... */
#pragma once
#include "base/buf.h"

enum name_flavour {
	NAME_PLAIN,
	NAME_OBJECT, /* the checkpoint has the key _CHECKPOINTABLE_OBJECT_GRAPH */
};

/* Appends the stem of KEY to PATH. -EINVAL if the key is empty, or what buf_add says; PATH is then as it was. */
int name_to_path(enum name_flavour f, struct bytes key, struct buf *path);

/* Whether the stem of KEY is nothing but the first *STEM_LEN bytes of KEY. */
bool name_is_plain(enum name_flavour f, struct bytes key, size_t *stem_len);

/* Appends to KEY the key whose stem is STEM. -ENOENT if there is none, or what buf_add says; KEY is then
 * as it was. */
int name_from_path(enum name_flavour f, struct bytes stem, struct buf *key);

/* The folders of the steps, and of the subfolders of a checkpoint directory, are named by rules 2 to 4.
 * ENTRY is the step's prefix without its folder, or the subfolder's name; CLASH puts "%2F" behind it, for a
 * subfolder that has the name of a step. -EINVAL if ENTRY holds '/' or NUL, -ENAMETOOLONG if the name would
 * pass 255 bytes, or what buf_add says; NAME is then as it was. */
int name_from_entry(struct bytes entry, bool clash, struct buf *name);

/* The inverse: appends to ENTRY. -ENOENT if there is none, or what buf_add says; both outputs are then as
 * they were. The entry may be empty, "." or ".." (the prefixes of ".index" and so on): it is not to be opened
 * as it is, but to be looked up among what the directory holds. */
int name_to_entry(struct bytes name, struct buf *entry, bool *clash);
