/* Input: a byte, then an index; its checksums are repaired if the byte is odd. */
#include "format/bundle.h"
#include "format/slice.h"
#include "fuzz/fuzz.h"
#include "fuzz/repair.h"

static void look_at(const struct bundle *b, const struct bundle_entry *entry)
{
	uint64_t count;

	if (entry->why.code)
		return;
	must_hold(entry->dtype && entry->shard < (uint32_t)b->num_shards);
	must_hold(shape_count(entry->rank, entry->dims, &count));
	for (size_t i = 0; i < 2 * (size_t)entry->n_slices * entry->rank; i++)
		count += (uint64_t)entry->slices[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file = malloc(size ? size : 1);
	struct bundle_entry entry;
	struct bundle b;
	struct err e;

	if (!size || !file) {
		free(file);
		return 0;
	}
	memcpy(file, data + 1, size - 1);
	if (data[0] & 1)
		repair_table(file, size - 1);
	if (bundle_open(&b, source_of_memory(bytes_of(file, size - 1)), &e) == 0) {
		while (bundle_next(&b, &entry, &e) > 0)
			look_at(&b, &entry);
		bundle_close(&b);
	}
	free(file);
	return 0;
}
