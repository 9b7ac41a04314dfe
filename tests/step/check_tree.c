/* Tests of src/step/tree.[ch]: the variables of a step as files in folders. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "lib/lit.h"
#include "lib/random.h"
#include "lib/step.h"
#include "message/meta_graph.h"
#include "step/check_step.h"
#include "step/tree.h"
#include <stdio.h>

struct fixture {
	struct folder folder;
	struct step *step;
	struct tree tree;
};

static void set_up_items(struct fixture *f, const struct item *items, size_t n)
{
	struct err e = {0};

	f->folder = folder_new();
	step_put(&f->folder, "m", 1, items, n);
	ck_assert_msg(step_open_v2(f->folder.fd, "m", VERIFY_READ, &f->step, &e) == 0, "%s",
		      e.text);
	ck_assert_int_eq(tree_init(&f->tree, f->step, &e), 0);
}

/* A step of N scalars. */
static void set_up(struct fixture *f, const char *const *keys, size_t n)
{
	struct item items[64];

	ck_assert_uint_le(n, COUNT(items));
	for (size_t i = 0; i < n; i++)
		items[i] =
			(struct item){.name = keys[i], .spec = {.dtype = DTYPE_FLOAT, .size = 4}};
	set_up_items(f, items, n);
}

static void tear_down(struct fixture *f)
{
	tree_release(&f->tree);
	step_unref(f->step);
	folder_remove(&f->folder);
}

/* Appends what DIR shows to OUT, with what is below: " a.npy a/ a/b.npy". */
static void add_listing(const struct tree *t, uint32_t dir, struct buf *out)
{
	struct bytes path = tree_dir_path(t, dir);
	struct tree_child child;

	for (uint32_t pos = 0; tree_next(t, dir, &pos, &child);) {
		ck_assert_int_eq(buf_printf(out, " %.*s%.*s%s", (int)path.n, (const char *)path.p,
					    (int)child.name.n, (const char *)child.name.p,
					    child.is_dir ? "/" : ".npy"),
				 0);
		if (child.is_dir)
			add_listing(t, child.index, out);
	}
}

static void shows(const struct fixture *f, const char *want)
{
	CLEANUP(buf_release) struct buf have = {0};

	add_listing(&f->tree, 0, &have);
	ck_assert_msg(bytes_eq(buf_bytes(&have), bytes_str(want)), "'%.*s', expected '%s'",
		      (int)have.n, (char *)have.p, want);
}

static bool find(const struct fixture *f, uint32_t dir, const char *name, struct tree_child *out)
{
	return tree_lookup(&f->tree, dir, bytes_str(name), out);
}

/* The number of the folder PATH, each component of which is looked up. */
static uint32_t folder_of(const struct fixture *f, const char *path)
{
	struct tree_child child = {0};

	while (*path) {
		size_t n = strcspn(path, "/");

		ck_assert_msg(tree_lookup(&f->tree, child.index, bytes_of(path, n), &child), "%s",
			      path);
		ck_assert(child.is_dir);
		path += n + (path[n] == '/');
	}
	return child.index;
}

static const char *const scopes[] = {"w", "net/out/b", "net/in/w", "net/in/b", "net-2/w", "net"};

START_TEST(scopes_are_folders)
{
	struct fixture f;

	set_up(&f, scopes, COUNT(scopes));
	shows(&f, " net-2/ net-2/w.npy net.npy net/ net/in/ net/in/b.npy net/in/w.npy net/out/"
		  " net/out/b.npy w.npy");
	ck_assert_uint_eq(f.tree.n_files, 6);
	ck_assert_uint_eq(f.tree.n_dirs, 5);
	tear_down(&f);
}
END_TEST

START_TEST(a_folder_is_a_range_of_the_files)
{
	struct fixture f;
	uint32_t net, in;

	set_up(&f, scopes, COUNT(scopes));
	net = folder_of(&f, "net");
	in = folder_of(&f, "net/in");
	ck_assert_uint_eq(f.tree.dirs[0].lo, 0);
	ck_assert_uint_eq(f.tree.dirs[0].hi, 6);
	ck_assert_uint_eq(f.tree.dirs[net].lo, 2);
	ck_assert_uint_eq(f.tree.dirs[net].hi, 5);
	ck_assert_uint_eq(f.tree.dirs[in].lo, 2);
	ck_assert_uint_eq(f.tree.dirs[in].hi, 4);
	ck_assert_uint_eq(f.tree.dirs[in].parent, net);
	ck_assert_uint_eq(f.tree.dirs[net].parent, 0);
	ck_assert(bytes_eq(tree_dir_path(&f.tree, in), bytes_str("net/in/")));
	ck_assert_uint_eq(tree_dir_path(&f.tree, 0).n, 0);
	tear_down(&f);
}
END_TEST

START_TEST(a_file_leads_to_its_variable)
{
	struct fixture f;
	struct tree_child child;

	set_up(&f, scopes, COUNT(scopes));
	ck_assert(find(&f, folder_of(&f, "net/in"), "w.npy", &child));
	ck_assert(!child.is_dir && bytes_eq(child.name, bytes_str("w")));
	ck_assert(bytes_eq(var_key(f.step, &f.step->vars[f.tree.files[child.index].var]),
			   bytes_str("net/in/w")));
	tear_down(&f);
}
END_TEST

/* A variable and a scope may have the same name: the file has an ending. */
START_TEST(a_name_is_a_file_and_a_folder)
{
	struct fixture f;
	struct tree_child file, dir;

	set_up(&f, scopes, COUNT(scopes));
	ck_assert(find(&f, 0, "net.npy", &file) && !file.is_dir);
	ck_assert(find(&f, 0, "net", &dir) && dir.is_dir);
	ck_assert(bytes_eq(file.name, dir.name));
	tear_down(&f);
}
END_TEST

START_TEST(other_names_are_not_found)
{
	static const char *const names[] = {"",   "w",    "n",     "net-2.npy", "net/in", "ne.npy",
					    "in", "w.np", "x.npy", ".npy",      "net.",   "~"};
	struct tree_child child;
	struct fixture f;
	char longest[256];

	set_up(&f, scopes, COUNT(scopes));
	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_msg(!find(&f, 0, names[i], &child), "'%s'", names[i]);
	ck_assert(!find(&f, folder_of(&f, "net/in"), "out", &child));
	ck_assert(!find(&f, folder_of(&f, "net/out"), "w.npy", &child));
	memset(longest, 'n', sizeof longest);
	ck_assert(!tree_lookup(&f.tree, 0, bytes_of(longest, 255), &child));
	ck_assert(!tree_lookup(&f.tree, 0, bytes_of(longest, 256), &child));
	tear_down(&f);
}
END_TEST

START_TEST(what_is_escaped_is_found_too)
{
	static const char *const keys[] = {"a//b", "..", "x.npy/y", "50%", "plain"};
	struct tree_child child;
	struct fixture f;

	set_up(&f, keys, COUNT(keys));
	shows(&f, " %2E%2E.npy 50%25.npy a/ a/%/ a/%/b.npy plain.npy x%2Enpy/ x%2Enpy/y.npy");
	ck_assert(find(&f, folder_of(&f, "x%2Enpy"), "y.npy", &child));
	ck_assert(bytes_eq(var_key(f.step, &f.step->vars[f.tree.files[child.index].var]),
			   bytes_str("x.npy/y")));
	ck_assert(!find(&f, 0, "x.npy", &child));
	tear_down(&f);
}
END_TEST

START_TEST(slices_are_not_shown)
{
	static const int64_t dims[] = {4}, half[] = {2};
	static const int64_t slices[] = {0, 2, 2, 2};
	const struct item items[] = {
		{.name = "p", .spec = {DTYPE_FLOAT, 1, dims, .n_slices = 2, .slices = slices}},
		{"p", {DTYPE_FLOAT, 1, half, .size = 8}, true, slices},
		{"p", {DTYPE_FLOAT, 1, half, .off = 8, .size = 8}, true, slices + 2},
	};
	struct fixture f;

	set_up_items(&f, items, COUNT(items));
	ck_assert_uint_eq(f.step->n_vars, 3);
	shows(&f, " p.npy");
	tear_down(&f);
}
END_TEST

/* Nor what no glob has the path of. It is behind the files. */
START_TEST(hidden_variables_are_not_shown)
{
	static const char *const keys[] = {"a/b/v", "a/w", "c%", "v", "w"};
	CLEANUP(buf_release) struct buf out = {0};
	struct tree_child child;
	struct err e = {0};
	struct fixture f;

	set_up(&f, keys, COUNT(keys));
	tree_release(&f.tree);
	f.step->seen.var_list = strdup("**/v:c%25");
	ck_assert_int_eq(tree_limit(f.step, &e), 0);
	ck_assert_int_eq(tree_init(&f.tree, f.step, &e), 0);
	add_listing(&f.tree, 0, &out);
	ck_assert_int_eq(buf_add_byte(&out, 0), 0);
	ck_assert_str_eq((char *)out.p, " a/ a/b/ a/b/v.npy c%25.npy v.npy");
	ck_assert(!tree_lookup(&f.tree, 0, bytes_str("w.npy"), &child));
	ck_assert_uint_eq(f.tree.n_files, 3);
	ck_assert_uint_eq(f.tree.n_hidden, 2);
	for (uint32_t i = 3; i < 5; i++)
		ck_assert_uint_eq(f.tree.files[i].stem[f.tree.files[i].n - 1], 'w');
	ck_assert_uint_eq(tree_text_index(&f.tree, 0), TREE_FIRST + 3 + 2);
	tear_down(&f);
}
END_TEST

/* What VAR_LIST and COLLECTION hide of a step whose meta graph has MEMBERS. NULL: any. */
static void hides(char *var_list, char *collection, const struct memberships *members,
		  const char *name, const char *option)
{
	const struct seen seen = {var_list, collection};
	struct bytes stem = bytes_str(name);

	ck_assert_pstr_eq(tree_hides(&seen, members, stem, stem), option);
}

START_TEST(an_option_hides)
{
	char globs[] = "v", name[] = "some";
	struct membership items[] = {
		{bytes_str("v"), "all"}, {bytes_str("v"), "some"}, {bytes_str("w"), "all"}};
	const struct memberships members = {.items = items, .n = COUNT(items)}, none = {0};

	hides(NULL, NULL, NULL, "v", NULL);
	hides(globs, NULL, NULL, "v", NULL);
	hides(globs, NULL, NULL, "w", "var_list");
	hides(NULL, name, NULL, "w", NULL);
	hides(NULL, name, &members, "v", NULL);
	hides(NULL, name, &members, "w", "collection");
	hides(NULL, name, &members, "u", "collection");
	hides(NULL, name, &none, "v", "collection");
	hides(globs, name, &members, "v", NULL);
	hides(globs, name, &none, OBJECT_GRAPH_KEY, NULL);
}
END_TEST

START_TEST(an_empty_step_is_an_empty_folder)
{
	struct tree_child child;
	struct fixture f;
	uint32_t pos = 0;

	set_up(&f, NULL, 0);
	ck_assert_uint_eq(f.tree.n_files, 0);
	ck_assert_uint_eq(f.tree.n_dirs, 1);
	ck_assert(!tree_next(&f.tree, 0, &pos, &child));
	ck_assert(!find(&f, 0, "w.npy", &child) && !find(&f, 0, "net", &child));
	ck_assert_uint_eq(tree_dir_path(&f.tree, 0).n, 0);
	ck_assert_uint_eq(tree_text_index(&f.tree, 0), TREE_FIRST);
	tear_down(&f);
}
END_TEST

START_TEST(files_folders_and_texts_are_numbered_in_turn)
{
	struct fixture f;
	uint32_t next = TREE_FIRST;

	set_up(&f, scopes, COUNT(scopes));
	ck_assert_uint_eq(tree_dir_index(&f.tree, 0), TREE_ROOT);
	for (uint32_t i = 0; i < f.tree.n_files; i++)
		ck_assert_uint_eq(tree_file_index(i), next++);
	for (uint32_t i = 1; i < f.tree.n_dirs; i++)
		ck_assert_uint_eq(tree_dir_index(&f.tree, i), next++);
	ck_assert_uint_eq(tree_text_index(&f.tree, 0), next);
	tear_down(&f);
}
END_TEST

/* Looks each child of DIR up by its name. How many files are below. */
static uint32_t look_up_all(const struct tree *t, uint32_t dir)
{
	struct tree_child child, found;
	uint32_t n = 0;

	for (uint32_t pos = 0; tree_next(t, dir, &pos, &child);) {
		char name[300];
		int len = snprintf(name, sizeof name, "%.*s%s", (int)child.name.n,
				   (const char *)child.name.p, child.is_dir ? "" : ".npy");

		ck_assert_msg(tree_lookup(t, dir, bytes_of(name, (size_t)len), &found), "%s", name);
		ck_assert(found.is_dir == child.is_dir && found.index == child.index);
		ck_assert(!child.is_dir || t->dirs[child.index].parent == dir);
		n += child.is_dir ? look_up_all(t, child.index) : 1;
	}
	ck_assert_uint_eq(n, t->dirs[dir].hi - t->dirs[dir].lo);
	return n;
}

START_TEST(random_names_are_found_where_they_are_listed)
{
	uint64_t seed = (uint64_t)_i;
	char text[64][9];
	const char *keys[64];
	struct fixture f;
	size_t n = 0;

	while (n < 64) {
		size_t len = 1 + random_below(&seed, 8), k = 0;

		for (size_t i = 0; i < len; i++)
			text[n][i] = "a./-%n"[random_below(&seed, 6)];
		text[n][len] = 0;
		while (k < n && strcmp(text[k], text[n]) != 0)
			k++;
		keys[n] = text[n];
		n += k == n;
	}
	set_up(&f, keys, n);
	ck_assert_uint_eq(look_up_all(&f.tree, 0), n);
	tear_down(&f);
}
END_TEST

TCase *tree_tests(void)
{
	TCase *t = tcase_create("tree");

	tcase_add_test(t, scopes_are_folders);
	tcase_add_test(t, a_folder_is_a_range_of_the_files);
	tcase_add_test(t, a_file_leads_to_its_variable);
	tcase_add_test(t, a_name_is_a_file_and_a_folder);
	tcase_add_test(t, other_names_are_not_found);
	tcase_add_test(t, what_is_escaped_is_found_too);
	tcase_add_test(t, slices_are_not_shown);
	tcase_add_test(t, hidden_variables_are_not_shown);
	tcase_add_test(t, an_option_hides);
	tcase_add_test(t, an_empty_step_is_an_empty_folder);
	tcase_add_test(t, files_folders_and_texts_are_numbered_in_turn);
	tcase_add_loop_test(t, random_names_are_found_where_they_are_listed, 0, 20);
	return t;
}
