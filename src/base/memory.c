#include "base/memory.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PATH = 4096 };

/* "max" is no number: there is no limit. */
static uint64_t read_limit(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long n;
	bool is_number;

	if (!f)
		return UINT64_MAX;
	is_number = fscanf(f, "%llu", &n) == 1;
	fclose(f);
	return is_number ? n : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Of GROUP, a path below MOUNT, and of all above it. What is mounted may be a part of the tree, with the process's group on top. */
static uint64_t limit_of_group(const char *mount, char *group, const char *file)
{
	uint64_t limit = UINT64_MAX;
	char path[2 * MAX_PATH];

	for (;;) {
		char *slash = strrchr(group, '/');

		snprintf(path, sizeof path, "%s%s/%s", mount, group, file);
		limit = least(limit, read_limit(path));
		if (!slash)
			return limit;
		*slash = 0;
	}
}

/* LINE: "ID:CONTROLLERS:GROUP"; version 2 names no controllers. */
static uint64_t limit_of_line(char *line, const char *root)
{
	char *controllers = strchr(line, ':'),
	     *group = controllers ? strchr(controllers + 1, ':') : NULL;
	char mount[MAX_PATH];

	if (!group)
		return UINT64_MAX;
	*group++ = 0;
	controllers++;
	group[strcspn(group, "\n")] = 0;
	if (!*controllers)
		return limit_of_group(root, group, "memory.max");
	if (strcmp(controllers, "memory") != 0)
		return UINT64_MAX;
	snprintf(mount, sizeof mount, "%s/memory", root);
	return limit_of_group(mount, group, "memory.limit_in_bytes");
}

uint64_t memory_limit(const char *membership, const char *root)
{
	FILE *f = fopen(membership, "re");
	uint64_t limit = UINT64_MAX;
	char line[MAX_PATH];

	if (!f)
		return limit;
	while (fgets(line, sizeof line, f))
		limit = least(limit, limit_of_line(line, root));
	fclose(f);
	return limit;
}

uint64_t memory_total(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t machine = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;

	return machine ? least(machine, memory_limit("/proc/self/cgroup", "/sys/fs/cgroup")) : 0;
}
