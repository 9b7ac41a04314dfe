#pragma once
#include <check.h>

TCase *meta_graph_tests(void);
TCase *object_graph_tests(void);
TCase *pb_tests(void);
TCase *state_tests(void);
TCase *textpb_tests(void);
