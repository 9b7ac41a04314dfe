/* src/safetensors/safetensors_metadata.h: the texts in __metadata__ of a .safetensors file. A step keeps them as JSON in a variable of that
 * name, a scalar string: no tensor of such a file can have it. */
#pragma once
#include "step/step.h"

struct json_object;

#define SAFETENSORS_METADATA "__metadata__"

/* Our own text: the names of variables that are not in the file, as a JSON array. */
#define SAFETENSORS_LEFT_OUT "ckptfs.left_out"

/* *OUT, for the caller to put, is what V has, which is called SAFETENSORS_METADATA in S; NULL: V has another dtype or shape, no texts, or
 * more than 1 MiB. DIRFD: the directory of S. -ENOMEM, or of reading V. */
int safetensors_texts_of(struct step *s, const struct var *v, int dirfd, struct json_object **out,
			 struct err *e);
