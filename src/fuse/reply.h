/* src/fuse/reply.h: turns what the view gives into answers to the kernel, and logs. */
#pragma once
#include "fuse/ckptfs.h"

/* One line at PRIORITY of syslog(3), to stderr or to syslog. Thread-safe. */
void log_line(struct ckptfs *fs, int priority, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Answers REQ, of the operation OP, with the errno for R, which is negative. What is wrong with a checkpoint becomes EIO
 * and is logged: what E says, or OP if it says nothing. Errors that are no fault, as ENOENT, are not logged. */
void reply_error_of(fuse_req_t req, const char *op, int r, const struct err *e);
#define reply_error(req, r, e) reply_error_of(req, __func__, r, e)

/* With an error as above for a negative R; else with ENTRY, or with nothing, and then the kernel is told of CHANGES. */
void reply_of(fuse_req_t req, const char *op, int r, const struct buf *changes,
	      const struct err *e);
void reply_entry_of(fuse_req_t req, const char *op, int r, const struct view_entry *entry,
		    const struct err *e);
void reply_attr_of(fuse_req_t req, const char *op, int r, const struct view_entry *entry,
		   const struct err *e);
#define reply(req, r, changes, e)     reply_of(req, __func__, r, changes, e)
#define reply_entry(req, r, entry, e) reply_entry_of(req, __func__, r, entry, e)
#define reply_attr(req, r, entry, e)  reply_attr_of(req, __func__, r, entry, e)

/* Puts owner and permissions over ST as the options want. */
void apply_options(struct ckptfs *fs, struct stat *st);

/* ENTRY as libfuse wants it. */
struct fuse_entry_param entry_param(struct ckptfs *fs, const struct view_entry *entry);

static inline struct raw_file *file_of(const struct fuse_file_info *fi)
{
	return (struct raw_file *)(uintptr_t)fi->fh;
}
