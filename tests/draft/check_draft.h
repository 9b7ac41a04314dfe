#pragma once
#include <check.h>

TCase *changes_tests(void);
TCase *overlay_tests(void);
