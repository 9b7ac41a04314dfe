#pragma once
#include <check.h>

TCase *pb_tests(void);
TCase *textpb_tests(void);
