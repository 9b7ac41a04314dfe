/* src/cli/fsck.c: fsck.ckptfs, called by a person or by fsck(8).
 *
 * Walks a directory and its subfolders as the mount shows them. Nothing is changed before all of a folder has been looked at,
 * and then only the state file and what saves have left behind: no tensor can be repaired.
 * Exit codes are those of fsck(8), added up: 1 problems corrected, 4 problems left, 8 it could not look, 16 wrong usage,
 * 32 interrupted. */
#include "cli/fsck.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/threads.h"
#include "directory/locate.h"
#include "tool/args.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	EXIT_CORRECTED = 1,
	EXIT_LEFT = 4,
	EXIT_OPERATION = 8,
	EXIT_USAGE = 16,
	EXIT_INTERRUPTED = 32,
};

struct arguments {
	const char *source;
	char **wanted; /* paths of steps, ended by NULL; none: all */
	bool *met; /* for each of them: such a step is there */
	char *only; /* the one step that the source names, in its directory; or NULL */
	bool has_repair; /* -n, -y, -a or -p was given */
	bool wants_progress;
	int progress_fd;
	struct fsck fsck;
};

static void arguments_release(struct arguments *a)
{
	free(a->met);
	free(a->only);
	report_release(&a->fsck.report);
}

static atomic_bool interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = true;
}

static const char usage[] =
	"Usage: fsck.ckptfs [-n | -y] [--json] [-C] SOURCE [STEP...]\n"
	"\n"
	"Checks the TensorFlow checkpoints in SOURCE, a directory, with its subfolders,\n"
	"or the one checkpoint that SOURCE is the prefix or a file of: every checksum,\n"
	"the graphs, the state file, what saves left.\n"
	"\n"
	"  -n      change nothing\n"
	"  -y      repair what can be, without asking\n"
	"  -a, -p  repair what can be without losing anything\n"
	"  --json  print one JSON object\n"
	"  -C[FD]  show progress, also if stderr is no terminal; or write it to FD, for a\n"
	"          program\n"
	"  -V      say what is checked\n"
	"  -f, -r, -M, -T  accepted and ignored\n"
	"  --help, --version\n";

/* --- the command line -------------------------------------------------------------------------------------- */

enum { OPT_JSON = ARGS_FIRST };

static int take_switch(void *to, int code, const char *value);

static const struct option long_switches[] = {
	{"json", no_argument, NULL, OPT_JSON},
	ARGS_COMMON,
	{0},
};

static const struct args args = {
	.program = "fsck.ckptfs",
	.usage = usage,
	.switches = "nyapC::VfrMT",
	.long_switches = long_switches,
	.needed = "a directory, a prefix or a file of a checkpoint is needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = EXIT_USAGE,
	.take = take_switch,
};

static int choose_repair(struct arguments *a, enum repair repair)
{
	if (a->has_repair && a->fsck.repair != repair)
		return args_refuse(&args, "only one of -n, -y and -a or -p can be given");
	a->fsck.repair = repair;
	a->has_repair = true;
	return -1;
}

static int choose_progress(struct arguments *a, const char *fd)
{
	char *end;
	long n = fd ? strtol(fd, &end, 10) : 0;

	if (fd && (!*fd || *end || n < 0 || n > INT16_MAX))
		return args_refuse(&args,
				   "-C takes the number of a descriptor, directly behind it");
	a->wants_progress = true;
	a->progress_fd = (int)n;
	return -1;
}

static int take_switch(void *to, int code, const char *value)
{
	struct arguments *a = to;

	switch (code) {
	case 'n':
		return choose_repair(a, REPAIR_NOTHING);
	case 'y':
		return choose_repair(a, REPAIR_ALL);
	case 'a':
	case 'p':
		return choose_repair(a, REPAIR_SAFE);
	case 'C':
		return choose_progress(a, value);
	case 'V':
		a->fsck.verbose = true;
		return -1;
	case OPT_JSON:
		report_as_json(&a->fsck.report);
		return -1;
	default: /* -f: all is always checked; -r: asking is the default; -M: a mount only reads; -T: no title is printed */
		return -1;
	}
}

/* -1 to go on, or the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	char **operands = NULL;
	int status;

	a->fsck.repair =
		isatty(STDIN_FILENO) && isatty(STDERR_FILENO) ? REPAIR_ASK : REPAIR_NOTHING;
	status = args_parse(&args, argc, argv, a, &operands);
	if (status >= 0)
		return status;
	a->source = operands[0];
	a->wanted = operands + 1;
	a->met = calloc((size_t)argc, sizeof *a->met);
	if (!a->met)
		return EXIT_OPERATION;
	a->wants_progress |= isatty(STDERR_FILENO);
	return -1;
}

/* --- folders ----------------------------------------------------------------------------------------------- */

/* INSIDE: the path of the folder within the source. */
static bool is_wanted(struct arguments *a, const char *inside, const char *name)
{
	CLEANUP(freep) char *path = path_in(inside, name);
	bool wanted = !*a->wanted;

	if (a->only && strcmp(a->only, name) != 0)
		return false;
	for (size_t i = 0; path && a->wanted[i]; i++)
		if (!strcmp(a->wanted[i], path))
			wanted = a->met[i] = true;
	return wanted;
}

/* NUM_SHARDS is sorted as the listing OLD is. The same, sorted as NEW; 0 for steps that OLD does not have. NULL: no memory. */
static uint32_t *renumber(const struct listing *old, const uint32_t *num_shards,
			  const struct listing *new)
{
	uint32_t *out = calloc(new->n + (size_t)1, sizeof *out);

	for (uint32_t i = 0; out && i < new->n; i++) {
		const struct listed *item = &new->items[i];
		const struct listed *was = listing_find(old, item->kind, item->place.name);

		out[i] = was ? num_shards[was - old->items] : 0;
	}
	return out;
}

/* The state file, and what belongs to no step. The folder is listed anew: steps may have come and gone since OLD. */
static void check_rest(struct fsck *f, int dirfd, const char *folder, const struct listing *old,
		       const uint32_t *old_shards)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(freep) uint32_t *num_shards = NULL;
	struct err e = {0};

	if (listing_read(dirfd, STATE_NAME, &l, &e) < 0) {
		report_failure(&f->report, folder, &e);
		return;
	}
	check_state(f, dirfd, folder, &l);
	num_shards = renumber(old, old_shards, &l);
	if (num_shards && !interrupted)
		check_strays(f, dirfd, folder, &l, num_shards);
}

static void check_steps(struct arguments *a, int dirfd, const char *folder, const char *inside,
			const struct listing *l, uint32_t *num_shards)
{
	for (uint32_t i = 0; i < l->n && !interrupted; i++)
		if (l->items[i].kind == LISTED_STEP && is_wanted(a, inside, l->items[i].place.name))
			num_shards[i] = check_one(&a->fsck, dirfd, folder, &l->items[i].place);
}

static void check_subfolder(struct arguments *a, int dirfd, const char *folder, const char *inside,
			    const char *name);

static void check_folder(struct arguments *a, int dirfd, const char *folder, const char *inside)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(freep) uint32_t *num_shards = NULL;
	struct err e = {0};

	if (listing_read(dirfd, STATE_NAME, &l, &e) < 0 ||
	    !(num_shards = calloc(l.n + (size_t)1, sizeof *num_shards))) {
		report_failure(&a->fsck.report, folder, &e);
		return;
	}
	check_steps(a, dirfd, folder, inside, &l, num_shards);
	if (a->only)
		return;
	if (!*a->wanted && !interrupted)
		check_rest(&a->fsck, dirfd, folder, &l, num_shards);
	for (uint32_t i = 0; i < l.n && !interrupted; i++)
		if (l.items[i].kind == LISTED_FOLDER)
			check_subfolder(a, dirfd, folder, inside, l.items[i].place.name);
}

static void check_subfolder(struct arguments *a, int dirfd, const char *folder, const char *inside,
			    const char *name)
{
	CLEANUP(freep) char *path = path_in(folder, name);
	CLEANUP(freep) char *within = path_in(inside, name);
	CLEANUP(closep) int fd = dir_fd(dirfd, name, NULL);
	struct err e;

	if (!path || !within)
		return;
	if (fd >= 0) {
		check_folder(a, fd, path, within);
	} else if (fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP) {
		err_sys(&e, fd, "%s", path);
		report_error(&a->fsck.report, e.text);
	}
}

/* --- how much there is ------------------------------------------------------------------------------------- */

/* V1's; V2's data are counted by size_of_data. */
static uint64_t size_of_step(int dirfd, const struct step_place *p)
{
	uint64_t sum = 0;
	struct stat st;

	for (uint32_t i = 0; p->format == STEP_V1 && i < (p->shards ? p->shards : 1); i++) {
		CLEANUP(buf_release) struct buf name = {0};

		if (step_shard_name(p, i, p->shards, &name) == 0 &&
		    fstatat(dirfd, (char *)name.p, &st, 0) == 0)
			sum += (uint64_t)st.st_size;
	}
	return sum;
}

/* The data of V2 steps: by the names of the files alone, as no index has been read yet. */
static uint64_t size_of_data(int dirfd, const char *only)
{
	CLEANUP(dir_closep) DIR *d = dir_open(dirfd, ".");
	const struct dirent *de;
	uint64_t sum = 0;
	struct stat st;

	while (d && (de = dir_next(d))) {
		const char *data = strstr(de->d_name, ".data-");

		if (!data || (only && (strlen(only) != (size_t)(data - de->d_name) ||
				       strncmp(only, de->d_name, strlen(only)) != 0)))
			continue;
		if (fstatat(dirfd, de->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	return sum;
}

static uint64_t size_of_folder(const char *only, int dirfd)
{
	CLEANUP(listing_release) struct listing l = {0};
	uint64_t sum = size_of_data(dirfd, only);

	if (listing_read(dirfd, STATE_NAME, &l, NULL) < 0)
		return sum;
	for (uint32_t i = 0; i < l.n && !interrupted; i++) {
		const struct listed *item = &l.items[i];

		if (item->kind == LISTED_STEP && (!only || !strcmp(only, item->place.name)))
			sum += size_of_step(dirfd, &item->place);
		if (item->kind == LISTED_FOLDER && !only) {
			CLEANUP(closep) int fd = dir_fd(dirfd, item->place.name, NULL);

			sum += fd < 0 ? 0 : size_of_folder(NULL, fd);
		}
	}
	return sum;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static void catch_signals(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
	struct sigaction action = {.sa_handler = interrupt};

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN); /* it would end a repair half way; writing then fails instead */
}

/* The directory of the source, as it is shown in front of names. The caller frees it. */
static char *folder_of(const char *source)
{
	const char *slash = strrchr(source, '/');
	size_t n = strlen(source);
	struct stat st;

	if (stat(source, &st) < 0 || !S_ISDIR(st.st_mode))
		return slash ? strndup(source, (size_t)(slash - source) + 1) : strdup("");
	while (n > 1 && source[n - 1] == '/')
		n--;
	return strndup(source, n);
}

static void check_met(struct arguments *a)
{
	struct err e;

	for (size_t i = 0; a->wanted[i] && !interrupted; i++) {
		if (a->met[i])
			continue;
		err_set(&e, -ENOENT, "%s: has no step %s", a->source, a->wanted[i]);
		report_error(&a->fsck.report, e.text);
	}
}

static int status_of(const struct report *r)
{
	return (r->corrected ? EXIT_CORRECTED : 0) | (r->problems > r->corrected ? EXIT_LEFT : 0) |
	       (r->errors ? EXIT_OPERATION : 0) | (interrupted ? EXIT_INTERRUPTED : 0);
}

/* Checks all of it. The exit status. */
static int run(struct arguments *a, int dirfd)
{
	CLEANUP(freep) char *folder = folder_of(a->source);
	struct fsck *f = &a->fsck;
	bool told;

	if (!folder)
		return EXIT_OPERATION;
	if (a->wants_progress)
		f->report.progress = progress_start(&f->seen, size_of_folder(a->only, dirfd),
						    a->progress_fd, a->source);
	check_folder(a, dirfd, folder, "");
	check_met(a);
	progress_stop(f->report.progress);
	f->report.progress = NULL;
	told = report_end(&f->report, a->source, interrupted);
	return status_of(&f->report) | (told ? 0 : EXIT_OPERATION);
}

int main(int argc, char **argv)
{
	CLEANUP(arguments_release) struct arguments a = {.fsck.stop = &interrupted};
	struct location where = {.dirfd = -1};
	struct err e = {0};
	int status = parse_arguments(argc, argv, &a);

	if (status >= 0)
		return status;
	catch_signals();
	a.fsck.threads = threads_cores();
	if (locate(a.source, STATE_NAME, &where, &e) < 0) {
		fprintf(stderr, "fsck.ckptfs: %s\n", e.text);
		return EXIT_OPERATION;
	}
	a.only = where.step;
	status = run(&a, where.dirfd);
	close(where.dirfd);
	return status;
}
