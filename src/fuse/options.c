#include "fuse/options.h"
#include "base/cleanup.h"
#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

void options_release(struct options *o)
{
	free(o->filename);
	free(o->latest_filename);
	free(o->meta_graph_suffix);
	free(o->fsname);
	seen_release(&o->seen);
	buf_release(&o->handed_on);
	*o = (struct options){0};
}

struct known {
	const char *name;
	enum { NO_VALUE, VALUE, ANY_VALUE } needs;
	/* 0, or a negative errno with a sentence. VALUE is NULL where there is no '='. */
	int (*take)(struct options *o, const struct known *k, const char *value, struct err *e);
	size_t at; /* where struct options has what take_text and those like it set */
	const char *value, *about; /* for --help; NULL: no value, and not listed */
};

/* --- our own ------------------------------------------------------------------------------------------- */

static int take_text(struct options *o, const struct known *k, const char *value, struct err *e)
{
	char **text = (char **)((char *)o + k->at);
	char *copy = strdup(value);

	(void)e;
	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static int take_file_name(struct options *o, const struct known *k, const char *value,
			  struct err *e)
{
	if (!*value || strchr(value, '/'))
		return err_set(e, -EINVAL,
			       "option %s=%s: expected the name of a file, without a folder",
			       k->name, value);
	return take_text(o, k, value, e);
}

static int take_seen(struct options *o, const struct known *k, const char *value, struct err *e)
{
	if (!*value)
		return err_set(e, -EINVAL, "option %s needs a value: %s=...", k->name, k->name);
	return take_text(o, k, value, e);
}

static int parse_number(const char *name, const char *value, int base, unsigned long max,
			unsigned long *out, struct err *e)
{
	char *end;

	errno = 0;
	*out = strtoul(value, &end, base);
	if (!*value || *value == '-' || *end || errno || *out > max)
		return err_set(e, -EINVAL, "option %s=%s: expected %s number", name, value,
			       base == 8 ? "an octal" : "a");
	return 0;
}

static int take_number(struct options *o, const struct known *k, const char *value, struct err *e)
{
	struct options_number *to = (struct options_number *)((char *)o + k->at);
	bool is_mode = to == &o->umask;
	unsigned long n;
	int r = parse_number(k->name, value, is_mode ? 8 : 10, is_mode ? 0777 : UINT_MAX - 1, &n,
			     e);

	*to = (struct options_number){true, (unsigned)n};
	return r;
}

static int take_verify(struct options *o, const struct known *k, const char *value, struct err *e)
{
	static const char *const modes[] = {
		[VERIFY_READ] = "read", [VERIFY_OPEN] = "open", [VERIFY_OFF] = "off"};

	for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(value, modes[i])) {
			o->verify = (enum verify_mode)i;
			return 0;
		}
	return err_set(e, -EINVAL, "option %s=%s: expected read, open or off", k->name, value);
}

static int take_names(struct options *o, const struct known *k, const char *value, struct err *e)
{
	o->full_names = !strcmp(value, "full");
	if (o->full_names || !strcmp(value, "key"))
		return 0;
	return err_set(e, -EINVAL, "option %s=%s: expected key or full", k->name, value);
}

static int take_version(struct options *o, const struct known *k, const char *value, struct err *e)
{
	o->write_v1 = !strcmp(value, "1");
	if (o->write_v1 || !strcmp(value, "2"))
		return 0;
	return err_set(e, -EINVAL, "option %s=%s: expected 1 or 2", k->name, value);
}

static int take_commit(struct options *o, const struct known *k, const char *value, struct err *e)
{
	unsigned long n = 0;

	o->has_timer = strcmp(value, "sync") != 0;
	if (o->has_timer && parse_number(k->name, value, 10, 86400, &n, NULL) < 0)
		return err_set(e, -EINVAL, "option %s=%s: expected a number of seconds, or sync",
			       k->name, value);
	o->commit_seconds = (unsigned)n;
	return 0;
}

static int take_compact(struct options *o, const struct known *k, const char *value, struct err *e)
{
	char *end;

	o->compact = strtod(value, &end);
	o->has_compact = true;
	if (!*value || *end || !(o->compact >= 0 && o->compact <= 1))
		return err_set(e, -EINVAL, "option %s=%s: expected a number from 0 to 1", k->name,
			       value);
	return 0;
}

/* A number of bytes, or with K, M, G or T of so many. */
static int take_size(struct options *o, const struct known *k, const char *value, struct err *e)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit = NULL;
	char *end;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (*end && end != value)
		unit = strchr(units, toupper((unsigned char)*end));
	for (const char *u = units; unit && u <= unit; u++)
		if (__builtin_mul_overflow(n, 1024ull, &n))
			errno = ERANGE;
	if (*value < '0' || *value > '9' || errno || end[unit != NULL])
		return err_set(e, -EINVAL,
			       "option %s=%s: expected a number of bytes, or with K, M, G or T",
			       k->name, value);
	o->has_cache = true;
	o->cache = n;
	return 0;
}

static int take_hours(struct options *o, const struct known *k, const char *value, struct err *e)
{
	char *end;

	o->keep_hours = strtod(value, &end);
	o->has_keep_hours = true;
	if (!*value || *end || !(o->keep_hours >= 0))
		return err_set(e, -EINVAL, "option %s=%s: expected a number of hours", k->name,
			       value);
	return 0;
}

static int take_access(struct options *o, const struct known *k, const char *value, struct err *e)
{
	(void)value;
	(void)e;
	o->read_only = !strcmp(k->name, "ro");
	return 0;
}

static int take_paths(struct options *o, const struct known *k, const char *value, struct err *e)
{
	(void)value;
	(void)e;
	o->state_paths = strncmp(k->name, "no", 2) ? STATE_PATHS_RELATIVE : STATE_PATHS_ABSOLUTE;
	return 0;
}

static int take_yes(struct options *o, const struct known *k, const char *value, struct err *e)
{
	(void)value;
	(void)e;
	*(bool *)((char *)o + k->at) = true;
	return 0;
}

static int take_no(struct options *o, const struct known *k, const char *value, struct err *e)
{
	(void)value;
	(void)e;
	*(bool *)((char *)o + k->at) = false;
	return 0;
}

static int refuse_remount(struct options *o, const struct known *k, const char *value,
			  struct err *e)
{
	(void)o;
	(void)value;
	return err_set(e, -EINVAL, "option %s: unmount and mount again instead", k->name);
}

/* --- others' ------------------------------------------------------------------------------------------- */

int options_add(struct buf *list, const char *name, const char *value)
{
	int r = list->n ? buf_add_byte(list, ',') : 0;

	if (r == 0)
		r = buf_add_str(list, name);
	if (r == 0 && value)
		r = buf_add_byte(list, '=');
	for (; r == 0 && value && *value; value++) {
		if (*value == ',' || *value == '\\')
			r = buf_add_byte(list, '\\');
		if (r == 0)
			r = buf_add_byte(list, (uint8_t)*value);
	}
	return r;
}

static int hand_on(struct options *o, const struct known *k, const char *value, struct err *e)
{
	(void)e;
	return options_add(&o->handed_on, k->name, value);
}

/* libfuse wants to hear of it twice. What is no number it refuses. */
static int take_max_read(struct options *o, const struct known *k, const char *value, struct err *e)
{
	o->max_read = (struct options_number){true, (unsigned)strtoul(value, NULL, 10)};
	return hand_on(o, k, value, e);
}

static int ignore(struct options *o, const struct known *k, const char *value, struct err *e)
{
	(void)o;
	(void)k;
	(void)value;
	(void)e;
	return 0;
}

/* --- all of them --------------------------------------------------------------------------------------- */

#define AT(field) offsetof(struct options, field)

static const struct known all[] = {
	{"allow_empty", NO_VALUE, take_yes, AT(makes.allow_empty), NULL,
	 "committing a step without variables is no error"},
	{"cache", VALUE, take_size, 0, "SIZE",
	 "memory for what was read of indexes, as 512M; default 1/16 of all"},
	{"collection", VALUE, take_seen, AT(seen.collection), "NAME",
	 "show only variables in this collection of the meta graph"},
	{"commit", VALUE, take_commit, 0, "SECONDS|sync",
	 "publish what was written after so long; default sync: only when asked"},
	{"compact", VALUE, take_compact, 0, "RATIO",
	 "part of a new step's bytes that may be unused, 0 to 1; default 0.5"},
	{"filename", VALUE, take_file_name, AT(filename), "PREFIX",
	 "show only steps named like this one, but for the number"},
	{"fsname", VALUE, take_text, AT(fsname), "NAME", "source to show in the list of mounts"},
	{"gid", VALUE, take_number, AT(gid), "N", "group to show on all files"},
	{"keep_checkpoint_every_n_hours", VALUE, take_hours, 0, "H",
	 "max_to_keep leaves a step for so many hours; default 10000"},
	{"latest_filename", VALUE, take_file_name, AT(latest_filename), "NAME",
	 "name of the state file; default checkpoint"},
	{"max_read", VALUE, take_max_read, 0, NULL, NULL},
	{"max_to_keep", VALUE, take_number, AT(max_to_keep), "N",
	 "commits remove the oldest steps, as Saver does; default 0: none"},
	{"meta_graph_suffix", VALUE, take_file_name, AT(meta_graph_suffix), "SUFFIX",
	 "meta graphs are in PREFIX.SUFFIX; default meta"},
	{"names", VALUE, take_names, 0, "key|full",
	 "what variables of object-based steps are called by; default key"},
	{"nosave_debug_info", NO_VALUE, take_yes, AT(makes.no_debug_info), NULL,
	 "do not carry debug info along"},
	{"nosave_relative_paths", NO_VALUE, take_paths, 0, NULL,
	 "commits write absolute paths into the state file"},
	{"nowrite_meta_graph", NO_VALUE, take_yes, AT(makes.no_meta_graph), NULL,
	 "new steps have no meta graph"},
	{"nowrite_state", NO_VALUE, take_yes, AT(nowrite_state), NULL,
	 "commits leave the state file alone"},
	{"noxattr", NO_VALUE, take_yes, AT(no_xattr), NULL,
	 "no extended attributes: `ls -l` is faster"},
	{"pad_step_number", NO_VALUE, take_yes, AT(pad_step_number), NULL,
	 "commits number steps with 8 digits"},
	{"raw", NO_VALUE, take_yes, AT(raw), NULL,
	 "show the files of the directory, too: programs may save to the mount"},
	{"remount", ANY_VALUE, refuse_remount, 0, NULL, NULL},
	{"reshape", NO_VALUE, take_yes, AT(reshape), NULL,
	 "accept another shape with as many elements, and keep the old one"},
	{"ro", NO_VALUE, take_access, 0, NULL, "read only"},
	{"rw", NO_VALUE, take_access, 0, NULL, "read and write (the default)"},
	{"safetensors", NO_VALUE, take_yes, AT(safetensors), NULL,
	 "show each step as a file, too: STEP.safetensors"},
	{"save_debug_info", NO_VALUE, take_no, AT(makes.no_debug_info), NULL,
	 "carry debug info along (the default)"},
	{"save_relative_paths", NO_VALUE, take_paths, 0, NULL,
	 "commits write relative paths into the state file"},
	{"sharded", NO_VALUE, take_yes, AT(sharded), NULL,
	 "commits give each written variable a shard of its own"},
	{"strip_default_attrs", NO_VALUE, take_yes, AT(strip_default_attrs), NULL,
	 "meta graphs lack default attributes, as text and in new steps"},
	{"uid", VALUE, take_number, AT(uid), "N", "owner to show on all files"},
	{"umask", VALUE, take_number, AT(umask), "OCTAL",
	 "permission bits that no file and no folder has"},
	{"var_list", VALUE, take_seen, AT(seen.var_list), "GLOB[:GLOB...]",
	 "show only variables whose names match, as dense/*:**/bias"},
	{"verify", VALUE, take_verify, 0, "read|open|off",
	 "when checksums are compared; default read"},
	{"write_meta_graph", NO_VALUE, take_no, AT(makes.no_meta_graph), NULL,
	 "new steps have a meta graph if the old one has (the default)"},
	{"write_state", NO_VALUE, take_no, AT(nowrite_state), NULL,
	 "commits change the state file (the default)"},
	{"write_version", VALUE, take_version, 0, "1|2",
	 "format of the steps that commits write; default 2"},
};

/* Lists of names, each with a NUL. Of the kernel and of libfuse's mount.c: */
static const char handed_on[] =
	"allow_other\0allow_root\0async\0atime\0auto_unmount\0dev\0dirsync\0exec\0noatime\0"
	"nodev\0nodiratime\0noexec\0nosuid\0suid\0sync\0";
static const char handed_on_with_value[] =
	"context\0defcontext\0fscontext\0max_read\0rootcontext\0";

/* Of mount(8) and of those who read /etc/fstab; default_permissions is always set: */
static const char ignored[] =
	"_netdev\0auto\0comment\0default_permissions\0defaults\0diratime\0group\0lazytime\0"
	"noauto\0nofail\0nogroup\0nolazytime\0noowner\0norelatime\0nostrictatime\0nouser\0"
	"nousers\0owner\0relatime\0strictatime\0user\0users\0";

static bool is_one_of(const char *names, const char *name)
{
	while (*names && strcmp(names, name) != 0)
		names += strlen(names) + 1;
	return *names;
}

/* False: it is not known. */
static bool find(const char *name, struct known *out)
{
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i].name, name)) {
			*out = all[i];
			return true;
		}
	*out = (struct known){.name = name, .needs = NO_VALUE, .take = hand_on};
	if (is_one_of(handed_on, name))
		return true;
	out->needs = VALUE;
	if (is_one_of(handed_on_with_value, name))
		return true;
	*out = (struct known){.name = name, .needs = ANY_VALUE, .take = ignore};
	return is_one_of(ignored, name) || !strncasecmp(name, "x-", 2);
}

/* WORD is NAME or NAME=VALUE. */
static int take(struct options *o, char *word, bool sloppy, struct err *e)
{
	char *value = strchr(word, '=');
	struct known k;
	bool known;

	if (value)
		*value++ = 0;
	known = find(word, &k);
	if (!known && sloppy)
		return 0;
	if (!known)
		return err_set(e, -EINVAL, "unknown option %s%s%s", word, value ? "=" : "",
			       value ? value : "");
	if (k.needs == VALUE && !value)
		return err_set(e, -EINVAL, "option %s needs a value: %s=...", word, word);
	if (k.needs == NO_VALUE && value)
		return err_set(e, -EINVAL, "option %s=%s: it takes no value", word, value);
	return k.take(o, &k, value, e);
}

/* Cuts the next word off TEXT and copies it to WORD, without the backslashes. False: there is none. */
static bool next_word(const char **text, char *word)
{
	const char *p = *text;

	while (*p == ',')
		p++;
	if (!*p)
		return false;
	for (; *p && *p != ','; p++) {
		if (*p == '\\' && p[1])
			p++;
		*word++ = *p;
	}
	*word = 0;
	*text = p;
	return true;
}

int options_parse(struct options *o, const char *text, bool sloppy, struct err *e)
{
	CLEANUP(freep) char *word = malloc(strlen(text) + 1);
	int r = word ? 0 : -ENOMEM;

	while (r == 0 && next_word(&text, word))
		r = take(o, word, sloppy, e);
	return r == -ENOMEM ? err_set(e, r, "no memory") : r;
}

/* --- for people ---------------------------------------------------------------------------------------- */

enum { NAME_COLUMNS = 26, LINE_COLUMNS = 100 };

/* NAMES as they are in a list above, with AFTER behind each; AT is the column. Gives the column behind them. */
static int print_names(FILE *f, const char *names, const char *after, int at)
{
	for (; *names; names += strlen(names) + 1) {
		int width = 1 + (int)strlen(names) + (int)strlen(after);

		if (at + width > LINE_COLUMNS) {
			fputs("\n ", f);
			at = 1;
		}
		fprintf(f, " %s%s", names, after);
		at += width;
	}
	return at;
}

void options_print(FILE *f)
{
	char left[64];

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const struct known *k = &all[i];

		snprintf(left, sizeof left, "%s%s%s", k->name, k->value ? "=" : "",
			 k->value ? k->value : "");
		if (k->about)
			fprintf(f, "  %-*s %s\n", NAME_COLUMNS, left, k->about);
	}
	fputs("Options for the kernel and libfuse, see mount.fuse3(8):\n ", f);
	print_names(f, handed_on_with_value, "=...", print_names(f, handed_on, "", 1));
	fputc('\n', f);
}
