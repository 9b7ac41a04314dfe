/* src/cli/fsck.c: fsck.ckptfs, called by a person or by fsck(8).
 *
 * Walks a directory and its subfolders as the mount shows them. Nothing is changed before all of a folder has been looked at,
 * and then only the state file and what saves have left behind: no tensor can be repaired.
 * Exit codes are those of fsck(8), added up: 1 problems corrected, 4 problems left, 8 it could not look, 16 wrong usage,
 * 32 interrupted. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "check/state_review.h"
#include "check/strays.h"
#include "cli/fsck_report.h"
#include "commit/recover.h"
#include "config.h"
#include "directory/locate.h"
#include "directory/lock.h"
#include "directory/step_files.h"
#include "message/state.h"
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>

enum {
	EXIT_CORRECTED = 1,
	EXIT_LEFT = 4,
	EXIT_OPERATION = 8,
	EXIT_USAGE = 16,
	EXIT_INTERRUPTED = 32,
};

/* A temporary file that is younger may be a save that is under way. */
enum { TEMPORARY_AGE = 3600 };

enum repair {
	REPAIR_NOTHING, /* -n */
	REPAIR_ASK,
	REPAIR_SAFE, /* -a, -p: what loses nothing */
	REPAIR_ALL, /* -y */
};

struct fsck {
	const char *source;
	char **wanted; /* paths of steps, ended by NULL; none: all */
	bool *met; /* for each of them */
	char *only; /* the one step that the source names, in its directory; or NULL */
	enum repair repair;
	bool has_repair; /* one was asked for */
	bool verbose, wants_progress;
	int progress_fd;
	unsigned threads;
	_Atomic uint64_t seen;
	struct report report;
};

/* Set by signals; the threads that read look at it. */
static atomic_bool interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = true;
}

static const char usage[] =
	"Usage: fsck.ckptfs [-n | -y] [--json] [-C] SOURCE [STEP...]\n"
	"\n"
	"Checks the TensorFlow checkpoints in SOURCE, a directory, with its subfolders, or the one checkpoint\n"
	"that SOURCE is the prefix or a file of: every checksum, the graphs, the state file, what saves left.\n"
	"\n"
	"  -n      change nothing\n"
	"  -y      repair what can be, without asking\n"
	"  -a, -p  repair what can be without losing anything\n"
	"  --json  print one JSON object\n"
	"  -C[FD]  show progress, also if stderr is no terminal; or write it to FD for a program\n"
	"  -V      say what is checked\n"
	"  -f, -r, -M, -T  accepted and ignored\n"
	"  --help, --version\n";

/* --- the command line -------------------------------------------------------------------------------------- */

enum { OPT_JSON = 256, OPT_HELP, OPT_VERSION };

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static int complain(const char *what)
{
	fprintf(stderr, "fsck.ckptfs: %s\nTry 'fsck.ckptfs --help'.\n", what);
	return EXIT_USAGE;
}

static int choose_repair(struct fsck *f, enum repair repair)
{
	if (f->has_repair && f->repair != repair)
		return complain("only one of -n, -y and -a or -p can be given");
	f->repair = repair;
	f->has_repair = true;
	return -1;
}

static int choose_progress(struct fsck *f, const char *fd)
{
	char *end;
	long n = fd ? strtol(fd, &end, 10) : 0;

	if (fd && (!*fd || *end || n < 0 || n > INT16_MAX))
		return complain("-C takes the number of a descriptor, directly behind it");
	f->wants_progress = true;
	f->progress_fd = (int)n;
	return -1;
}

static int take_switch(struct fsck *f, int c)
{
	switch (c) {
	case 'n':
		return choose_repair(f, REPAIR_NOTHING);
	case 'y':
		return choose_repair(f, REPAIR_ALL);
	case 'a':
	case 'p':
		return choose_repair(f, REPAIR_SAFE);
	case 'C':
		return choose_progress(f, optarg);
	case 'V':
		f->verbose = true;
		return -1;
	case 'f': /* all is always checked */
	case 'r': /* asking is the default */
	case 'M': /* a mount reads only */
	case 'T': /* no title is printed */
		return -1;
	case OPT_JSON:
		f->report.json = true;
		return -1;
	case OPT_HELP:
		fputs(usage, stdout);
		return 0;
	case OPT_VERSION:
		puts(PACKAGE_STRING);
		return 0;
	default:
		fputs("Try 'fsck.ckptfs --help'.\n", stderr);
		return EXIT_USAGE;
	}
}

/* -1 to go on, or the exit status. */
static int parse_arguments(int argc, char **argv, struct fsck *f)
{
	int c, status;

	f->repair = isatty(STDIN_FILENO) && isatty(STDERR_FILENO) ? REPAIR_ASK : REPAIR_NOTHING;
	while ((c = getopt_long(argc, argv, "nyapC::VfrMT", long_options, NULL)) != -1) {
		status = take_switch(f, c);
		if (status >= 0)
			return status;
	}
	if (optind == argc)
		return complain("a directory, a prefix or a file of a checkpoint is needed");
	f->source = argv[optind];
	f->wanted = argv + optind + 1;
	f->met = calloc((size_t)(argc - optind), sizeof *f->met);
	if (!f->met)
		return EXIT_OPERATION;
	f->wants_progress |= isatty(STDERR_FILENO);
	return -1;
}

/* --- repairs ----------------------------------------------------------------------------------------------- */

static bool may_repair(struct fsck *f, const char *path, const char *question, bool safe)
{
	switch (f->repair) {
	case REPAIR_NOTHING:
		return false;
	case REPAIR_ASK:
		return report_ask(&f->report, path, question);
	case REPAIR_SAFE:
		return safe;
	default:
		return true;
	}
}

static void repair_failed(struct fsck *f, const char *path, struct err *e)
{
	err_wrap(e, e->code, "%s: not repaired", path);
	report_error(&f->report, e->text);
}

static char *path_in(const char *folder, const char *name)
{
	char *path = NULL;
	const char *slash = *folder && folder[strlen(folder) - 1] == '/' ? "" : "/";

	return asprintf(&path, "%s%s%s", folder, *folder ? slash : "", name) < 0 ? NULL : path;
}

/* --- the state file ---------------------------------------------------------------------------------------- */

/* The state file and the listing of one moment, if there is one: a trainer changes both. */
static int review_state(int dirfd, struct listing *l, struct state_review *out, struct err *e)
{
	for (int tries = 0;; tries++) {
		CLEANUP(state_review_release) struct state_review again = {0};
		struct listing fresh;
		int r = state_review(dirfd, STATE_NAME, l, out, e);

		if (r < 0 || !out->faults.n || tries == 3)
			return r;
		r = listing_read(dirfd, STATE_NAME, &fresh, e);
		if (r < 0)
			return r;
		listing_release(l);
		*l = fresh;
		r = state_review(dirfd, STATE_NAME, l, &again, e);
		if (r < 0 || (bytes_eq(buf_bytes(&again.faults), buf_bytes(&out->faults)) &&
			      bytes_eq(buf_bytes(&again.raw), buf_bytes(&out->raw))))
			return r;
		state_review_release(out);
	}
}

/* Calls TELL for each of the sentences; how many they are. */
static uint64_t tell_all(struct fsck *f, const char *path, const struct buf *sentences,
			 void (*tell)(struct report *, const char *, const char *))
{
	uint64_t n = 0;

	for (size_t at = 0; at < sentences->n; at += strlen((char *)sentences->p + at) + 1, n++)
		tell(&f->report, path, (char *)sentences->p + at);
	return n;
}

/* L is read anew. */
static void check_state(struct fsck *f, int dirfd, const char *folder, struct listing *l)
{
	CLEANUP(state_review_release) struct state_review review = {0};
	CLEANUP(freep) char *path = path_in(folder, STATE_NAME);
	struct err e = {0};
	uint64_t n;

	if (!path || review_state(dirfd, l, &review, &e) < 0) {
		err_wrap(&e, e.code, "%s", folder);
		report_error(&f->report, e.text);
		return;
	}
	tell_all(f, path, &review.notes, report_note);
	n = tell_all(f, path, &review.faults, report_problem);
	if (!n || !review.mended.n || !may_repair(f, path, "Rewrite it?", review.parsed))
		return;
	if (state_mend(dirfd, STATE_NAME, &review, &e) < 0) {
		repair_failed(f, path, &e);
		return;
	}
	f->report.corrected += n;
	report_repaired(&f->report, path, "rewritten");
}

/* --- strays ------------------------------------------------------------------------------------------------ */

static void check_temporary(struct fsck *f, int dirfd, const char *folder, const struct stray *s)
{
	CLEANUP(freep) char *path = path_in(folder, s->name);
	struct err e = {0};
	int r;

	if (!path)
		return;
	if (time(NULL) - s->changed < TEMPORARY_AGE) {
		report_note(&f->report, path, "belongs to a save that may be under way");
		return;
	}
	report_problem(&f->report, path, "was left by a save that did not end");
	if (!may_repair(f, path, "Remove it?", true))
		return;
	r = stray_remove(dirfd, s, &e);
	if (r < 0 && r != -ENOENT) {
		repair_failed(f, path, &e);
		return;
	}
	f->report.corrected++;
	report_repaired(&f->report, path, "removed");
}

static void check_damaged(struct fsck *f, int dirfd, const char *folder, const struct stray *s)
{
	CLEANUP(freep) char *path = path_in(folder, s->name);
	struct err e = {0};

	if (path && stray_why(dirfd, s, &e) < 0)
		report_problem(&f->report, path, e.text);
}

/* Data of one prefix in one note; how many items of S these are. */
static size_t note_data(struct fsck *f, const char *folder, const struct stray *s, size_t n)
{
	enum { MAX_NAMES = 5 };
	CLEANUP(freep) char *prefix = strndup(s->name, s->prefix_n);
	CLEANUP(freep) char *path = prefix ? path_in(folder, prefix) : NULL;
	CLEANUP(buf_release) struct buf names = {0};
	size_t same = 0;
	struct err text;

	for (; same < n && s[same].kind == s->kind && s[same].prefix_n == s->prefix_n &&
	       !strncmp(s[same].name, s->name, s->prefix_n);
	     same++)
		if (same < MAX_NAMES)
			buf_printf(&names, "%s%s", same ? ", " : "", s[same].name);
	if (same > MAX_NAMES)
		buf_printf(&names, " and %zu more", same - MAX_NAMES);
	err_set(&text, 0, "%s: %.*s",
		s->kind == STRAY_DATA ? "data without an index"
				      : "data of another number of shards, which are not used",
		(int)names.n, (char *)names.p);
	if (path)
		report_note(&f->report, path, text.text);
	return same;
}

static void note_meta(struct fsck *f, const char *folder, const struct stray *s)
{
	CLEANUP(freep) char *path = path_in(folder, s->name);

	if (path)
		report_note(&f->report, path, "a meta graph without a checkpoint");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* NAMES, each with its NUL, in order; their number in N. NULL: no memory. */
static const char **sorted_names(const struct buf *names, size_t *n)
{
	const char **out = calloc(names->n + 1, sizeof *out);

	*n = 0;
	for (size_t at = 0; out && at < names->n; at += strlen(out[*n - 1]) + 1)
		out[(*n)++] = (char *)names->p + at;
	if (out)
		qsort(out, *n, sizeof *out, compare_names);
	return out;
}

static void note_leaving(struct fsck *f, const char *folder, bool held)
{
	CLEANUP(freep) char *path = path_in(folder, STEP_LEAVING);

	if (path)
		report_note(
			&f->report, path,
			held ? "a step that a mount is renaming or removing"
			     : "a step that was being renamed or removed; the next mount goes on");
}

/* Drafts are no problem: they wait for a mount, or one is at work on them. */
static void note_drafts(struct fsck *f, int dirfd, const char *folder, const struct stray *s)
{
	CLEANUP(freep) char *path = path_in(folder, s->name);
	CLEANUP(freep) char *drafts = path ? path_in(path, "drafts") : NULL;
	CLEANUP(buf_release) struct buf names = {0};
	CLEANUP(freep) const char **sorted = NULL;
	bool held = lock_is_held(dirfd, NULL);
	bool leaving = faccessat(dirfd, STEP_LEAVING, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	struct err e = {0};
	size_t n;

	if (!drafts)
		return;
	if (leaving)
		note_leaving(f, folder, held);
	if (recover_list(dirfd, &names, &e) < 0) {
		err_wrap(&e, e.code, "%s", folder);
		report_error(&f->report, e.text);
		return;
	}
	if (!names.n && !held && !leaving)
		report_note(&f->report, path, "was left by a mount; there are no drafts in it");
	sorted = sorted_names(&names, &n);
	for (size_t i = 0; sorted && i < n; i++) {
		CLEANUP(freep) char *draft = path_in(drafts, sorted[i]);

		if (draft)
			report_note(&f->report, draft,
				    held ? "a draft that a mount is at work on"
					 : "an unfinished draft; the next mount takes it up");
	}
}

static void check_strays(struct fsck *f, int dirfd, const char *folder, const struct listing *l,
			 const uint32_t *num_shards)
{
	CLEANUP(strays_release) struct strays s = {0};
	struct err e = {0};
	size_t n;

	if (strays_read(dirfd, l, num_shards, &s, &e) < 0) {
		err_wrap(&e, e.code, "%s", folder);
		report_error(&f->report, e.text);
		return;
	}
	for (size_t i = 0; i < s.n && !interrupted; i += n) {
		n = 1;
		if (s.items[i].kind == STRAY_TEMPORARY || s.items[i].kind == STRAY_FOLDER)
			check_temporary(f, dirfd, folder, &s.items[i]);
		else if (s.items[i].kind == STRAY_DATA || s.items[i].kind == STRAY_SHARD)
			n = note_data(f, folder, &s.items[i], s.n - i);
		else if (s.items[i].kind == STRAY_TABLE)
			check_damaged(f, dirfd, folder, &s.items[i]);
		else if (s.items[i].kind == STRAY_META)
			note_meta(f, folder, &s.items[i]);
		else
			note_drafts(f, dirfd, folder, &s.items[i]);
	}
}

/* --- steps ------------------------------------------------------------------------------------------------- */

/* INSIDE: the path of the folder within the source. */
static bool is_wanted(struct fsck *f, const char *inside, const char *name)
{
	CLEANUP(freep) char *path = path_in(inside, name);
	bool wanted = !*f->wanted;

	if (f->only && strcmp(f->only, name) != 0)
		return false;
	for (size_t i = 0; path && f->wanted[i]; i++)
		if (!strcmp(f->wanted[i], path))
			wanted = f->met[i] = true;
	return wanted;
}

/* How many shards the step has; 0 if that is not known. */
static uint32_t check_one(struct fsck *f, int dirfd, const char *folder,
			  const struct step_place *place)
{
	CLEANUP(findings_release) struct findings found = {0};
	CLEANUP(freep) char *path = path_in(folder, place->name);
	struct check c = {
		.threads = f->threads,
		.seen = &f->seen,
		.stop = &interrupted,
		.found = findings_add,
		.arg = &found,
	};
	struct checked checked = {0};
	struct err e = {0};
	int r = -ESTALE;

	if (!path)
		return 0;
	if (f->verbose)
		fprintf(stderr, "checking %s\n", path);
	for (int tries = 0; r == -ESTALE && tries < 2; tries++) {
		findings_reset(&found);
		r = check_step(dirfd, place, &c, &checked, &e);
	}
	if (r == 0) {
		report_step(&f->report, path, place, &checked, &found);
	} else if (r == -ESTALE) {
		report_note(&f->report, path, "not checked: it changes as it is read");
	} else if (r != -ENOENT && r != -ECANCELED) {
		err_wrap(&e, r, "%s", path);
		report_error(&f->report, e.text);
	}
	return checked.num_shards;
}

/* --- folders ----------------------------------------------------------------------------------------------- */

/* Moves what is known of the shards to the places of the steps in the listing NEW; NULL: no memory. */
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

/* What is of no step, with the listing of now: steps have come and gone. */
static void check_rest(struct fsck *f, int dirfd, const char *folder, const struct listing *old,
		       const uint32_t *old_shards)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(freep) uint32_t *num_shards = NULL;
	struct err e = {0};

	if (listing_read(dirfd, STATE_NAME, &l, &e) < 0) {
		err_wrap(&e, e.code, "%s", folder);
		report_error(&f->report, e.text);
		return;
	}
	check_state(f, dirfd, folder, &l);
	num_shards = renumber(old, old_shards, &l);
	if (num_shards && !interrupted)
		check_strays(f, dirfd, folder, &l, num_shards);
}

static void check_folder(struct fsck *f, int dirfd, const char *folder, const char *inside)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(freep) uint32_t *num_shards = NULL;
	struct err e = {0};

	if (listing_read(dirfd, STATE_NAME, &l, &e) < 0 ||
	    !(num_shards = calloc(l.n + (size_t)1, sizeof *num_shards))) {
		err_wrap(&e, e.code, "%s", folder);
		report_error(&f->report, e.text);
		return;
	}
	for (uint32_t i = 0; i < l.n && !interrupted; i++)
		if (l.items[i].kind == LISTED_STEP && is_wanted(f, inside, l.items[i].place.name))
			num_shards[i] = check_one(f, dirfd, folder, &l.items[i].place);
	if (f->only)
		return;
	if (!*f->wanted && !interrupted)
		check_rest(f, dirfd, folder, &l, num_shards);
	for (uint32_t i = 0; i < l.n && !interrupted; i++) {
		CLEANUP(freep) char *path = path_in(folder, l.items[i].place.name);
		CLEANUP(freep) char *within = path_in(inside, l.items[i].place.name);
		CLEANUP(closep) int fd = -1;

		if (l.items[i].kind != LISTED_FOLDER || !path || !within)
			continue;
		fd = dir_fd(dirfd, l.items[i].place.name, NULL);
		if (fd >= 0) {
			check_folder(f, fd, path, within);
		} else if (fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP) {
			err_sys(&e, fd, "%s", path);
			report_error(&f->report, e.text);
		}
	}
}

/* --- how much there is ------------------------------------------------------------------------------------- */

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

/* V2's: by their names alone, as no index has been read yet. */
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

static uint64_t size_of_folder(const struct fsck *f, int dirfd)
{
	CLEANUP(listing_release) struct listing l = {0};
	uint64_t sum = size_of_data(dirfd, f->only);

	if (listing_read(dirfd, STATE_NAME, &l, NULL) < 0)
		return sum;
	for (uint32_t i = 0; i < l.n && !interrupted; i++) {
		const struct listed *item = &l.items[i];

		if (item->kind == LISTED_STEP && (!f->only || !strcmp(f->only, item->place.name)))
			sum += size_of_step(dirfd, &item->place);
		if (item->kind == LISTED_FOLDER && !f->only) {
			CLEANUP(closep) int fd = dir_fd(dirfd, item->place.name, NULL);

			sum += fd < 0 ? 0 : size_of_folder(f, fd);
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

/* The directory that is shown in front of names: that of the source. The caller frees it. */
static char *folder_of(const struct fsck *f, bool is_dir)
{
	const char *slash = strrchr(f->source, '/');
	size_t n = strlen(f->source);

	if (!is_dir)
		return slash ? strndup(f->source, (size_t)(slash - f->source) + 1) : strdup("");
	while (n > 1 && f->source[n - 1] == '/')
		n--;
	return strndup(f->source, n);
}

static void check_met(struct fsck *f)
{
	struct err e;

	for (size_t i = 0; f->wanted[i] && !interrupted; i++) {
		if (f->met[i])
			continue;
		err_set(&e, -ENOENT, "%s: has no step %s", f->source, f->wanted[i]);
		report_error(&f->report, e.text);
	}
}

static int status_of(const struct fsck *f)
{
	const struct report *r = &f->report;

	return (r->corrected ? EXIT_CORRECTED : 0) | (r->problems > r->corrected ? EXIT_LEFT : 0) |
	       (r->errors ? EXIT_OPERATION : 0) | (interrupted ? EXIT_INTERRUPTED : 0);
}

static int run(struct fsck *f, int dirfd, const char *folder)
{
	if (f->wants_progress)
		f->report.progress = progress_start(&f->seen, size_of_folder(f, dirfd),
						    f->progress_fd, f->source);
	check_folder(f, dirfd, folder, "");
	check_met(f);
	progress_stop(f->report.progress);
	f->report.progress = NULL;
	if (!report_end(&f->report, f->source, interrupted))
		return EXIT_OPERATION | status_of(f);
	return status_of(f);
}

int main(int argc, char **argv)
{
	struct fsck f = {0};
	CLEANUP(freep) char *folder = NULL;
	struct location where = {.dirfd = -1};
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct err e = {0};
	int status = parse_arguments(argc, argv, &f);

	if (status < 0) {
		catch_signals();
		f.threads = cores > 1 ? (unsigned)cores : 1;
		if (locate(f.source, STATE_NAME, &where, &e) < 0) {
			fprintf(stderr, "fsck.ckptfs: %s\n", e.text);
			status = EXIT_OPERATION;
		}
	}
	if (status < 0) {
		struct stat st;
		bool is_dir = stat(f.source, &st) == 0 && S_ISDIR(st.st_mode);

		f.only = where.step;
		folder = folder_of(&f, is_dir);
		status = folder ? run(&f, where.dirfd, folder) : EXIT_OPERATION;
	}
	closep(&where.dirfd);
	free(where.step);
	free(f.met);
	report_release(&f.report);
	return status;
}
