#include "format/check_format.h"
#include "lib/suite.h"

int main(void)
{
	return suite_run("format",
			 (TCase *[]){bundle_tests(), bundle_writer_tests(), dtype_tests(),
				     elements_tests(), npy_tests(), ordered_code_tests(),
				     slice_tests(), sstable_tests(), sstable_merge_tests(),
				     sstable_writer_tests(), string_tensor_tests(),
				     variant_tensor_tests(), NULL});
}
