#include "edit/out_file.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "edit/writer.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

/* PATH is a regular file, or is to be one. */
static int open_beside(const char *path, struct out_file *out, struct err *e)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep)
	char *dir = slash == path ? strdup("/")
		    : slash       ? strndup(path, (size_t)(slash - path))
				  : strdup(".");

	out->name = strdup(slash ? slash + 1 : path);
	if (!dir || !out->name ||
	    asprintf(&out->temporary, ".%.200s.%d", out->name, (int)getpid()) < 0) {
		out->temporary = NULL;
		return err_set(e, -ENOMEM, "no memory");
	}
	out->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->dirfd < 0)
		return err_sys(e, -errno, "%s", dir);
	out->to = append_of(io_create(out->dirfd, out->temporary, 0666, e), 0);
	if (out->to.fd >= 0)
		return 0;
	freep(&out->temporary); /* it is not ours */
	return e ? e->code : -EIO;
}

int out_file_open(const char *path, struct out_file *out, struct err *e)
{
	char real[PATH_MAX];
	struct stat st;

	*out = OUT_FILE_EMPTY;
	writer_hold_signals();
	if (!strcmp(path, "-")) {
		out->fd = dup(STDOUT_FILENO);
		return out->fd < 0 ? err_sys(e, -errno, "standard output") : 0;
	}
	if (stat(path, &st) < 0)
		return open_beside(path, out, e);
	if (S_ISREG(st.st_mode)) /* behind a link the file is replaced, not the link */
		return realpath(path, real) ? open_beside(real, out, e)
					    : err_sys(e, -errno, "%s", path);
	out->fd = open(path, O_WRONLY | O_CLOEXEC);
	return out->fd < 0 ? err_sys(e, -errno, "%s", path) : 0;
}

int out_file_put(struct out_file *f, struct bytes b, struct err *e)
{
	int r = writer_interrupted(e);

	if (r < 0 || f->fd < 0)
		return r < 0 ? r : append_put(&f->to, b, e);
	while (b.n) {
		ssize_t n = write(f->fd, b.p, b.n);

		if (n < 0)
			return err_sys(e, -errno, "write");
		b = bytes_of(b.p + n, b.n - (size_t)n);
	}
	return 0;
}

int out_file_finish(struct out_file *f, struct err *e)
{
	int r;

	if (f->fd >= 0)
		return 0;
	r = append_flush(&f->to, e);
	if (r == 0)
		r = io_sync(f->to.fd, f->name, e);
	if (r == 0)
		r = io_move(f->dirfd, f->temporary, f->dirfd, f->name, e);
	if (r == 0)
		freep(&f->temporary);
	return r;
}

void out_file_release(struct out_file *f)
{
	if (f->temporary)
		io_remove_file(f->dirfd, f->temporary, NULL);
	append_release(&f->to);
	closep(&f->dirfd);
	closep(&f->fd);
	freep(&f->temporary);
	freep(&f->name);
}
