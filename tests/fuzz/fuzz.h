/* tests/fuzz/fuzz.h: the entry that libFuzzer calls, and replay.c for the corpus. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input. */
static inline void must_hold(int ok)
{
	if (!ok)
		abort();
}
