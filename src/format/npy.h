/* src/format/npy.h: .npy files. Headers are written byte for byte as by NumPy 2, and read whichever NumPy wrote them.
 *
 *   93 "NUMPY"  version[2]  length[2, or 4 from version 2 on]  dict  spaces  newline
 *   dict: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
 * Spaces behind the dict leave room for its first dimension to grow to 21 digits, and pad the header to a multiple of
 * 64 bytes. Source: numpy/lib/_format_impl.py. */
#pragma once
#include "base/sink.h"
#include "base/source.h"
#include "format/slice.h"

/* Appends the descr of a fixed-size type: '<f4', or [('bfloat16', '<u2')] where NumPy has no name for it.
 * -EINVAL for a type without elements of a fixed size. */
int npy_descr(struct buf *out, int dtype, bool big_endian);

/* How many bytes npy_descr appends; 0: none. */
size_t npy_descr_size(int dtype);

/* Appends the header of an array in C order. DESCR: a Python expression. No dimension is negative. -ENOMEM. */
int npy_header(struct buf *out, struct bytes descr, unsigned rank, const int64_t *dims);

/* How many bytes npy_header appends. DESCR: bytes of it. Nothing is printed: each stat of a variable asks for this. */
size_t npy_header_size(size_t descr, unsigned rank, const int64_t *dims);

struct npy {
	uint8_t nameless; /* as npy_parse was given it */
	uint8_t dtype; /* of dtype.h */
	uint8_t rank;
	bool big_endian; /* false where an element has no byte order */
	bool fortran;
	bool has_length; /* strings: 8 bytes of length, in the file's byte order, are in front of each */
	int64_t dims[SHAPE_MAX_RANK]; /* none negative, their product fits int64 */
	uint64_t count; /* elements */
	uint64_t item; /* bytes of one in the file; 0: strings without bytes */
	uint64_t data; /* where the first one starts */
	uint64_t size; /* count * item; fits int64 */
	uint64_t stored; /* bytes behind the header; those of a good file are `size` */
};

/* Parses the header of SRC. NumPy saves only the size of ml_dtypes' types, as '<V2'. NAMELESS is the type of that size
 * that is meant; 0: such types are refused. -EINVAL: this is no .npy file, or no checkpoint has such a type or shape; E
 * says what was found and what is expected. -ENOMEM, or of reading. */
int npy_parse(const struct source *src, int nameless, struct npy *out, struct err *e);

/* The string in the element at P, which has npy->item bytes: what its length says, or all but the NULs at its end. OUT points into
 * it. -EINVAL: the length is more than the element has. */
int npy_string(const struct npy *npy, const uint8_t *p, struct bytes *out, struct err *e);

/* Size and checksum of what npy_store has put out, as in an entry of a bundle. */
struct npy_stored {
	uint64_t size;
	uint32_t crc; /* not masked */
};

/* Puts the tensor of SRC into OUT as a bundle of that byte order stores it: elements in C order, strings as in
 * string_tensor.h. Strings without a length lose the NULs at their ends. NPY is that of npy_parse, and its `stored` must
 * be `size`. Needs about BUDGET bytes of memory, or those of an element. -EINVAL (a string longer than its field),
 * -ENOMEM, of reading, or what the sink says. */
int npy_store(const struct source *src, const struct npy *npy, bool big_endian, size_t budget,
	      struct sink out, struct npy_stored *stored, struct err *e);
