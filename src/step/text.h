/* src/step/text.h: the text files in a step's folder.
 *
 *   variables.tsv       a line for each variable, with tabs between: name, dtype, shape, bytes, crc32c, collections,
 *                       full name. In names tab, newline, backslash and other control characters are \t, \n, \\, \xNN;
 *                       "-" stands for what there is not
 *   meta_graph.pbtxt    PREFIX.meta as text, or with strip_default_attrs what meta_graph_strip makes of it
 *   object_graph.pbtxt  the object graph as text
 *   debug_info.pbtxt    PREFIX.debug as text
 *
 * They are made when they are opened, and their size when it is first asked for. */
#pragma once
#include "message/object_graph.h"
#include "step/sidecar.h"

/* A step's texts; `lock` guards what is found out later. */
struct texts {
	const char *meta_suffix; /* borrowed */
	bool strip_default_attrs; /* of the meta graph */
	bool there[N_TEXTS];
	struct stat st[N_TEXTS]; /* of the file that it is made of */
	pthread_mutex_t lock;
	bool known[N_TEXTS];
	uint64_t size[N_TEXTS];
	bool has_memberships;
	struct memberships memberships; /* of the meta graph's collections; empty without one */
	bool has_names;
	struct object_names names; /* what the object graph calls the variables; or */
	struct err no_names; /* why it can't be read */
	bool nameless; /* variables.tsv is made without them */
};

/* Looks which texts S, in DIRFD, has. -ENOMEM. */
int texts_init(struct texts *t, const struct step *s, int dirfd, const char *meta_suffix,
	       bool strip_default_attrs);
void texts_release(struct texts *t);

/* Makes the text. -EUCLEAN (what it is made of is malformed), -EFBIG, -ENOMEM, or of reading. */
int text_make(struct texts *t, struct step *s, int dirfd, enum text_kind kind, struct buf *out,
	      struct err *e);

/* Its size. One that can't be made has that of its file, or 1: an empty one would be taken as read. If it may be made another
 * time LASTS becomes false. */
uint64_t text_size(struct texts *t, struct step *s, int dirfd, enum text_kind kind, bool *lasts);

/* Has it been asked for? To find it out takes long if there is much in the step. */
bool text_size_is_known(struct texts *t, enum text_kind kind);

/* Appends the names of the collections that hold KEY, with commas. -ENODATA if none. */
int text_collections(struct texts *t, const struct step *s, int dirfd, struct bytes key,
		     struct buf *out, struct err *e);

/* Appends what the object graph calls the variable KEY. -ENODATA if nothing, or there is none; or of reading it. */
int text_full_name(struct texts *t, struct step *s, int dirfd, struct bytes key, struct buf *out,
		   struct err *e);
