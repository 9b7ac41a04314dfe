#include "fuzz/repair.h"
#include "format/sstable_block.h"
#include "lib/table.h"

void repair_table(uint8_t *file, size_t n)
{
	struct source src = source_of_memory(bytes_of(file, n));
	struct buf index = {0};
	struct block_iter it = {0};
	struct table_at at;

	if (!table_find_index(file, n, &at) || !table_reseal(file, n, at) ||
	    block_read(&src, (struct extent){at.off, at.len}, &index, NULL) < 0)
		return;
	if (block_iter_init(&it, buf_bytes(&index), 0, NULL) == 0)
		while (block_iter_next(&it, NULL) > 0) {
			struct cursor c = cursor_of(it.value);

			if (cursor_varint(&c, &at.off) && cursor_varint(&c, &at.len))
				table_reseal(file, n, at);
		}
	block_iter_release(&it);
	buf_release(&index);
}
