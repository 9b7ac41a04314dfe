/* Tests of src/format/dtype.[ch] against what TensorFlow knows of its types (tests/assets/dtypes). */
#include "format/check_format.h"
#include "format/dtype.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(types_are_those_of_tensorflow)
{
	FILE *file = fopen(ASSETS "/dtypes/types.txt", "re");
	char name[64], field[64], kind[16];
	int number, n = 0;
	size_t size;

	ck_assert_ptr_nonnull(file);
	while (fscanf(file, "%d %63s %zu %63s %15s", &number, name, &size, field, kind) == 5) {
		const struct dtype_info *t = dtype_info(number);
		bool complex = kind[0] == 'c';

		ck_assert_msg(t != NULL, "%s", name);
		ck_assert_str_eq(t->name, name);
		ck_assert_uint_eq(t->item, size);
		ck_assert_str_eq(t->field ? t->field : "-", field);
		ck_assert_str_eq(t->numpy ? t->numpy : "-", kind);
		ck_assert_uint_eq(t->word, complex ? size / 2 : size);
		if (size)
			ck_assert_uint_eq(strtoul(kind + 1, NULL, 10), size);
		n++;
	}
	fclose(file);
	ck_assert_int_eq(n, 33);
}
END_TEST

START_TEST(other_numbers_are_no_types)
{
	static const int64_t none[] = {0,   -1,  34,        100,       101,
				       107, 133, INT64_MIN, INT64_MAX, 1ll << 32};

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		ck_assert_ptr_null(dtype_info(none[i]));
}
END_TEST

TCase *dtype_tests(void)
{
	TCase *t = tcase_create("dtype");

	tcase_add_test(t, types_are_those_of_tensorflow);
	tcase_add_test(t, other_numbers_are_no_types);
	return t;
}
