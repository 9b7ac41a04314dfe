#include "lib/step.h"
#include "base/cleanup.h"
#include "format/ordered_code.h"
#include <stdio.h>

struct record {
	struct buf key, value;
};

static int compare(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	return bytes_cmp(buf_bytes(&x->key), buf_bytes(&y->key));
}

static void encode(struct record *r, const struct item *item)
{
	if (item->is_slice ? slice_key_encode(&r->key, bytes_str(item->name), item->spec.rank,
					      item->extents) < 0
			   : buf_add_str(&r->key, item->name) < 0)
		abort();
	entry_encode(&r->value, &item->spec);
}

void step_put(const struct folder *f, const char *name, uint32_t num_shards,
	      const struct item *items, size_t n)
{
	CLEANUP(table_free)
	struct table t = {0};
	struct record *records = calloc(n + 1, sizeof *records);

	if (!records)
		abort();
	for (size_t i = 0; i < n; i++)
		encode(&records[i], &items[i]);
	qsort(records, n, sizeof *records, compare);
	add_header(&t, num_shards, false);
	for (size_t i = 0; i < n; i++) {
		table_entry(&t, buf_bytes(&records[i].key), buf_bytes(&records[i].value));
		buf_release(&records[i].key);
		buf_release(&records[i].value);
	}
	free(records);
	table_end(&t);
	folder_put(f, buf_bytes(&t.file), "%s.index", name);
}

int step_open_v2(int dirfd, const char *name, enum verify_mode mode, struct step **out,
		 struct err *e)
{
	char file[300];
	struct step_place where = {.name = (char *)name, .file = file, .format = STEP_V2};

	snprintf(file, sizeof file, "%s.index", name);
	return step_open(dirfd, &where, mode, out, e);
}
