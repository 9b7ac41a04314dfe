/* Tests of src/base/glob.[ch]. */
#include "base/check_base.h"
#include "base/glob.h"
#include "lib/lit.h"

struct trial {
	const char *globs, *name;
};

START_TEST(names_match)
{
	static const struct trial trials[] = {
		{"w", "w"},
		{"b:w", "w"},
		{"[:]:w", "w"},
		{"a[:]0", "a:0"},
		{"*", "w"},
		{"*", ".w"},
		{"*/w", "a/w"},
		{"dense*/k*l", "dense_1/kernel"},
		{"*a*ab", "xaaab"},
		{"**", "a/b/w"},
		{"a/**", "a/b/w"},
		{"**/w", "w"},
		{"**/w", "a/b/w"},
		{"a/**/w", "a/w"},
		{"a/**/w", "a/b/c/w"},
		{"**/b*/w", "b/x/bc/w"},
		{"**/*a/**/*b", "c/xa/xb/c/b"},
		{"**w", "a/bw"},
		{"a**w", "ab/cw"},
		{"***", "a/b"},
		{"layer_?/w", "layer_1/w"},
		{"?", "\xc3\xa9"},
		{"*?", "\xc3\xa9"},
		{"?", "\xff"},
		{"[a-c]", "b"},
		{"[!a-c]", "d"},
		{"[^a-c]", "d"},
		{"[]a]", "]"},
		{"[!]a]", "b"},
		{"[a-]", "-"},
		{"[-a]", "-"},
		{"[\xc3\xa0-\xc3\xb0]", "\xc3\xa9"},
		{"[a", "[a"},
		{"[*]", "*"},
		{"", ""},
		{"*", ""},
	};

	for (size_t i = 0; i < COUNT(trials); i++)
		ck_assert_msg(globs_match(trials[i].globs, bytes_str(trials[i].name)),
			      "'%s' is no '%s'", trials[i].name, trials[i].globs);
}
END_TEST

START_TEST(other_names_do_not)
{
	static const struct trial trials[] = {
		{"w", "w1"},      {"w1", "w"},      {"w", "a/w"},        {"a", "a/w"},
		{"a/", "a/w"},    {"b:c", "b:c"},   {"*", "a/w"},        {"*w", "a/w"},
		{"a/*", "a/b/w"}, {"*/w", "w"},     {"**/w", "aw"},      {"**/w", "a/bw"},
		{"a/**", "a"},    {"a/**/w", "aw"}, {"a/**/w", "a/w/x"}, {"*a*ab", "xaaabc"},
		{"?", "/"},       {"a?b", "a/b"},   {"??", "\xc3\xa9"},  {"*??", "\xc3\xa9"},
		{"[a-c]", "d"},   {"[!a-c]", "b"},  {"a[!b]c", "a/c"},   {"a[/]c", "a/c"},
		{"[a-c]", ""},    {"", "w"},        {":", "w"},
	};

	for (size_t i = 0; i < COUNT(trials); i++)
		ck_assert_msg(!globs_match(trials[i].globs, bytes_str(trials[i].name)),
			      "'%s' is '%s'", trials[i].name, trials[i].globs);
}
END_TEST

/* Stars are not tried in all combinations. */
START_TEST(many_stars_take_no_time)
{
	char globs[400] = "", name[2001];

	for (int i = 0; i < 50; i++)
		strcat(globs, i % 5 ? "*a" : "**a");
	strcat(globs, "b");
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = 0;
	ck_assert(!globs_match(globs, bytes_str(name)));
	name[sizeof name - 2] = 'b';
	ck_assert(globs_match(globs, bytes_str(name)));
}
END_TEST

TCase *glob_tests(void)
{
	TCase *t = tcase_create("glob");

	tcase_add_test(t, names_match);
	tcase_add_test(t, other_names_do_not);
	tcase_add_test(t, many_stars_take_no_time);
	return t;
}
