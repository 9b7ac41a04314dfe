/* tests/fuzz/repair.h: good checksums for a table that a fuzzer has changed, so that it gets past them. */
#pragma once
#include "base/bytes.h"

void repair_table(uint8_t *file, size_t n);
