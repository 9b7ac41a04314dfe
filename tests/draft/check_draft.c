#include "draft/check_draft.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("draft",
			 (TCase *[]){changes_tests(), go_on_tests(), overlay_tests(), pin_tests(),
				     pin_complete_tests(), pin_loose_tests(), pins_tests(),
				     staged_tests(), take_up_tests(), write_tests(), NULL});
}
