/* Tests of src/base/scratch.[ch]. */
#include "base/check_base.h"
#include "base/scratch.h"
#include "lib/lit.h"

START_TEST(leftovers_are_known)
{
	static const char *const names[] = {
		".w.npy.Ab12Cd",
		".w.npy.swp",
		".#w.npy",
		"w.npy~",
		"w.npy.~2~",
		"#w.npy#",
		"w.swp",
		"4913",
		"part-00000-of-00001.index",
		"sedAb12Cd",
		"w.npy.part",
		"w.npy.1.partial",
		".",
	};

	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_msg(scratch_is_leftover(names[i]), "'%s'", names[i]);
}
END_TEST

START_TEST(other_names_are_not)
{
	static const char *const names[] = {
		"",          "w",         "w.npy", "w.bak", "w~x",     "#",        "##",
		"#w",        "w#",        "4914",  "49131", "sed",     "sed12345", "sedAb12Cd3",
		"sedAb-2Cd", "xedAb12Cd", "part",  "swp",   "partial",
	};

	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_msg(!scratch_is_leftover(names[i]), "'%s'", names[i]);
}
END_TEST

TCase *scratch_tests(void)
{
	TCase *t = tcase_create("scratch");

	tcase_add_test(t, leftovers_are_known);
	tcase_add_test(t, other_names_are_not);
	return t;
}
