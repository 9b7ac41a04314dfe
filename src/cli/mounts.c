#include "cli/mounts.h"
#include "base/cleanup.h"
#include <stdio.h>
#include <string.h>

static const char mountinfo[] = "/proc/self/mountinfo";

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

void mount_release(struct mount *m)
{
	free(m->line);
	*m = (struct mount){0};
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Undoes the kernel's escapes (\040), in place. It escapes the backslash, too, so each backslash begins an escape. */
static char *unescape(char *s)
{
	char *from = s, *to = s;

	while (*from) {
		if (*from == '\\' && is_octal(from[1]) && is_octal(from[2]) && is_octal(from[3])) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = 0;
	return s;
}

/* LINE is "ID PARENT MAJOR:MINOR ROOT AT OPTIONS [TAG...] - TYPE SOURCE OPTIONS". One space is between two fields; the source
 * may be empty. M points into LINE, which is changed. False: it is no such line. */
static bool parse(char *line, struct mount *m)
{
	enum { ID, DEV = 2, AT = 4, BEFORE = 6 };
	char *fields[BEFORE], *type, *source, *field;
	char *rest = line;

	line[strcspn(line, "\n")] = 0;
	for (size_t i = 0; i < BEFORE; i++)
		fields[i] = strsep(&rest, " ");
	do
		field = strsep(&rest, " ");
	while (field && strcmp(field, "-") != 0);
	type = strsep(&rest, " ");
	source = strsep(&rest, " ");
	if (!source || !rest)
		return false;
	*m = (struct mount){
		.line = line,
		.id = atoi(fields[ID]),
		.dev = fields[DEV],
		.at = unescape(fields[AT]),
		.type = unescape(type),
		.source = unescape(source),
		.options = rest,
	};
	return true;
}

/* The number by which mountinfo lists the mount that FD lies in, or a negative errno. */
static int mount_id(int fd)
{
	char path[64], line[256];
	int id;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);

	CLEANUP(fclosep) FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "mnt_id: %d", &id) == 1 && id >= 0)
			return id;
	return -ENOENT;
}

int mount_of(int fd, struct mount *out, struct err *e)
{
	int id = mount_id(fd);
	CLEANUP(fclosep) FILE *f = fopen(mountinfo, "re");
	CLEANUP(freep) char *line = NULL;
	struct mount m;
	size_t cap = 0;

	if (!f || id < 0)
		return err_sys(e, f ? id : -errno, "can't tell what is mounted: %s", mountinfo);
	while (getline(&line, &cap, f) > 0) {
		if (!parse(line, &m) || m.id != id)
			continue;
		line = NULL;
		*out = m;
		return 0;
	}
	return err_set(e, -ENOENT, "%s does not have it", mountinfo);
}

bool mounts_have(const char *dev)
{
	CLEANUP(fclosep) FILE *f = fopen(mountinfo, "re");
	CLEANUP(freep) char *line = NULL;
	struct mount m;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0)
		if (parse(line, &m) && !strcmp(m.dev, dev))
			return true;
	return false;
}
