/* src/draft/staged.h: what a draft holds of a file of its own (draft/draft.h), and whether that can be committed. The draft's lock is
 * held, but for staged_saw and staged_cut. */
#pragma once
#include "draft/draft_state.h"
#include "format/npy.h"

/* N bytes at P were written at OFF: as long as they come one behind the other from the start on, their checksum is kept. */
void staged_saw(struct staged *s, const uint8_t *p, size_t n, uint64_t off);

/* The file was cut, or changed otherwise; with SIZE 0 it is as new. */
void staged_cut(struct staged *s, uint64_t size);

/* The checksum of the bytes from FROM to SIZE, the file's: as it was kept, else they are read. */
int staged_crc(struct staged *s, const struct source *src, uint64_t from, uint32_t *out,
	       struct err *e);

/* The header of I's file, which is open. -EINVAL: it can't be committed; that is noted with I. */
int staged_parse(struct draft *d, struct draft_item *i, struct npy *out, struct err *e);

/* Is I the text that a new meta graph is made of? */
bool staged_is_meta(const struct draft_item *i);

/* Appends the meta graph that its text, which is open, stands for. -EINVAL: none; that is noted with I. */
int staged_meta(struct draft_item *i, struct buf *out, struct err *e);

/* As staged_parse, or staged_meta. NOT_YET: a file of which only the header is there passes. */
int staged_check(struct draft *d, struct draft_item *i, bool not_yet, struct err *e);

/* -EINVAL: V is not of the dtype and shape of the variable that I lies over, or is. */
int staged_fits(const struct draft *d, const struct var *v, const struct step *of,
		const struct draft_item *i, struct err *e);
