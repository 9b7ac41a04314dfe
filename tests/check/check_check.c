#include "check/check_check.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("check", (TCase *[]){check_step_tests(), state_review_tests(),
					      strays_tests(), NULL});
}
