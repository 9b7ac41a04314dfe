/* src/draft/staged.h: what a draft holds of a file of its own (draft/draft.h), and whether that can be committed.
 * The draft's lock is held where nothing else is said; not for staged_saw and staged_cut. */
#pragma once
#include "draft/draft_state.h"
#include "format/npy.h"

/* N bytes at P were written at OFF, and nothing else was meanwhile (base/crc_pieces.h). */
void staged_saw(struct staged *s, const uint8_t *p, size_t n, uint64_t off);

/* N bytes at OFF have changed otherwise. */
void staged_forget(struct staged *s, uint64_t off, uint64_t n);

/* The file has SIZE bytes now. */
void staged_cut(struct staged *s, uint64_t size);

/* What is known of the checksum, into OUT, which is empty. -ENOMEM. */
int staged_sums(struct staged *s, struct crc_pieces *out);

/* The checksum of the bytes from FROM to the end of SRC, of which SUMS was known; the rest of it is read. No lock is needed. */
int staged_crc(const struct crc_pieces *sums, const struct source *src, uint64_t from,
	       uint32_t *out, struct err *e);

/* The checksum of the bytes of SRC from FROM to before END, which are read. */
int staged_read_crc(const struct source *src, uint64_t from, uint64_t end, uint32_t *out,
		    struct err *e);

/* Where a file lies. */
struct staged_place {
	const char *path; /* for messages */
	const struct var *over; /* the variable that the base has there; or NULL */
	const struct step *of; /* its step */
	bool reshape; /* the file may have another shape, with as many elements */
};

/* A dtype and shape. */
struct staged_kind {
	int dtype;
	bool any_shape;
	unsigned rank;
	const int64_t *dims; /* -1: any */
};

/* Is A like B, which may leave something open? */
bool staged_is_like(const struct staged_kind *a, const struct staged_kind *b);

/* Are A and B of one dtype, and have as many elements? Not if B leaves something open. */
bool staged_is_as_many(const struct staged_kind *a, const struct staged_kind *b);

/* -EINVAL: the file PATH is A, and its variable is B. */
int staged_unlike(const char *path, const struct staged_kind *a, const struct staged_kind *b,
		  struct err *e);

/* The header of the .npy file SRC at AT. NOT_YET: a file of which only the header is there passes. -EINVAL: it can't be
 * committed. No lock is needed. */
int staged_parse(const struct source *src, const struct staged_place *at, bool not_yet,
		 struct npy *out, struct err *e);

/* How bytes of I were lost (draft_write_behind), and E says so; 0: none were. */
int staged_loss(const struct draft_item *i, struct err *e);

/* -EINVAL: nothing can be committed because of I; E says why, as far as that is known. */
int staged_refusal(const struct draft_item *i, struct err *e);

/* Notes with I, which was parsed, that R was the result, and why. */
void staged_note(struct draft_item *i, int r, const struct err *why);

/* Is I the text that a new meta graph is made of? */
bool staged_is_meta(const struct draft_item *i);

/* Appends the meta graph that the text SRC stands for in D. -EINVAL: none. No lock is needed. */
int staged_meta(const struct draft *d, const struct source *src, struct buf *out, struct err *e);

/* Does META, of staged_meta, say what OLD says, a meta graph's file? Default-valued attributes do not count where D is to be without.
 * No lock is needed. */
bool staged_meta_is(const struct draft *d, struct bytes meta, struct bytes old);

/* Whether I, whose file is open, can be committed: as staged_parse or staged_meta, and it is noted. */
int staged_check(struct draft *d, struct draft_item *i, bool not_yet, struct err *e);

/* The same of I as it lies there: notes whether it can be committed. Not what is open for writing, which is looked at when it is
 * closed. */
void staged_look(struct draft *d, struct draft_item *i);

/* Must a file for I be reshaped, if it is a copy of V? Then V can't be referred to. */
bool staged_is_reshaped(const struct draft *d, const struct var *v, const struct step *of,
			const struct draft_item *i);

/* -EINVAL: V is not of the dtype and shape of the variable that I lies over, or is. */
int staged_fits(const struct draft *d, const struct var *v, const struct step *of,
		const struct draft_item *i, struct err *e);
