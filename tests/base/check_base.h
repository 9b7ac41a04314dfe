#pragma once
#include <check.h>

TCase *buf_tests(void);
TCase *bytes_tests(void);
TCase *crc32c_tests(void);
TCase *crc_pieces_tests(void);
TCase *error_tests(void);
TCase *glob_tests(void);
TCase *io_tests(void);
TCase *kept_tests(void);
TCase *memory_tests(void);
TCase *scratch_tests(void);
TCase *source_tests(void);
TCase *threads_tests(void);
