#include "format/check_format.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("format", (TCase *[]){pb_tests(), textpb_tests(), NULL});
}
