/* src/fuse/reply.h: turns what the view gives into answers to the kernel, and logs. */
#pragma once
#include "fuse/ckptfs.h"

/* How long the kernel may remember what does not change, and what may. */
#define STABLE_SECONDS   86400.0
#define CHANGING_SECONDS 1.0

/* One line at PRIORITY of syslog(3), to stderr or to syslog. Thread-safe. */
void log_line(struct ckptfs *fs, int priority, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Answers REQ, of the operation OP, with the errno for R, which is negative. What is wrong with a checkpoint becomes EIO
 * and is logged: what E says, or OP if it says nothing. Errors that are no fault, as ENOENT, are not logged. */
void reply_error_of(fuse_req_t req, const char *op, int r, const struct err *e);
#define reply_error(req, r, e) reply_error_of(req, __func__, r, e)

/* Puts owner and permissions over ST as the options want. */
void apply_options(struct ckptfs *fs, struct stat *st);

/* How many seconds the kernel may remember ENTRY. */
double entry_seconds(const struct view_entry *entry);

/* ENTRY as libfuse wants it. */
struct fuse_entry_param entry_param(struct ckptfs *fs, const struct view_entry *entry);
