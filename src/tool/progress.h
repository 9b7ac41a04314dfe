/* src/tool/progress.h: shows how far long work is: a bar, the bytes that are done, how many a second, the time that is left.
 *
 * A thread paints it, after half a second for the first time, and erases it at the end. A signal that would end the process erases it
 * first. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

struct progress;

/* Shows how much of TOTAL bytes has been SEEN: as a bar on stderr, or if FD is more than 0 by lines "1 SEEN TOTAL DIRECTORY" to
 * FD, which fsck(8) understands. NULL: no memory. */
struct progress *progress_start(const _Atomic uint64_t *seen, uint64_t total, int fd,
				const char *directory);

/* A bar if stderr is a terminal; else NULL. */
struct progress *progress_on_terminal(const _Atomic uint64_t *seen, uint64_t total);

/* Both do nothing for NULL. */
void progress_erase(struct progress *p); /* until it is painted again */
void progress_stop(struct progress *p);
