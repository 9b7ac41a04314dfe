#pragma once
#include <check.h>

TCase *name_tests(void);
