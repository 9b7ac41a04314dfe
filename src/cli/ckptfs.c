/* src/cli/ckptfs.c: ckptfs VERB ..., for where there is no mount. The verbs are in src/verb; some are other programs.
 *
 * mount.fuse(8) calls it for the source ckptfs#DIRECTORY as it would call mount.ckptfs: with two paths, and -o. */
#include "base/cleanup.h"
#include "cli/help.h"
#include "config.h"
#include "verb/verb.h"
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv); /* NULL: it is the program */
	const char *program;
	const char *what; /* one line of the help; NULL: it shares that of the next */
} verbs[] = {
	{"ls", verb_ls, NULL, "the steps of a directory, the variables of a step"},
	{"tree", verb_tree, NULL, "the scopes of a step, with how much is in each"},
	{"cat", verb_cat, NULL, "a variable as text, .npy, bytes, CSV or JSON"},
	{"stat", verb_stat, NULL, "all that is known of variables and their numbers"},
	{"diff", verb_diff, NULL, "what differs between two steps, and by how much"},
	{"log", verb_log, NULL, "the steps, and what each changed"},
	{"average", verb_average, NULL, "makes a step of the mean of several"},
	{"cast", verb_cast, NULL, "makes a step whose floats have another dtype"},
	{"merge", verb_merge, NULL, "makes a step of the variables of two"},
	{"export", verb_export, NULL, NULL},
	{"import", verb_import, NULL, "a step to .safetensors or .npz, or back"},
	{"rm", verb_rm, NULL, NULL},
	{"mv", verb_mv, NULL, NULL},
	{"cp", verb_cp, NULL, "as of files: steps, scopes, variables; .npy, .npz"},
	{"ln", verb_ln, NULL, NULL},
	{"mkdir", verb_mkdir, NULL, "a second name of a step; a directory for steps"},
	{"edit", verb_edit, NULL, "several changes of a step in one commit"},
	{"dedup", verb_dedup, NULL, "what steps have in common is stored once"},
	{"status", verb_status, NULL, NULL},
	{"commit", verb_commit, NULL, NULL},
	{"discard", verb_discard, NULL, "what a mount has left uncommitted"},
	{"verify", NULL, "fsck.ckptfs", NULL},
	{"mount", NULL, "mount.ckptfs", NULL},
	{"umount", NULL, "umount.ckptfs", "are fsck.ckptfs, mount.ckptfs and umount.ckptfs"},
};

enum { N_VERBS = sizeof verbs / sizeof *verbs };

/* tests/cli/help.sh holds it to 24 lines of 80 columns. */
static void print_help(FILE *to)
{
	int column = 0;

	fputs("Usage: ckptfs VERB [OPTION...] PATH...\n"
	      "\n"
	      "Looks into TensorFlow checkpoints, and changes them, without a mount. A PATH is\n"
	      "what it would be in a mount of the directory: net, net/latest/dense/kernel.\n"
	      "\n",
	      to);
	for (size_t i = 0; i < N_VERBS; i++) {
		column += fprintf(to, "%s%s", column ? ", " : "  ", verbs[i].name);
		if (!verbs[i].what)
			continue;
		fprintf(to, "%*s%s\n", column < 27 ? 27 - column : 2, "", verbs[i].what);
		column = 0;
	}
	fputs("\n'ckptfs help VERB' tells more of one, with examples, and ckptfs(1) all.\n", to);
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

static int run_verb(const struct verb *v, int argc, char **argv)
{
	return v->run ? v->run(argc, argv) : become(v->program, argv);
}

static const struct verb *verb_called(const char *name)
{
	for (size_t i = 0; i < N_VERBS; i++)
		if (!strcmp(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

/* Says that there is no verb NAME, and which one is nearly called so. */
static int refuse_verb(const char *name)
{
	const struct verb *near = NULL;
	unsigned least = 3; /* more letters than that are no slip */

	for (size_t i = 0; i < N_VERBS; i++) {
		unsigned away = help_distance(name, verbs[i].name);

		if (away < least && away < strlen(verbs[i].name)) {
			near = &verbs[i];
			least = away;
		}
	}
	fprintf(stderr, "ckptfs: there is no verb '%s'", name);
	if (near)
		fprintf(stderr, "; is '%s' meant?", near->name);
	fputs("\nTry 'ckptfs --help'.\n", stderr);
	return VERB_USAGE;
}

/* ckptfs help [VERB] */
static int help(int argc, char **argv)
{
	char *words[] = {argc > 1 ? argv[1] : NULL, (char *)"--help", NULL};
	const struct verb *v = words[0] ? verb_called(words[0]) : NULL;
	const char *lines = v ? help_examples(v->name) : NULL;
	int status = 0;
	pid_t child;

	if (!words[0])
		print_help(stdout);
	if (!words[0] || !v)
		return words[0] ? refuse_verb(words[0]) : 0;
	if (v->run)
		status = v->run(2, words);
	else if ((child = fork()) == 0)
		_exit(become(v->program, words));
	else if (child < 0 || waitpid(child, &status, 0) < 0)
		status = VERB_FAILED;
	if (lines)
		printf("\nExamples:\n%s", lines);
	return status ? VERB_FAILED : 0;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : NULL;
	const struct verb *v = first ? verb_called(first) : NULL;

	if (v)
		return run_verb(v, argc - 1, argv + 1);
	if (is_mount(argc, argv))
		return become("mount.ckptfs", argv);
	if (!first) {
		print_help(stderr);
		return VERB_USAGE;
	}
	if (!strcmp(first, "--version")) {
		puts(PACKAGE_STRING);
		return 0;
	}
	if (!strcmp(first, "--help")) {
		print_help(stdout);
		return 0;
	}
	return strcmp(first, "help") ? refuse_verb(first) : help(argc - 1, argv + 1);
}
