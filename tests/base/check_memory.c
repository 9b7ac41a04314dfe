/* Tests of src/base/memory.[ch]. */
#include "base/check_base.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char root[64];

static void make(void)
{
	strcpy(root, "/tmp/check_memory.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

/* Writes TEXT to the file NAME below the root, and makes the folders that it is in. */
static void put(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		mkdir(path, 0700);
	}
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static uint64_t limit(void)
{
	char path[100];

	snprintf(path, sizeof path, "%s/membership", root);
	return memory_limit(path, root);
}

static void drop(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(the_least_limit_on_the_way_up_counts)
{
	put("membership", "0::/a/b\n");
	ck_assert_uint_eq(limit(), UINT64_MAX);
	put("a/b/memory.max", "max\n");
	ck_assert_uint_eq(limit(), UINT64_MAX);
	put("a/memory.max", "5000\n");
	ck_assert_uint_eq(limit(), 5000);
	put("a/b/memory.max", "6000\n");
	ck_assert_uint_eq(limit(), 5000);
	put("memory.max", "4000\n");
	ck_assert_uint_eq(limit(), 4000);
	put("c/memory.max", "1\n");
	ck_assert_uint_eq(limit(), 4000);
}
END_TEST

START_TEST(version_1_has_a_tree_for_memory)
{
	put("membership", "3:cpu,cpuacct:/x\n2:memory:/a\n1:name=systemd:/a\n");
	put("x/memory.max", "1\n");
	put("memory/memory.limit_in_bytes", "9223372036854771712\n");
	ck_assert_uint_eq(limit(), 9223372036854771712u);
	put("memory/a/memory.limit_in_bytes", "7000\n");
	ck_assert_uint_eq(limit(), 7000);
}
END_TEST

START_TEST(without_groups_it_is_the_machines)
{
	ck_assert_uint_eq(limit(), UINT64_MAX);
	put("membership", "nothing\n");
	ck_assert_uint_eq(limit(), UINT64_MAX);
	ck_assert_uint_gt(memory_total(), 0);
	ck_assert_uint_lt(memory_total(), UINT64_MAX);
}
END_TEST

TCase *memory_tests(void)
{
	TCase *t = tcase_create("memory");

	tcase_add_checked_fixture(t, make, drop);
	tcase_add_test(t, the_least_limit_on_the_way_up_counts);
	tcase_add_test(t, version_1_has_a_tree_for_memory);
	tcase_add_test(t, without_groups_it_is_the_machines);
	return t;
}
