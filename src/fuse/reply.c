#include "fuse/reply.h"
#include "base/cleanup.h"
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

/* How long the kernel may remember what does not change, and what may. */
#define STABLE_SECONDS   86400.0
#define CHANGING_SECONDS 1.0

void log_line(struct ckptfs *fs, int priority, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (fs->to_syslog)
		syslog(priority, "%s", line);
	else
		fprintf(stderr, "mount.ckptfs: %s\n", line);
}

static bool is_worth_a_line(int r)
{
	return r == -EIO || r == -EUCLEAN || r == -EBADMSG || r == -ENOTSUP || r == -EFBIG ||
	       r == -ENOMEM || r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == -EBUSY ||
	       r == -EMFILE || r == -ENFILE;
}

/* To our own code these say what is wrong with a checkpoint; to a program they would say something else. */
static int as_told(int r)
{
	return r == -EUCLEAN || r == -EBADMSG || r == -ENOTSUP || r == -EFBIG ? -EIO : r;
}

/* One `ls` asks for a damaged step again and again: the same line is not logged twice in a row. */
static bool is_repeated(struct ckptfs *fs, const struct err *e)
{
	bool same;

	HOLD(&fs->lock);
	same = !strcmp(fs->last.text, e->text);
	fs->last = *e;
	return same;
}

/* Each EIO gets a line, also if nobody has said why. */
static void log_error(struct ckptfs *fs, const char *op, int r, const struct err *e)
{
	struct err unexplained;
	bool is_refusal =
		(r == -EINVAL || r == -EPERM) && e->code; /* E says what was refused, and why */

	if (!is_refusal && !(is_worth_a_line(r) && (e->code || as_told(r) == -EIO)))
		return;
	if (!e->code) {
		err_sys(&unexplained, r, "%s", op);
		e = &unexplained;
	}
	if (!is_repeated(fs, e))
		log_line(fs, is_refusal ? LOG_WARNING : LOG_ERR, "%s", e->text);
}

void reply_error_of(fuse_req_t req, const char *op, int r, const struct err *e)
{
	log_error(ckptfs_of(req), op, r, e);
	fuse_reply_err(req, -as_told(r));
}

/* If attributes have no file type the kernel makes an EIO of them, without telling us. */
static void check_type(struct ckptfs *fs, const struct stat *st)
{
	if (!(st->st_mode & S_IFMT))
		log_line(fs, LOG_ERR, "attributes without a type: Input/output error");
}

void apply_options(struct ckptfs *fs, struct stat *st)
{
	const struct options *o = fs->options;

	check_type(fs, st);
	if (o->uid.given)
		st->st_uid = o->uid.n;
	if (o->gid.given)
		st->st_gid = o->gid.n;
	if (o->umask.given)
		st->st_mode = (st->st_mode & S_IFMT) |
			      ((S_ISDIR(st->st_mode) ? 0777 : 0666) & ~o->umask.n);
}

struct fuse_entry_param entry_param(struct ckptfs *fs, const struct view_entry *entry)
{
	double seconds = entry->fleeting ? 0 : entry->stable ? STABLE_SECONDS : CHANGING_SECONDS;
	struct fuse_entry_param p = {
		.ino = entry->id,
		.attr = entry->st,
		.attr_timeout = seconds,
		.entry_timeout = seconds,
	};

	apply_options(fs, &p.attr);
	return p;
}

void reply_of(fuse_req_t req, const char *op, int r, const struct buf *changes, const struct err *e)
{
	struct notifier *n = ckptfs_of(req)->notifier; /* the answer ends REQ */

	if (r < 0)
		reply_error_of(req, op, r, e);
	else
		fuse_reply_err(req, 0);
	notifier_tell(n, changes);
}

void reply_entry_of(fuse_req_t req, const char *op, int r, const struct view_entry *entry,
		    const struct err *e)
{
	struct ckptfs *fs = ckptfs_of(req);
	struct fuse_entry_param p;

	if (r < 0) {
		reply_error_of(req, op, r, e);
		return;
	}
	p = entry_param(fs, entry);
	/* If it was interrupted the kernel does not know of its reference. */
	if (fuse_reply_entry(req, &p) < 0)
		raw_forget(&fs->raw, entry->id, 1);
}

void reply_attr_of(fuse_req_t req, const char *op, int r, const struct view_entry *entry,
		   const struct err *e)
{
	struct fuse_entry_param p;

	if (r < 0) {
		reply_error_of(req, op, r, e);
		return;
	}
	p = entry_param(ckptfs_of(req), entry);
	fuse_reply_attr(req, &p.attr, p.attr_timeout);
}
