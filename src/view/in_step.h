/* src/view/in_step.h: what an index (view/node.h) is in a step: as it was parsed, or in its draft. For view/ alone. */
#pragma once
#include "safetensors/safetensors_file.h"
#include "view/view.h"

/* --- as it was parsed ----------------------------------------------------------------------------------------- */

bool in_step_is_file(const struct loaded *l, uint32_t index);
bool in_step_is_text(const struct loaded *l, uint32_t index);
enum text_kind in_step_text(const struct loaded *l, uint32_t index);
const struct var *in_step_var(const struct loaded *l, uint32_t index);

/* The number in the tree of the folder INDEX; 0: the step's own. */
uint32_t in_step_dir(const struct loaded *l, uint32_t index);

/* The index of NAME in the folder INDEX; 0 if there is none. */
uint32_t in_step_find(const struct loaded *l, uint32_t index, const char *name);

/* May the kernel keep its pages of the variable INDEX, which is opened now? A variable is verified when all its bytes were
 * seen, which the parsed step remembers. If the step was dropped and parsed again since the pages were read, neither reading
 * sees all bytes, and a wrong one could go unnoticed. So the pages go when a file is opened for the first time since. */
bool in_step_may_keep_pages(const struct view *v, struct loaded *l, uint32_t index);

/* Opens the variable INDEX, and makes the text INDEX. Errors of npy_file_open and text_make, or of opening the folder of N. */
int in_step_open_file(const struct view *v, const struct node *n, const struct loaded *l,
		      uint32_t index, struct npy_file **out, struct err *e);
int in_step_make_text(const struct view *v, const struct node *n, struct loaded *l, uint32_t index,
		      struct buf *out, struct err *e);

/* The attributes of INDEX, which is in L, the step of N. */
void in_step_entry(struct view *v, const struct node *n, struct loaded *l, uint32_t index,
		   struct view_entry *out);

/* --- as one file (view/status.h): as it was saved, also if it has a draft ----------------------------------------- */

/* Its attributes, where the folder of the step, or the link, has the attributes OF. */
void in_step_whole_attr(const struct stat *of, mode_t type, uint64_t size, struct stat *out);

/* The same of the step N. -ENOENT: nothing is saved; or why it can't be parsed, or made a file of. */
int in_step_whole_entry(struct view *v, struct node *n, struct view_entry *out, struct err *e);

/* Opens it. LOADED, the step, must stay as long as it is open. -ESTALE: what N stood for is another by now. */
int in_step_open_whole(struct view *v, struct node *n, struct loaded **loaded,
		       struct safetensors_file **out, bool *stable, struct err *e);

/* --- in its draft --------------------------------------------------------------------------------------------- */

/* The step that D is over; NULL: it is of a new step. It stays as long as D is held. */
struct loaded *in_draft_base(const struct draft *d);

/* The attributes of INDEX in the draft D of N; or with NAME, of what that is in the folder INDEX; or of the item I, to which
 * there is a reference. As draft_see. */
int in_draft_entry(struct view *v, const struct node *n, struct draft *d, uint32_t index,
		   const char *name, struct view_entry *out, struct err *e);
int in_draft_entry_of(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		      struct view_entry *out, struct err *e);

/* Where the bytes of a VAR or TEXT are. */
struct in_draft_step {
	int dir; /* of the step's files */
	struct texts *texts; /* of the step: the base's, or these: */
	struct texts own;
};
int in_draft_open_step(const struct view *v, struct draft *d, const struct draft_seen *s,
		       struct in_draft_step *out, struct err *e);
void in_draft_close_step(struct in_draft_step *s);

/* Opens what I is read from: the file of a VAR, into BASE; makes the text of a TEXT. Nothing for a STAGED item. */
int in_draft_open_base(struct view *v, struct draft *d, struct draft_item *i,
		       struct draft_base *base, struct buf *text, bool *stable, struct err *e);

/* To be called before D, the draft of N, ends or begins anew, with its lock held. Variables of the base that were removed
 * in D will be shown again; those that somebody has open get new numbers, since the open file keeps the old one. */
void in_draft_number_orphans(struct view *v, struct node *n, struct draft *d);
