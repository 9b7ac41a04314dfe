#include "directory/check_directory.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("directory", (TCase *[]){listing_tests(), locate_tests(), state_update_tests(), NULL});
}
