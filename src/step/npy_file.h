/* src/step/npy_file.h: the bytes of a file: a NumPy header, made up, and the array behind it. */
#pragma once
#include "step/tensor.h"

/* The size that V's file has, without opening it (strings are read once). Of a variable that can't be read it is a
 * guess, but never 0: tar would take an empty file as read. */
uint64_t npy_file_size(struct step *s, const struct var *v, int dirfd);

struct npy_file;

/* Opens V's file; errors are those of tensor_open. The file holds S and needs DIRFD no more. */
int npy_file_open(struct step *s, const struct var *v, int dirfd, struct npy_file **out,
		  struct err *e);
void npy_file_close(struct npy_file *f);

/* Reads up to LEN bytes at OFF into DST, fewer only at the end. The number read, or of tensor_read. */
int64_t npy_file_read(const struct npy_file *f, uint64_t off, size_t len, uint8_t *dst,
		      struct err *e);
