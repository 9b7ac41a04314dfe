/* src/view/draft_view.h: a step's folder while there is a draft of it (draft/draft.h). For view/ alone. */
#pragma once
#include "view/view.h"

/* The draft of N, which the caller unrefs; NULL: none. One that has ended is waited for until it is let go, so
 * the caller may hold neither `committing` nor `loading`. */
struct draft *draft_of(struct view *v, const struct node *n);

/* Something is asked of the step of N: of its draft if it has one. A draft that ends meanwhile has no answer;
 * then it is asked once more, of the saved step, or of the next draft.
 *
 *     struct asking a = {0};
 *     int r = 0;
 *
 *     while (draft_ask(&a, v, n, r))
 *             r = a.draft ? draft_…(a.draft, …) : …; */
struct asking {
	struct draft *draft; /* NULL: the saved step is asked */
	bool begun;
};
bool draft_ask(struct asking *a, struct view *v, const struct node *n, int r);

/* The draft of N, begun now if there is none. -EROFS, -EBUSY (somebody else writes), or of beginning it. */
int draft_need(struct view *v, struct node *n, struct draft **out, struct err *e);

/* Begins a draft for a new step, which N is to become, and which is MAKER's. */
int draft_need_new(struct view *v, struct node *n, const struct draft_owner *maker,
		   struct draft **out, struct err *e);

/* What the kernel must forget when the draft ends. The draft's lock is held. */
int draft_changes(const struct node *n, struct draft *d, struct buf *changes);

/* The draft D, which was on disk already, becomes that of N, over BASE, whose reference it takes over; NULL:
 * it is a new step. */
void draft_attach(struct view *v, struct node *n, struct draft *d, struct loaded *base);

/* Who works in .ckptfs of FOLDER, which TOP is, and has no draft there, locks it meanwhile; without, it goes
 * with the last draft. Each that has succeeded is unlocked once. */
int draft_lock_folder(struct view *v, struct node *folder, int top, struct err *e);
void draft_unlock_folder(struct view *v, struct node *folder, int top);

/* Of these files, as they were in the draft, the kernel may have pages: when they are next opened, it is not
 * to keep them. It is told so besides, but a little later, from another thread. */
void draft_drop_pages(const struct node *n, const struct draft *d, const struct buf *changes);

/* D, which has ended, is the draft of N no more. Whoever has ended it does this, and all others wait. */
void draft_leave(struct view *v, struct node *n, struct draft *d);
void draft_await(struct view *v, const struct node *n, const struct draft *d);

/* As the calls of view.h, in the draft D of N. */
int draft_lookup(struct view *v, struct node *n, struct draft *d, uint32_t dir, const char *name,
		 struct view_entry *out, struct err *e);
int draft_getattr(struct view *v, struct node *n, struct draft *d, uint32_t index,
		  struct view_entry *out, struct err *e);
int draft_entry(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		struct view_entry *out, struct err *e);

/* The same of an item that somebody has open; the draft's lock is not held. */
int draft_getattr_open(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		       struct view_entry *out, struct err *e);

/* What I is to be read from: the file of a VAR into BASE, the text of a TEXT; for a STAGED item neither is needed. */
int draft_open_base(struct view *v, struct draft *d, struct draft_item *i, struct draft_base *base,
		    struct buf *text, bool *stable, struct err *e);

/* What D is over; NULL: it is a new step. As long as D is held. */
struct loaded *draft_base_of(const struct draft *d);

/* The names in the folder DIR: an array of struct draft_name. */
struct draft_name {
	uint32_t index;
	mode_t type;
	size_t name; /* in NAMES, with its NUL */
};
int draft_list(struct draft *d, uint32_t dir, struct buf *items, struct buf *names);

/* Takes up what an earlier process has left in FOLDER, a node; when it is first looked into. */
void view_recover(struct view *v, struct node *folder);

/* One reference more on N, as the kernel has them: view_forget takes it back. */
void view_hold(struct view *v, struct node *n);

/* What stat shows as the number of the folder of N, a step. */
uint64_t view_step_ino(struct view *v, const struct node *n);

/* Is the step of N nothing but its draft? */
bool view_is_unborn(struct view *v, const struct node *n);

/* The nodes that have drafts, each with a reference: an array of struct node *. Below FOLDER, or with NULL all. -ENOMEM: some
 * are missing. */
int view_list_drafted(struct view *v, const struct node *folder, struct buf *out);

/* The node of ID; NULL: none. */
struct node *view_node(struct view *v, uint64_t id);

/* As view_lookup in the folder N. */
int view_lookup_in_folder(struct view *v, struct node *n, const char *name, struct view_entry *out,
			  struct err *e);

/* The link NAME in the folder N that is to be renamed to `latest`; NULL: none. */
struct node *view_pending_link(struct view *v, const struct node *n, const char *name);
