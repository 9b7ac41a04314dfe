/* src/base/memory.h: how much memory this process may have. */
#pragma once
#include <stdint.h>

/* Bytes of the machine's memory, or the limit of the process's control group if that is less. 0: nobody says. */
uint64_t memory_total(void);

/* The least limit of memory of the control groups that the file MEMBERSHIP lists, as /proc/self/cgroup, and of those above them;
 * ROOT is where they are mounted, as /sys/fs/cgroup. UINT64_MAX: there is none. See cgroups(7). */
uint64_t memory_limit(const char *membership, const char *root);
