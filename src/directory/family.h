/* src/directory/family.h: steps of one name and several numbers, and the name of the next one.
 *
 * The family of a step is its prefix without the number: "my-model-1000" and "my-model-0" are of one family, as are
 * "model-7.cptk" and "model-8.cptk", "my_net.ckpt" and "my_net.ckpt-1", "m--3" (step -3) and "m-0". What a prefix
 * of the form X-1-of-5 ends in is no number.
 *
 * TensorFlow counts steps in an int64 (global_step, save_counter). Here a number has up to 38 digits, not counting
 * zeros before them; what is longer is no number but a part of the name. */
#pragma once
#include "directory/listing.h"

bool same_family(const char *a, const char *b);

enum { PAD_DIGITS = 8 }; /* of Saver's pad_step_number */

/* Appends, with its NUL, the prefix of the step after the last of NAME's family that L, which is of now, lists: its number is one
 * higher, or more where that is not free. If the family's numbers are padded with zeros it has as many digits; with PAD
 * at least PAD_DIGITS.
 * -EEXIST: the next 1000 are taken; -ENAMETOOLONG, -ENOMEM, or what looking returns. */
int step_next_free(int dirfd, const struct listing *l, const char *name, bool pad, struct buf *out,
		   struct err *e);

/* 1: in the directory is nothing that a step NAME would have, or hide: NAME, its index, meta graph and data; 0:
 * there is; or why that can't be known. L: what the directory holds now, or NULL; with it names are only gone through where it does not
 * tell that there is no data. */
int step_name_is_free(int dirfd, const struct listing *l, const char *name, struct err *e);
