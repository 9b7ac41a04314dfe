#include "directory/check_directory.h"
#include "base/cleanup.h"
#include "lib/lit.h"
#include "lib/suite.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void put_entry(const struct folder *f, const char *name)
{
	size_t n = strlen(name);
	char folder[200] = {0};

	if (name[n - 1] != '/') {
		folder_put(f, LIT(""), "%s", name);
		return;
	}
	memcpy(folder, name, n - 1);
	ck_assert_int_eq(mkdirat(f->fd, folder, 0755), 0);
}

void save_over(const struct folder *f, const char *name, const char *content)
{
	folder_put(f, bytes_str(content), "saved");
	ck_assert_int_eq(renameat(f->fd, "saved", f->fd, name), 0);
}

bool is_there(const struct folder *f, const char *name)
{
	return faccessat(f->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void assert_content(const struct folder *f, const char *name, const char *content)
{
	CLEANUP(buf_release) struct buf have = {0};

	read_whole(&have, "%s/%s", f->path, name);
	ck_assert_msg(bytes_eq(buf_bytes(&have), bytes_str(content)), "%s: %.*s", name, (int)have.n,
		      (char *)have.p);
}

int main(void)
{
	return suite_run("directory", (TCase *[]){ability_tests(), drafts_list_tests(),
						  family_tests(), listing_tests(), locate_tests(),
						  lock_tests(), placed_tests(), rotation_tests(),
						  state_update_tests(), step_files_tests(), NULL});
}
