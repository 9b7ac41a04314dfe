#include "message/check_message.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("message", (TCase *[]){meta_graph_tests(), object_graph_tests(),
						pb_tests(), state_tests(), textpb_tests(), NULL});
}
