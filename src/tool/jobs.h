/* src/tool/jobs.h: many variables are worked on, with all cores: small ones side by side, and large ones, whose own work is done in
 * several threads, one after the other. */
#pragma once
#include "base/error.h"
#include <stdint.h>

struct jobs {
	uint64_t n;
	uint64_t (*size)(void *arg, uint64_t job); /* bytes */
	int (*work)(void *arg, uint64_t job, struct err *e); /* from several threads at once */
	void *arg;
};

/* 0; or what WORK returned, if that is not 0: then what was not begun is left out. */
int jobs_run(const struct jobs *j, struct err *e);
