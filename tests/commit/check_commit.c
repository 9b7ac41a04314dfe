#include "commit/check_commit.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("commit", (TCase *[]){acts_tests(), base_tests(), waits_tests(),
					       failures_tests(), goes_on_tests(), in_place_tests(),
					       recover_tests(), rescue_tests(), NULL});
}
