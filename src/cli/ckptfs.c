/* src/cli/ckptfs.c: ckptfs VERB ..., for where there is no mount. The verbs are in src/verb; some are other programs.
 *
 * mount.fuse(8) calls it for the source ckptfs#DIRECTORY as it would call mount.ckptfs: with two paths, and -o. */
#include "base/cleanup.h"
#include "config.h"
#include "verb/verb.h"
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv); /* NULL: it is the program */
	const char *program;
	const char *what; /* one line of the help */
} verbs[] = {
	{"ls", verb_ls, NULL, "the steps of a directory, the scopes and variables of a step"},
	{"tree", verb_tree, NULL, "the scopes of a step, with how much is in each"},
	{"cat", verb_cat, NULL, "a variable as text, .npy, bytes, CSV or JSON"},
	{"stat", verb_stat, NULL, "all that is known of variables, and what their numbers are"},
	{"diff", verb_diff, NULL,
	 "what differs between two steps, scopes or variables, and by how much"},
	{"log", verb_log, NULL, "the steps, and what each changed against the one before"},
	{"average", verb_average, NULL,
	 "makes a step whose variables are the mean of several steps"},
	{"cast", verb_cast, NULL, "makes a step whose floats have another dtype"},
	{"merge", verb_merge, NULL, "makes a step of the variables of two"},
	{"export", verb_export, NULL, "writes a step to a .safetensors file"},
	{"import", verb_import, NULL, "makes a step of a .safetensors file"},
	{"rm", verb_rm, NULL, "removes variables, scopes, steps"},
	{"mv", verb_mv, NULL, "renames variables, scopes, steps"},
	{"cp", verb_cp, NULL, "copies variables, scopes, steps; .npy files in and out"},
	{"ln", verb_ln, NULL, "gives a step a second name, or makes it the latest"},
	{"mkdir", verb_mkdir, NULL, "makes a directory for steps"},
	{"edit", verb_edit, NULL, "makes several changes of a step in one commit"},
	{"status", verb_status, NULL, "says what a mount has left uncommitted"},
	{"commit", verb_commit, NULL, "commits that"},
	{"discard", verb_discard, NULL, "discards that"},
	{"verify", NULL, "fsck.ckptfs", "reads all, and says what is damaged"},
	{"mount", NULL, "mount.ckptfs", "shows a directory as folders of .npy files"},
	{"umount", NULL, "umount.ckptfs", "commits what was written there, and unmounts"},
};

static void print_help(FILE *to)
{
	fputs("Usage: ckptfs VERB [OPTION...] PATH...\n"
	      "\n"
	      "Looks into TensorFlow checkpoints, and changes them, without a mount. A PATH is what it would be in a\n"
	      "mount, with the checkpoint directory in the mount point's place: net, net/latest/dense/kernel.\n"
	      "\n",
	      to);
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].what);
	fputs("\n'ckptfs VERB --help' tells more of one, and ckptfs(1) all.\n", to);
}

/* Becomes PROGRAM: the one beside this one, as where it was built; or where it was installed. */
static int become(const char *program, char **argv)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	CLEANUP(freep) char *beside = NULL;

	self[n < 0 ? 0 : n] = 0;
	argv[0] = (char *)program;
	if (n > 0 && asprintf(&beside, "%s/%s", dirname(self), program) > 0)
		execv(beside, argv);
	freep(&beside);
	if (asprintf(&beside, SBINDIR "/%s", program) > 0)
		execv(beside, argv);
	fprintf(stderr, "ckptfs: %s: %m\n", program);
	return VERB_FAILED;
}

/* Is it called as mount.fuse(8) does it? */
static bool is_mount(int argc, char **argv)
{
	for (int i = 3; i < argc; i++)
		if (!strcmp(argv[i], "-o"))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : NULL;

	if (verb && !strcmp(verb, "--version")) {
		puts(PACKAGE_STRING);
		return 0;
	}
	if (verb && !strcmp(verb, "--help")) {
		print_help(stdout);
		return 0;
	}
	for (size_t i = 0; verb && i < sizeof verbs / sizeof *verbs; i++)
		if (!strcmp(verb, verbs[i].name))
			return verbs[i].run ? verbs[i].run(argc - 1, argv + 1)
					    : become(verbs[i].program, argv + 1);
	if (is_mount(argc, argv))
		return become("mount.ckptfs", argv);
	if (verb)
		fprintf(stderr, "ckptfs: there is no verb '%s'\n", verb);
	print_help(stderr);
	return VERB_USAGE;
}
