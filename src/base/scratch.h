/* src/base/scratch.h: names in a step's folder that belong to neither a variable nor a text. Such a file is scratch: it
 * works as any file, and is never part of a step. */
#pragma once
#include <stdbool.h>

/* Do editors or copying programs leave a file of that name behind: as a backup, or when they are killed? All names that
 * begin with a dot are such. */
bool scratch_is_leftover(const char *name);
