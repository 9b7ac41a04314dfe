#include "directory/export.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

static int is_there(int top, const char *path, struct err *e)
{
	const struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				     .resolve = RESOLVE_NO_XDEV};
	CLEANUP(closep) int fd = (int)syscall(SYS_openat2, top, path, &how, sizeof how);

	if (fd >= 0)
		return 1;
	return errno == ENOENT || errno == EXDEV ? 0 : err_sys(e, -errno, "%s", path);
}

int export_is(int top, struct err *e)
{
	int r = is_there(top, "../saved_model.pb", e);

	return r == 0 ? is_there(top, "../saved_model.pbtxt", e) : r;
}
