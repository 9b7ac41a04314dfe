#include "cli/run.h"
#include "base/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

static void be_quiet(void)
{
	CLEANUP(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
}

int run_program(const char *const argv[], struct run how)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		if (how.quiet)
			be_quiet();
		if (how.ns_fd < 0 || setns(how.ns_fd, CLONE_NEWNS) == 0)
			execvp(argv[0], (char **)argv);
		if (!how.quiet)
			perror(argv[0]);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
