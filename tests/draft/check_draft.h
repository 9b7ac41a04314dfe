#pragma once
#include <check.h>

TCase *changes_tests(void);
TCase *go_on_tests(void);
TCase *overlay_tests(void);
TCase *pin_tests(void);
TCase *pin_complete_tests(void);
TCase *pin_loose_tests(void);
TCase *pins_tests(void);
TCase *staged_tests(void);
TCase *take_up_tests(void);
TCase *write_tests(void);
