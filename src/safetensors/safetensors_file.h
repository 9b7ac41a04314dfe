/* src/safetensors/safetensors_file.h: variables of a step, read as the .safetensors file that they make. Nothing is copied: the header
 * is in memory, all else is read from the shards. */
#pragma once
#include "safetensors/safetensors.h"

struct safetensors_file;

/* Opens the file of the step S that LAYOUT describes, which must stay until the close. DIRFD, the directory of S, is not needed
 * afterwards: the shards are open until the close. A shard that can't be opened takes nothing but the bytes of its variables. -ESTALE: a
 * shard is not the file that it was; -ENOMEM, or of opening. */
int safetensors_open(const struct safetensors *layout, struct step *s, int dirfd,
		     struct safetensors_file **out, struct err *e);
void safetensors_close(struct safetensors_file *f);

/* Reads up to LEN bytes at OFF into DST, fewer only at the end. Many threads may read. How many, or an error of tensor_open or
 * tensor_read: then some of these bytes can't be read. */
int64_t safetensors_read(struct safetensors_file *f, uint64_t off, size_t len, uint8_t *dst,
			 struct err *e);
