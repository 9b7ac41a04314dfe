#pragma once
#include <check.h>

TCase *check_step_tests(void);
TCase *state_review_tests(void);
TCase *strays_tests(void);
