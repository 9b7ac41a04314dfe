/* src/format/npy.h: .npy files. The header is printed byte for byte as NumPy 2 writes it, and parsed as any NumPy does.
 *
 *   93 "NUMPY"  version[2]  length[2, or 4 from version 2 on]  dict  spaces  newline
 *   dict: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 * The dict is followed by room for its first dimension to grow to 21 digits, then the whole is padded to a
 * multiple of 64. Source: numpy/lib/_format_impl.py. */
#pragma once
#include "base/sink.h"
#include "base/source.h"
#include "format/slice.h"

/* Appends the descr of a fixed-size type: '<f4', or [('bfloat16', '<u2')] where NumPy has no name for it.
 * -EINVAL for a type without elements of a fixed size. */
int npy_descr(struct buf *out, int dtype, bool big_endian);

/* Appends the header for DESCR (a Python expression) in C order. */
int npy_header(struct buf *out, struct bytes descr, unsigned rank, const int64_t *dims);

struct npy {
	uint8_t nameless; /* what npy_parse was told */
	uint8_t dtype; /* of dtype.h */
	uint8_t rank;
	bool big_endian; /* false where an element has no byte order */
	bool fortran;
	bool has_length; /* strings: of an element the first 8 bytes are its length, in the file's byte order */
	int64_t dims[SHAPE_MAX_RANK]; /* none negative, their product fits int64 */
	uint64_t count; /* elements */
	uint64_t item; /* bytes of one in the file; 0: strings without bytes */
	uint64_t data; /* where the first one starts */
	uint64_t size; /* count * item; fits int64 */
	uint64_t
		stored; /* bytes behind the header: if not `size`, the file is too short, or too long */
};

/* Parses the header of SRC. Of ml_dtypes' types NumPy saves only the size, as in '<V2': NAMELESS is the one that is meant where it has
 * that size; 0: none is taken. -EINVAL: no .npy file, or a type or shape that no checkpoint has; E says what was found
 * and expected. -ENOMEM, or of reading. */
int npy_parse(const struct source *src, int nameless, struct npy *out, struct err *e);

/* What npy_store has put out, as the entry of a bundle has it. */
struct npy_stored {
	uint64_t size;
	uint32_t crc; /* not masked */
};

/* Hands OUT the tensor of SRC as a bundle of that byte order stores it: elements row-major, or string_tensor.h; of plain
 * strings the NULs at their ends are no part. Takes about BUDGET bytes of memory, and at least an element. NPY's `size` must be
 * `stored`. -EINVAL (a string longer than its field), -ENOMEM, of reading, or what the sink says. */
int npy_store(const struct source *src, const struct npy *npy, bool big_endian, size_t budget,
	      struct sink out, struct npy_stored *stored, struct err *e);
