#pragma once
#include <check.h>

TCase *acts_tests(void);
TCase *base_tests(void);
TCase *waits_tests(void);
TCase *failures_tests(void);
TCase *goes_on_tests(void);
TCase *in_place_tests(void);
TCase *recover_tests(void);
TCase *rescue_tests(void);
