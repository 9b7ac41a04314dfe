/* src/format/npy.h: the header of a .npy file, byte for byte as NumPy 2 writes it.
 *
 *   93 "NUMPY"  version[2]  length[2, or 4 in version 2]  dict  spaces  newline
 *   dict: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 * The dict is followed by room for its first dimension to grow to 21 digits, then the whole is padded to a
 * multiple of 64. Source: numpy/lib/_format_impl.py. */
#pragma once
#include "base/buf.h"

/* Appends the descr of a fixed-size type: '<f4', or [('bfloat16', '<u2')] where NumPy has no name for it.
 * -EINVAL for a type without elements of a fixed size. */
int npy_descr(struct buf *out, int dtype, bool big_endian);

/* Appends the header for DESCR (a Python expression) in C order. */
int npy_header(struct buf *out, struct bytes descr, unsigned rank, const int64_t *dims);
