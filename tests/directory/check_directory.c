#include "directory/check_directory.h"
#include "lib/lit.h"
#include "lib/suite.h"
#include <string.h>
#include <sys/stat.h>

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

int main(void)
{
	return suite_run("directory", (TCase *[]){family_tests(), listing_tests(), locate_tests(),
						  state_update_tests(), NULL});
}
