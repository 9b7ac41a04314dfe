/* src/step/npy_file.h: a variable as a .npy file: a header, which is made, and the array behind it. */
#pragma once
#include "step/tensor.h"

/* The bytes of V's file. V is not opened, but strings are read the first time. For a variable that can't be read it
 * is a guess, and never 0: tar would not try to read an empty file. */
uint64_t npy_file_size(struct step *s, const struct var *v, int dirfd);

struct npy_file;

/* Opens V's file. It holds S; DIRFD, the directory of S, is not needed afterwards. Errors of tensor_open. */
int npy_file_open(struct step *s, const struct var *v, int dirfd, struct npy_file **out,
		  struct err *e);
void npy_file_close(struct npy_file *f);

/* Reads up to LEN bytes at OFF into DST, fewer only at the end. Many threads may read. How many, -ENOMEM, or an error of tensor_read. */
int64_t npy_file_read(struct npy_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e);
