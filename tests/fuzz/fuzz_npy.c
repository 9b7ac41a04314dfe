/* Input: a .npy file. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/npy.h"
#include "fuzz/fuzz.h"

enum { MAX_COUNT = 1 << 16, BUDGET = 64 };

/* The same array without what is behind it, its header as NumPy would print it. */
static void print_and_parse(const struct npy *npy)
{
	CLEANUP(buf_release)
	struct buf descr = {0};
	CLEANUP(buf_release)
	struct buf file = {0};
	struct source src;
	struct npy again;

	if (npy_descr(&descr, npy->dtype, npy->big_endian) < 0)
		return;
	must_hold(npy_header(&file, buf_bytes(&descr), npy->rank, npy->dims) == 0);
	src = source_of_memory(buf_bytes(&file));
	must_hold(npy_parse(&src, 0, &again, NULL) == 0);
	must_hold(again.dtype == npy->dtype && again.big_endian == npy->big_endian);
	must_hold(again.item == npy->item && again.count == npy->count && again.stored == 0);
	must_hold(again.rank == npy->rank &&
		  !memcmp(again.dims, npy->dims, npy->rank * sizeof *npy->dims));
}

static int count_bytes(void *to, struct bytes b, struct err *e)
{
	(void)e;
	*(uint64_t *)to += b.n;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source src = source_of_memory(bytes_of(data, size));
	struct npy_stored stored;
	uint64_t put = 0;
	struct npy npy;
	struct err e;

	if (npy_parse(&src, 0, &npy, &e) < 0)
		return 0;
	must_hold(npy.data + npy.stored == size);
	print_and_parse(&npy);
	if (npy.size != npy.stored || npy.count > MAX_COUNT)
		return 0;
	if (npy_store(&src, &npy, false, BUDGET, (struct sink){count_bytes, &put}, &stored, &e) ==
	    0)
		must_hold(put == stored.size && (npy.dtype == DTYPE_STRING || put == npy.size));
	return 0;
}
