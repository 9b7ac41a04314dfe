#include "view/check_view.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("view", (TCase *[]){name_tests(), NULL});
}
