#include "base/scratch.h"
#include "base/bytes.h"
#include <ctype.h>
#include <stdio.h>

/* vim looks whether it may make a file in a folder by making this one. */
#define VIM_PROBE "4913"

static bool ends_in(const char *name, const char *ending)
{
	return bytes_ends(bytes_str(name), bytes_str(ending));
}

/* emacs saves FILE as #FILE# from time to time. */
static bool is_auto_saved(const char *name)
{
	size_t n = strlen(name);

	return n > 2 && name[0] == '#' && name[n - 1] == '#';
}

/* sed -i writes to sedXXXXXX, and renames that. */
static bool is_of_sed(const char *name)
{
	size_t n = 3;

	if (strncmp(name, "sed", n) != 0 || strlen(name) != 9)
		return false;
	while (isalnum((unsigned char)name[n]))
		n++;
	return !name[n];
}

/* TensorFlow saves into PREFIX_temp/part-00000-of-00001.data-00000-of-00001, and renames that. */
static bool is_of_saver(const char *name)
{
	unsigned part, of;
	int n = 0;

	return sscanf(name, "part-%5u-of-%5u%n", &part, &of, &n) == 2 && n == 19;
}

bool scratch_is_leftover(const char *name)
{
	return is_of_saver(name) || name[0] == '.' || /* rsync, vim's swap files, emacs' locks */
	       ends_in(name, "~") || /* backups of vim, emacs, nano, cp -b */
	       ends_in(name, ".swp") || /* vim, where a name may not begin with a dot */
	       ends_in(name, ".part") || ends_in(name, ".partial") || /* file managers, rclone */
	       !strcmp(name, VIM_PROBE) || is_auto_saved(name) || is_of_sed(name);
}
