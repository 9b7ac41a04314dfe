/* tests/lib/suite.h: one test program a layer, one TCase a module.
 *
 * tests/LAYER/check_MODULE.c ends in a function that gives its TCase; the program's main hands them all to
 * suite_run. CK_RUN_CASE=MODULE runs one of them, CK_FORK=no all in one process. To run none is a failure. */
#pragma once
#include <check.h>
#include <stddef.h>
#include <stdlib.h>

/* After so many seconds a test hangs. It is not a measure: a busy machine may be slow. */
enum { TEST_SECONDS = 300 };

/* Runs CASES, up to the first NULL; the result is main's. */
static inline int suite_run(const char *layer, TCase *const cases[])
{
	Suite *s = suite_create(layer);
	SRunner *r;
	int failed;

	for (size_t i = 0; cases[i]; i++) {
		tcase_set_timeout(cases[i], TEST_SECONDS);
		suite_add_tcase(s, cases[i]);
	}
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_run(r) ? srunner_ntests_failed(r) : 1;
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
