#pragma once
#include <check.h>

TCase *bundle_tests(void);
TCase *bundle_writer_tests(void);
TCase *dtype_tests(void);
TCase *elements_tests(void);
TCase *npy_tests(void);
TCase *ordered_code_tests(void);
TCase *slice_tests(void);
TCase *sstable_tests(void);
TCase *sstable_merge_tests(void);
TCase *sstable_writer_tests(void);
TCase *string_tensor_tests(void);
TCase *variant_tensor_tests(void);
