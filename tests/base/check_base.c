#include "base/check_base.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("base",
			 (TCase *[]){error_tests(), bytes_tests(), buf_tests(), crc32c_tests(),
				     crc_pieces_tests(), glob_tests(), io_tests(), kept_tests(),
				     memory_tests(), scratch_tests(), source_tests(),
				     threads_tests(), NULL});
}
