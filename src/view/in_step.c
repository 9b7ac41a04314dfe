#include "view/in_step.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/npy_file.h"
#include "view/attr.h"
#include "view/draft_view.h"
#include "view/folder.h"

uint32_t in_step_dir(const struct loaded *l, uint32_t index)
{
	return index == TREE_ROOT ? 0 : index - tree_dir_index(&l->tree, 1) + 1;
}

bool in_step_is_file(const struct loaded *l, uint32_t index)
{
	return index >= TREE_FIRST && index - TREE_FIRST < l->tree.n_files;
}

bool in_step_is_text(const struct loaded *l, uint32_t index)
{
	return index >= tree_text_index(&l->tree, 0) && index < tree_text_index(&l->tree, N_TEXTS);
}

enum text_kind in_step_text(const struct loaded *l, uint32_t index)
{
	return index - tree_text_index(&l->tree, 0);
}

const struct var *in_step_var(const struct loaded *l, uint32_t index)
{
	return &l->step->vars[l->tree.files[index - TREE_FIRST].var];
}

uint32_t in_step_find(const struct loaded *l, uint32_t index, const char *name)
{
	enum text_kind kind = index == NODE_ROOT_ID ? text_kind_of(name) : N_TEXTS;
	struct tree_child child;

	if (kind < N_TEXTS && l->texts.there[kind])
		return tree_text_index(&l->tree, kind);
	if (!tree_lookup(&l->tree, in_step_dir(l, index), bytes_str(name), &child))
		return 0;
	return child.is_dir ? tree_dir_index(&l->tree, child.index) : tree_file_index(child.index);
}

/* --- attributes -------------------------------------------------------------------------------------------- */

static void attr_of_file(struct view *v, const struct node *n, const struct loaded *l,
			 uint32_t index, struct stat *out)
{
	const struct var *var = in_step_var(l, index);
	CLEANUP(closep) int fd = -1;

	if (var->dtype == DTYPE_STRING) /* they must be read for their size */
		fd = folder_open_parent(v, n, NULL);
	attr_of_var(l->step, var, NULL, npy_file_size(l->step, var, fd), out);
}

static void attr_of_made_text(struct view *v, const struct node *n, struct loaded *l,
			      uint32_t index, struct stat *out)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	enum text_kind kind = in_step_text(l, index);

	attr_of_text(&l->texts.st[kind], kind, text_size(&l->texts, l->step, fd, kind), out);
}

static void attr_of_folder(struct view *v, const struct node *n, const struct loaded *l,
			   uint32_t index, struct stat *out)
{
	attr_of_step(&l->step->index, out);
	out->st_ino = attr_dir_ino(view_step_ino(v, n), &l->tree, in_step_dir(l, index));
}

void in_step_entry(struct view *v, const struct node *n, struct loaded *l, uint32_t index,
		   struct view_entry *out)
{
	out->id = node_id(n, index);
	out->stable = true;
	if (in_step_is_file(l, index))
		attr_of_file(v, n, l, index, &out->st);
	else if (in_step_is_text(l, index))
		attr_of_made_text(v, n, l, index, &out->st);
	else
		attr_of_folder(v, n, l, index, &out->st);
	out->st.st_dev = v->root.st_dev;
}
