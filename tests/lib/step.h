/* tests/lib/step.h: small steps, written to a folder. */
#pragma once
#include "lib/files.h"
#include "lib/table.h"
#include "step/step.h"

struct item {
	const char *name;
	struct spec spec;
	bool is_slice; /* the entry of NAME's slice at EXTENTS, in a tensor of the spec's rank */
	const int64_t *extents;
};

/* The V2 step NAME of the directory DIRFD. */
int step_open_v2(int dirfd, const char *name, enum verify_mode mode, struct step **out,
		 struct err *e);

/* Writes NAME.index with the items, sorted by key. Their checksums are as in the specs: most are wrong. */
void step_put(const struct folder *f, const char *name, uint32_t num_shards,
	      const struct item *items, size_t n);
