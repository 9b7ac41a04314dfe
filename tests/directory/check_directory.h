#pragma once
#include <check.h>

TCase *listing_tests(void);
TCase *locate_tests(void);
TCase *state_update_tests(void);
