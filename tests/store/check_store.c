#include "store/check_store.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("store", (TCase *[]){draft_tests(), listing_tests(), locate_tests(),
					      name_tests(), state_update_tests(), stats_tests(),
					      step_tests(), tensor_tests(), verify_tests(), NULL});
}
