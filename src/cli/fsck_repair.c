/* src/cli/fsck_repair.c: what fsck.ckptfs may change, and what it says of it. */
#include "cli/fsck.h"

bool may_repair(struct fsck *f, const char *path, const char *question, bool safe)
{
	switch (f->repair) {
	case REPAIR_NOTHING:
		return false;
	case REPAIR_ASK:
		return report_ask(&f->report, path, question);
	case REPAIR_SAFE:
		return safe;
	case REPAIR_ALL:
		return true;
	}
	return false;
}

void repaired(struct fsck *f, const char *path, const char *how, uint64_t n)
{
	f->report.corrected += n;
	report_repaired(&f->report, path, how);
}

void repair_failed(struct fsck *f, const char *path, struct err *e)
{
	err_wrap(e, e->code, "not repaired");
	report_failure(&f->report, path, e);
}
