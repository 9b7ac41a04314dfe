#pragma once
#include <check.h>

TCase *draft_tests(void);
TCase *listing_tests(void);
TCase *locate_tests(void);
TCase *name_tests(void);
TCase *state_update_tests(void);
TCase *stats_tests(void);
TCase *step_tests(void);
TCase *tensor_tests(void);
TCase *verify_tests(void);
