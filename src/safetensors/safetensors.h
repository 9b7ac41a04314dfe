/* src/safetensors/safetensors.h: variables as a .safetensors file, and such a file as variables.
 *
 *   8 bytes: the length of the header, little-endian
 *   header:  JSON, {"__metadata__": {TEXT: TEXT, …}, NAME: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …},
 *            with spaces behind it
 *   data:    the elements, little-endian, in C order; offsets count from here, and leave no gap
 *
 * A name is the variable's key; in an object-based step it is its path. A scalar string variable __metadata__ with a JSON object of texts
 * is what __metadata__ of the file has (safetensors_metadata.h). Source: the format as the safetensors package describes it. */
#pragma once
#include "base/source.h"
#include "format/slice.h"
#include "step/tree.h"

/* A header may have so many bytes; more no library reads. */
enum { SAFETENSORS_MAX_HEADER = 100000000 };

/* Which variables of a step. The step and the tree must outlive what is made of them. */
struct safetensors_of {
	struct step *step;
	int dirfd; /* the directory of the step */
	const struct tree *tree;
	const uint32_t *
		files; /* numbers of N files in the tree, ascending; NULL: all, and N does not count */
	size_t n;
};

struct safetensors_item {
	const struct var *var;
	uint32_t file; /* number of the variable's file in the tree */
	uint64_t at, size; /* its bytes, in the file */
};

/* A variable that is not in the file. */
struct safetensors_lack {
	uint32_t file; /* as above */
	const char *why; /* behind "it has", as "a dtype that safetensors has no name for" */
};

/* What such a file of a step is made of. {0} has nothing. */
struct safetensors {
	struct buf head; /* what is in front of the data */
	struct buf items; /* struct safetensors_item, in the order of their bytes */
	struct buf lacks; /* struct safetensors_lack */
	uint64_t size; /* of the file */
};

void safetensors_release(struct safetensors *s);

/* Nothing but the index and the variable __metadata__ is read. -E2BIG: the header would be too long; -EUCLEAN: an entry is wrong;
 * -ENOMEM, or of reading that variable. */
int safetensors_layout(const struct safetensors_of *of, struct safetensors *out, struct err *e);

static inline const struct safetensors_item *safetensors_items(const struct safetensors *s,
							       size_t *n)
{
	*n = s->items.n / sizeof(struct safetensors_item);
	return (const struct safetensors_item *)(const void *)s->items.p;
}

/* --- reading one -------------------------------------------------------------------------------------------------- */

struct safetensors_tensor {
	const char *name; /* not empty */
	int dtype;
	unsigned rank;
	int64_t dims[SHAPE_MAX_RANK];
	uint64_t at, size; /* its bytes, in the file */
};

/* Calls FOUND with each tensor of SRC, in the order of their bytes, when all of the header was checked. -EINVAL: it is no such file; E
 * says which name, what was found and what is expected. -ENOMEM, of reading, or what FOUND returns. */
typedef int safetensors_found(void *arg, const struct safetensors_tensor *t, struct err *e);

/* Then, if the file has metadata, TEXTS is called with them: JSON, an object of texts. ckptfs.left_out is not in it. */
typedef int safetensors_texts(void *arg, struct bytes json, struct err *e);
int safetensors_each(const struct source *src, safetensors_found *found, safetensors_texts *texts,
		     void *arg, struct err *e);
