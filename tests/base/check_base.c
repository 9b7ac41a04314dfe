#include "base/crc32c.h"
#include <check.h>
#include <stdlib.h>

START_TEST(known_checksum)
{
	ck_assert_uint_eq(crc32c("123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c_portable(0, "123456789", 9), 0xe3069283);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *t = tcase_create("crc32c");

	tcase_add_test(t, known_checksum);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);

	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);

	srunner_free(r);
	return failed != 0;
}
