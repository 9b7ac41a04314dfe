#include "fuse/options.h"
#include "base/cleanup.h"
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

void options_release(struct options *o)
{
	free(o->filename);
	free(o->latest_filename);
	free(o->meta_graph_suffix);
	free(o->fsname);
	buf_release(&o->handed_on);
	*o = (struct options){0};
}

struct known {
	const char *name;
	enum { NO_VALUE, VALUE, ANY_VALUE } needs;
	/* 0, or a negative errno with a sentence. VALUE is NULL where there is no '='. */
	int (*take)(struct options *o, const struct known *k, const char *value, struct err *e);
	size_t text; /* where struct options has the text that take_text and take_file_name set */
};

/* --- our own ------------------------------------------------------------------------------------------- */

static int take_text(struct options *o, const struct known *k, const char *value, struct err *e)
{
	char **text = (char **)((char *)o + k->text);
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

static int take_uid(struct options *o, const struct known *k, const char *value, struct err *e)
{
	unsigned long n;
	int r = parse_number(k->name, value, 10, UINT_MAX - 1, &n, e);

	o->uid = (uid_t)n;
	o->has_uid = true;
	return r;
}

static int take_gid(struct options *o, const struct known *k, const char *value, struct err *e)
{
	unsigned long n;
	int r = parse_number(k->name, value, 10, UINT_MAX - 1, &n, e);

	o->gid = (gid_t)n;
	o->has_gid = true;
	return r;
}

static int take_umask(struct options *o, const struct known *k, const char *value, struct err *e)
{
	unsigned long n;
	int r = parse_number(k->name, value, 8, 0777, &n, e);

	o->umask = (mode_t)n;
	o->has_umask = true;
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

static int take_commit(struct options *o, const struct known *k, const char *value, struct err *e)
{
	unsigned long n = 0;

	o->commit_sync = !strcmp(value, "sync");
	o->has_commit = true;
	if (!o->commit_sync && parse_number(k->name, value, 10, 86400, &n, NULL) < 0)
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

static int take_access(struct options *o, const struct known *k, const char *value, struct err *e)
{
	(void)value;
	(void)e;
	o->read_only = !strcmp(k->name, "ro");
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

static int ignore(struct options *o, const struct known *k, const char *value, struct err *e)
{
	(void)o;
	(void)k;
	(void)value;
	(void)e;
	return 0;
}

/* --- all of them --------------------------------------------------------------------------------------- */

#define TEXT(field) offsetof(struct options, field)

static const struct known all[] = {
	{"commit", VALUE, take_commit, 0},
	{"compact", VALUE, take_compact, 0},
	{"filename", VALUE, take_file_name, TEXT(filename)},
	{"fsname", VALUE, take_text, TEXT(fsname)},
	{"gid", VALUE, take_gid, 0},
	{"latest_filename", VALUE, take_file_name, TEXT(latest_filename)},
	{"meta_graph_suffix", VALUE, take_file_name, TEXT(meta_graph_suffix)},
	{"remount", ANY_VALUE, refuse_remount, 0},
	{"ro", NO_VALUE, take_access, 0},
	{"rw", NO_VALUE, take_access, 0},
	{"uid", VALUE, take_uid, 0},
	{"umask", VALUE, take_umask, 0},
	{"verify", VALUE, take_verify, 0},

	/* Of the kernel and of libfuse's mount.c. */
	{"allow_other", NO_VALUE, hand_on, 0},
	{"allow_root", NO_VALUE, hand_on, 0},
	{"async", NO_VALUE, hand_on, 0},
	{"atime", NO_VALUE, hand_on, 0},
	{"auto_unmount", NO_VALUE, hand_on, 0},
	{"context", VALUE, hand_on, 0},
	{"defcontext", VALUE, hand_on, 0},
	{"dev", NO_VALUE, hand_on, 0},
	{"dirsync", NO_VALUE, hand_on, 0},
	{"exec", NO_VALUE, hand_on, 0},
	{"fscontext", VALUE, hand_on, 0},
	{"max_read", VALUE, hand_on, 0},
	{"noatime", NO_VALUE, hand_on, 0},
	{"nodev", NO_VALUE, hand_on, 0},
	{"nodiratime", NO_VALUE, hand_on, 0},
	{"noexec", NO_VALUE, hand_on, 0},
	{"nosuid", NO_VALUE, hand_on, 0},
	{"rootcontext", VALUE, hand_on, 0},
	{"suid", NO_VALUE, hand_on, 0},
	{"sync", NO_VALUE, hand_on, 0},

	/* Of mount(8) and of those who read /etc/fstab. */
	{"_netdev", ANY_VALUE, ignore, 0},
	{"auto", ANY_VALUE, ignore, 0},
	{"comment", ANY_VALUE, ignore, 0},
	{"default_permissions", ANY_VALUE, ignore, 0}, /* it is always set */
	{"defaults", ANY_VALUE, ignore, 0},
	{"diratime", ANY_VALUE, ignore, 0},
	{"group", ANY_VALUE, ignore, 0},
	{"lazytime", ANY_VALUE, ignore, 0},
	{"noauto", ANY_VALUE, ignore, 0},
	{"nofail", ANY_VALUE, ignore, 0},
	{"nogroup", ANY_VALUE, ignore, 0},
	{"nolazytime", ANY_VALUE, ignore, 0},
	{"noowner", ANY_VALUE, ignore, 0},
	{"norelatime", ANY_VALUE, ignore, 0},
	{"nostrictatime", ANY_VALUE, ignore, 0},
	{"nouser", ANY_VALUE, ignore, 0},
	{"nousers", ANY_VALUE, ignore, 0},
	{"owner", ANY_VALUE, ignore, 0},
	{"relatime", ANY_VALUE, ignore, 0},
	{"strictatime", ANY_VALUE, ignore, 0},
	{"user", ANY_VALUE, ignore, 0},
	{"users", ANY_VALUE, ignore, 0},
};

/* NULL: it is not known. */
static const struct known *find(const char *name)
{
	static const struct known of_programs = {"x-", ANY_VALUE, ignore, 0};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i].name, name))
			return &all[i];
	return !strncmp(name, "x-", 2) || !strncmp(name, "X-", 2) ? &of_programs : NULL;
}

/* WORD is NAME or NAME=VALUE. */
static int take(struct options *o, char *word, bool sloppy, struct err *e)
{
	char *value = strchr(word, '=');
	const struct known *k;

	if (value)
		*value++ = 0;
	k = find(word);
	if (!k && sloppy)
		return 0;
	if (!k)
		return err_set(e, -EINVAL, "unknown option %s%s%s", word, value ? "=" : "",
			       value ? value : "");
	if (k->needs == VALUE && !value)
		return err_set(e, -EINVAL, "option %s needs a value: %s=...", word, word);
	if (k->needs == NO_VALUE && value)
		return err_set(e, -EINVAL, "option %s=%s: it takes no value", word, value);
	return k->take(o, k, value, e);
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
