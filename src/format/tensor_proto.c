#include "format/tensor_proto.h"
#include <inttypes.h>

int version_check(const Tensorflow__VersionDef *version, int reader, struct err *e)
{
	if (!version)
		return 0;
	if (version->min_consumer > reader)
		return err_set(e, -ENOTSUP, "needs a reader of version %" PRId32 ", this is %d",
			       version->min_consumer, reader);
	for (size_t i = 0; i < version->n_bad_consumers; i++)
		if (version->bad_consumers[i] == reader)
			return err_set(e, -ENOTSUP, "forbids readers of version %d", reader);
	return 0;
}

static int add_slice(const Tensorflow__TensorSliceProto *slice, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; i < slice->n_extent && r == 0; i++) {
		const Tensorflow__TensorSliceProto__Extent *x = slice->extent[i];
		int64_t pair[2] = {x->start, x->has_length_case ? x->length : -1};

		r = buf_add(out, pair, sizeof pair);
	}
	return r;
}

int shape_numbers(const Tensorflow__TensorShapeProto *shape,
		  Tensorflow__TensorSliceProto *const *slices, size_t n, struct buf *out,
		  struct err *e)
{
	size_t rank = shape ? shape->n_dim : 0;
	int r = buf_reserve(out, sizeof(int64_t));

	for (size_t i = 0; i < rank && r == 0; i++)
		r = buf_add(out, &shape->dim[i]->size, sizeof(int64_t));
	for (size_t i = 0; i < n && r == 0; i++) {
		if (slices[i]->n_extent != rank)
			return err_set(e, -EUCLEAN, "slice %zu has %zu dimensions, the shape %zu",
				       i, slices[i]->n_extent, rank);
		r = add_slice(slices[i], out);
	}
	return r < 0 ? err_set(e, r, "no memory for its slices") : 0;
}
