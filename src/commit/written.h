/* src/commit/written.h: files of a draft, as a commit reads them beside those who write.
 *
 * The draft's lock is only held to open one. Nobody may have changed the draft since it was frozen, else what is
 * read does not count: whoever is in the middle of reading finds that out at the end, when the draft is sealed
 * (commit/commit.c). */
#pragma once
#include "commit/plan.h"
#include "draft/staged.h"

struct written {
	struct source src;
	struct crc_pieces sums; /* what is known of its checksum */
	int fd; /* -1: not open */
};

/* Opens the file of ITEM. -EAGAIN: the draft has changed; or of opening it. */
int written_open(const struct plan *p, struct draft_item *item, struct written *f, struct err *e);
void written_close(struct written *f);

/* Notes with ITEM that parsing it gave R, and why; not if the draft has changed. R, for which E says why. */
int written_note(const struct plan *p, struct draft_item *item, int r, const struct err *why,
		 struct err *e);

/* Opens and parses the file of W: as staged_parse; that is noted. */
int written_parse(const struct plan *p, const struct want *w, struct written *f, struct npy *npy,
		  struct err *e);

/* W, a written file, gets this shape in the new step. -ENOMEM. */
int want_set_shape(struct plan *p, struct want *w, unsigned rank, const int64_t *dims);

/* NPY, of which the elements of W are read in C order, gets the shape that W has in the new step. */
void want_take_shape(const struct plan *p, const struct want *w, struct npy *npy);
