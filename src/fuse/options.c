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

static bool is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(name, *list))
			return true;
	return false;
}

/* --- our own ------------------------------------------------------------------------------------------- */

static int set_text(char **to, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int set_file_name(char **to, const char *name, const char *value, struct err *e)
{
	if (!*value || strchr(value, '/'))
		return err_set(e, -EINVAL,
			       "option %s=%s: expected the name of a file, without a folder", name,
			       value);
	return set_text(to, value);
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

static int set_verify(struct options *o, const char *value, struct err *e)
{
	static const char *const modes[] = {
		[VERIFY_READ] = "read", [VERIFY_OPEN] = "open", [VERIFY_OFF] = "off"};

	for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(value, modes[i])) {
			o->verify = (enum verify_mode)i;
			return 0;
		}
	return err_set(e, -EINVAL, "option verify=%s: expected read, open or off", value);
}

static int set_commit(struct options *o, const char *value, struct err *e)
{
	unsigned long n = 0;

	o->commit_sync = !strcmp(value, "sync");
	o->has_commit = true;
	if (!o->commit_sync && parse_number("commit", value, 10, 86400, &n, NULL) < 0)
		return err_set(e, -EINVAL,
			       "option commit=%s: expected a number of seconds, or sync", value);
	o->commit_seconds = (unsigned)n;
	return 0;
}

static int set_compact(struct options *o, const char *value, struct err *e)
{
	char *end;

	o->compact = strtod(value, &end);
	o->has_compact = true;
	if (!*value || *end || !(o->compact >= 0 && o->compact <= 1))
		return err_set(e, -EINVAL, "option compact=%s: expected a number from 0 to 1",
			       value);
	return 0;
}

/* 1: NAME is one of ours and was taken. VALUE is NULL where there is no '='. */
static int set_own(struct options *o, const char *name, const char *value, struct err *e)
{
	static const char *const own[] = {"filename", "latest_filename", "fsname",  "uid", "gid",
					  "umask",    "commit",          "compact", NULL};
	unsigned long n = 0;
	int r;

	if (!value)
		return is_one_of(name, own)
			       ? err_set(e, -EINVAL, "option %s: expected %s=VALUE", name, name)
			       : 0;
	if (!strcmp(name, "filename")) {
		r = set_file_name(&o->filename, name, value, e);
	} else if (!strcmp(name, "latest_filename")) {
		r = set_file_name(&o->latest_filename, name, value, e);
	} else if (!strcmp(name, "meta_graph_suffix")) {
		r = set_file_name(&o->meta_graph_suffix, name, value, e);
	} else if (!strcmp(name, "verify")) {
		r = set_verify(o, value, e);
	} else if (!strcmp(name, "fsname")) {
		r = set_text(&o->fsname, value);
	} else if (!strcmp(name, "uid")) {
		r = parse_number(name, value, 10, UINT_MAX - 1, &n, e);
		o->uid = (uid_t)n;
		o->has_uid = true;
	} else if (!strcmp(name, "gid")) {
		r = parse_number(name, value, 10, UINT_MAX - 1, &n, e);
		o->gid = (gid_t)n;
		o->has_gid = true;
	} else if (!strcmp(name, "umask")) {
		r = parse_number(name, value, 8, 0777, &n, e);
		o->umask = (mode_t)n;
		o->has_umask = true;
	} else if (!strcmp(name, "commit")) {
		r = set_commit(o, value, e);
	} else if (!strcmp(name, "compact")) {
		r = set_compact(o, value, e);
	} else {
		return 0;
	}
	return r < 0 ? r : 1;
}

/* --- others' --------------------------------------------------------------------------------------------- */

/* Of the kernel and of libfuse's mount.c; subtype and default_permissions are always set. */
static bool is_handed_on(const char *name, bool has_value)
{
	static const char *const flags[] = {
		"allow_other", "allow_root", "auto_unmount", "async", "atime",      "dev",
		"dirsync",     "exec",       "noatime",      "nodev", "nodiratime", "noexec",
		"nosuid",      "suid",       "sync",         NULL,
	};
	static const char *const values[] = {"context",  "defcontext",  "fscontext",
					     "max_read", "rootcontext", NULL};

	return is_one_of(name, has_value ? values : flags);
}

/* Of mount(8) and its readers of /etc/fstab, or said anyway: permissions are always checked. */
static bool is_ignored(const char *name)
{
	static const char *const names[] = {
		"_netdev",     "auto",          "comment",  "default_permissions",
		"defaults",    "diratime",      "group",    "noauto",
		"nofail",      "nogroup",       "noowner",  "norelatime",
		"nouser",      "nousers",       "owner",    "relatime",
		"strictatime", "nostrictatime", "lazytime", "nolazytime",
		"user",        "users",         NULL,
	};

	return is_one_of(name, names) || !strncmp(name, "x-", 2) || !strncmp(name, "X-", 2);
}

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

static int take(struct options *o, char *word, bool sloppy, struct err *e)
{
	char *value = strchr(word, '=');
	int r;

	if (value)
		*value++ = 0;
	r = set_own(o, word, value, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (is_handed_on(word, value))
		return options_add(&o->handed_on, word, value);
	if (!strcmp(word, "ro") || !strcmp(word, "rw")) {
		o->read_only = word[1] == 'o';
		return 0;
	}
	if (is_ignored(word) || sloppy)
		return 0;
	if (!strcmp(word, "remount"))
		return err_set(e, -EINVAL, "option remount: unmount and mount again instead");
	return err_set(e, -EINVAL, "unknown option %s%s%s", word, value ? "=" : "",
		       value ? value : "");
}

/* Cuts the next word off TEXT into WORD; false at the end. */
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
