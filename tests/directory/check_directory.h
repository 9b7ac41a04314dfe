#pragma once
#include "lib/files.h"
#include <check.h>

TCase *family_tests(void);
TCase *listing_tests(void);
TCase *locate_tests(void);
TCase *state_update_tests(void);

/* Makes the file NAME, or a folder if NAME ends in '/'. */
void put_entry(const struct folder *f, const char *name);
