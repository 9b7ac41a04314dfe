/* src/step/var_field.h: what the index says of a variable, as text: extended attributes and columns of variables.tsv.
 *
 *   key, dtype, shape   shape with commas between
 *   crc32c, shard       of a partitioned variable those of its slices, with commas between. V1 has no crc32c */
#pragma once
#include "step/step.h"

enum var_field { VAR_KEY, VAR_DTYPE, VAR_SHAPE, VAR_CRC, VAR_SHARD, N_VAR_FIELDS };

const char *var_field_name(enum var_field field);

/* The field that is called NAME; N_VAR_FIELDS if none. */
enum var_field var_field_of(struct bytes name);

/* Appends it. -ENODATA if V has none; -ENOMEM. */
int var_field_put(const struct step *s, const struct var *v, enum var_field field, struct buf *out);
