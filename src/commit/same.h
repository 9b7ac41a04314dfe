/* src/commit/same.h: is what was written what a step has already? */
#pragma once
#include "commit/written.h"

/* Are the bytes of W, whose file is F and has the header NPY, those that variable V of S, in DIRFD, has? S has the byte
 * order of P. 1, 0, or of reading. */
int content_is_same(const struct plan *p, struct want *w, const struct npy *npy,
		    const struct written *f, struct step *s, const struct var *v, int dirfd,
		    struct err *e);

/* Finds out the checksum and size of what is stored of W, of which F is the file and NPY the header: once,
 * however many steps there are to compare with. Mostly it is known. Of reading. */
int want_crc(const struct plan *p, struct want *w, const struct npy *npy, const struct written *f,
	     struct err *e);

/* Are X of A and Y of B stored in the same way: whole, or in the same slices? */
bool layout_is_same(const struct step *a, const struct var *x, const struct step *b,
		    const struct var *y);
