#pragma once
#include <check.h>

TCase *full_names_tests(void);
TCase *name_tests(void);
TCase *stats_tests(void);
TCase *open_tests(void);
TCase *tensor_tests(void);
TCase *text_kind_tests(void);
TCase *tree_tests(void);
TCase *verify_tests(void);
