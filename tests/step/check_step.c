#include "step/check_step.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("step", (TCase *[]){full_names_tests(), name_tests(), open_tests(),
					     stats_tests(), tensor_tests(), text_kind_tests(),
					     tree_tests(), verify_tests(), NULL});
}
