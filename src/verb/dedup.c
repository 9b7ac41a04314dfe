/* src/verb/dedup.c: bytes that several steps of a directory have are stored once. */
#include "dedup/dedup.h"
#include "base/cleanup.h"
#include "edit/writer.h"
#include "tool/args.h"
#include "tool/json.h"
#include "tool/progress.h"
#include "tool/table.h"
#include "verb/verb.h"
#include <fcntl.h>
#include <stdio.h>

struct options {
	struct dedup_config config;
	bool json;
};

struct work {
	const struct options *o;
	struct progress *progress; /* NULL: none is shown */
	struct dedup_report report;
	bool done; /* there is a report */
};

/* --- the directory ------------------------------------------------------------------------------------------------ */

static int go_on(struct err *e)
{
	return writer_interrupted(NULL) < 0
		       ? err_set(e, -EINTR, "interrupted; each step is whole, the next run goes on")
		       : 0;
}

static void show_work(void *arg, const _Atomic uint64_t *seen, uint64_t total)
{
	struct work *w = arg;

	progress_stop(w->progress);
	w->progress = total && !w->o->json ? progress_on_terminal(seen, total) : NULL;
}

static void warn(void *arg, const struct err *e)
{
	(void)arg;
	fprintf(stderr, "ckptfs dedup: %s\n", e->text);
}

static void tell(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "ckptfs dedup: %s\n", text);
}

static int work_in(void *arg, int top, struct err *e)
{
	struct work *w = arg;

	w->done = true;
	return dedup(top, &w->o->config, &w->report, e);
}

/* In the directory FD, which is taken. */
static int change(struct work *w, int fd, struct err *e)
{
	const struct writer_says says = {warn, tell, tell, NULL};
	struct view v;
	int r;

	writer_hold_signals();
	r = writer_open(&v, fd, "ckptfs dedup", &says, e);
	if (r == 0)
		r = view_with_directory(&v, work_in, w, e);
	view_release(&v);
	return r;
}

static int run(struct work *w, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return err_sys(e, -errno, "%s", path);
	if (!w->o->config.dry_run) {
		r = change(w, fd, e);
	} else {
		r = work_in(w, fd, e);
		close(fd);
	}
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

/* --- what is printed ---------------------------------------------------------------------------------------------- */

static const char *size_text(int64_t saved, char out[HUMAN_SIZE])
{
	return human_size(saved > 0 ? (uint64_t)saved : 0, out);
}

static void print_text(const struct dedup_report *r, const char *path, bool dry_run)
{
	const char *would = dry_run ? "would be " : "";
	char size[HUMAN_SIZE];

	for (uint32_t i = 0; i < r->n; i++) {
		const struct dedup_result *s = &r->steps[i];
		const char *name = *s->name ? s->name : "~"; /* as in a mount */

		if (s->what == DEDUP_LEFT)
			printf("%s: left as it is: %s\n", name, s->why.text);
		else if (s->what == DEDUP_SHARES)
			printf("%s: %ssaved %s\n", name, would, size_text(s->saved, size));
	}
	printf("%s: %ssaved %s, in %u of %u steps\n", path, would, size_text(r->saved, size),
	       r->n_shares, r->n);
}

static struct json_object *to_json(const struct dedup_report *r)
{
	static const char *const words[] = {
		[DEDUP_SAME] = "same", [DEDUP_SHARES] = "shares", [DEDUP_LEFT] = "left"};
	struct json_object *o = json_object_new_object(), *steps = json_object_new_array();

	for (uint32_t i = 0; i < r->n; i++) {
		const struct dedup_result *s = &r->steps[i];
		struct json_object *step = json_object_new_object();

		json_put(step, "name", json_bytes(bytes_str(s->name)));
		json_put(step, "result", json_object_new_string(words[s->what]));
		if (s->what == DEDUP_LEFT)
			json_put(step, "error", json_bytes(bytes_str(s->why.text)));
		json_put(step, "saved", json_object_new_int64(s->saved));
		json_append(steps, step);
	}
	json_put(o, "steps", steps);
	json_put(o, "saved", json_object_new_int64(r->saved));
	return o;
}

/* --- the verb ----------------------------------------------------------------------------------------------------- */

static const char usage[] =
	"Usage: ckptfs dedup [-n] [--json] DIRECTORY\n"
	"\n"
	"Stores once what several steps of a directory have: steps get new indexes, over\n"
	"shards that are hard links. All steps keep their names and contents, and\n"
	"TensorFlow restores each. Bytes are compared, not only their checksums. A step\n"
	"is left as it is if it was saved less than a minute ago, is damaged or V1, or\n"
	"has changes that are not committed. Whatever ends it, each step is whole, and\n"
	"the next run goes on.\n"
	"\n"
	"  -n      only say what would be saved\n"
	"  --json  print one JSON object\n"
	"  --help, --version\n";

enum { OPT_JSON = ARGS_FIRST };

static const struct option long_switches[] = {
	{"dry-run", no_argument, NULL, 'n'},
	{"json", no_argument, NULL, OPT_JSON},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value)
{
	struct options *o = to;

	(void)value;
	o->config.dry_run |= code == 'n';
	o->json |= code == OPT_JSON;
	return -1;
}

static const struct args args = {
	.program = "ckptfs dedup",
	.usage = usage,
	.switches = "n",
	.long_switches = long_switches,
	.needed = "a directory is needed",
	.min = 1,
	.max = 1,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

int verb_dedup(int argc, char **argv)
{
	struct options o = {.config = {.go_on = go_on, .work = show_work}};
	struct work w = {.o = &o};
	struct err e = {0};
	char **paths;
	int r, printed = 0, status = args_parse(&args, argc, argv, &o, &paths);

	if (status >= 0)
		return status;
	o.config.arg = &w;
	r = run(&w, paths[0], &e);
	if (w.done && o.json)
		printed = json_print_as("dedup", to_json(&w.report));
	else if (w.done)
		print_text(&w.report, paths[0], o.config.dry_run);
	if (fflush(stdout) != 0 || printed < 0)
		printed = fprintf(stderr, "ckptfs dedup: can't print\n");
	if (r < 0)
		fprintf(stderr, "ckptfs dedup: %s\n", e.text);
	dedup_report_release(&w.report);
	return r < 0 || printed ? VERB_FAILED : 0;
}
