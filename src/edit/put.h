/* src/edit/put.h: variables are put into a step or scope of a draft, with the scopes that they need. */
#pragma once
#include "view/view.h"

struct put {
	struct view *view;
	uint64_t dir; /* the step or scope */
	struct draft_owner owner; /* who makes it */
	bool is_step; /* DIR is a step */
	bool over; /* a variable that is there is written over */
	unsigned count; /* so many were put; the caller may add others */
	/* The folder in DIR that something was put into last: */
	struct buf scope; /* its path, with a '/' at the end */
	uint64_t scope_id; /* 0: none */
};

/* The folder is let go. P may be used again. {0} has none. */
void put_release(struct put *p);

/* An open file, whose bytes come one behind the other. {0} is none. */
struct put_file {
	struct view_file *file;
	uint64_t at;
};

/* Begins the file with the path PATH and ENDING behind it. */
int put_begin(struct put *p, struct bytes path, const char *ending, struct put_file *out,
	      struct err *e);

/* The same of a variable: STEM is its path without .npy. -EINVAL: no step would have it. */
int put_begin_var(struct put *p, struct bytes stem, struct put_file *out, struct err *e);

/* The same, and puts the header. The elements are little-endian. */
int put_begin_array(struct put *p, struct bytes stem, int dtype, unsigned rank, const int64_t *dims,
		    struct put_file *out, struct err *e);

/* -EINTR, or of writing. */
int put_bytes(struct put_file *f, struct bytes b, struct err *e);

/* It is whole. It is closed, also after an error R of before, which is then what is returned. */
int put_end(struct put_file *f, int r, struct err *e);

/* R, an error of a call of the view, some of which have no sentence: then WHAT is said. */
int put_say(int r, const char *what, struct err *e);
