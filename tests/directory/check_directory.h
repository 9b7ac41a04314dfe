#pragma once
#include "lib/files.h"
#include <check.h>

TCase *ability_tests(void);
TCase *drafts_list_tests(void);
TCase *family_tests(void);
TCase *listing_tests(void);
TCase *locate_tests(void);
TCase *lock_tests(void);
TCase *placed_tests(void);
TCase *rotation_tests(void);
TCase *state_update_tests(void);
TCase *step_files_tests(void);

/* Makes the file NAME, or a folder if NAME ends in '/'. */
void put_entry(const struct folder *f, const char *name);

/* Puts another file in the place of NAME, as a trainer does. */
void save_over(const struct folder *f, const char *name, const char *content);

bool is_there(const struct folder *f, const char *name);
void assert_content(const struct folder *f, const char *name, const char *content);
