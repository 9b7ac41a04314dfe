/* Tests of src/step/name.[ch]; "rule" is a rule in the head of name.h. */
#include "base/cleanup.h"
#include "lib/random.h"
#include "step/check_step.h"
#include "step/name.h"
#include <inttypes.h>
#include <stdio.h>

#define VALUE    "/.ATTRIBUTES/VARIABLE_VALUE"
#define GRAPH    "_CHECKPOINTABLE_OBJECT_GRAPH"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LIT(s)                                                                                     \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	} /* a literal, which may hold NUL */
#define FLAVOUR(f) ((f) == NAME_OBJECT ? "object" : "plain")

/* For loops: ck_assert_* tells the parent where it is each time, by a system call. */
static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

static int compare(const void *a, const void *b)
{
	return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* --- what every path must be -------------------------------------------------------------------------- */

/* Why the parts of PATH, which is a stem and ".npy", can't be names in a folder of the view, or NULL. */
static const char *why_bad_path(struct bytes path)
{
	for (;;) {
		const uint8_t *slash = memchr(path.p, '/', path.n);
		struct bytes c = bytes_of(path.p, slash ? (size_t)(slash - path.p) : path.n);

		if (c.n == 0 || c.n > 255)
			return "the length of a component";
		if (bytes_eq(c, bytes_str(".")) || bytes_eq(c, bytes_str("..")))
			return "a component of dots";
		for (size_t i = 0; i < c.n; i++)
			if (c.p[i] < 0x20 || c.p[i] == 0x7f)
				return "a control byte";
		if (!slash)
			return NULL;
		if (bytes_ends(c, bytes_str(".npy")) || bytes_ends(c, bytes_str(".tsv")) ||
		    bytes_ends(c, bytes_str(".pbtxt")))
			return "a folder with a file's name";
		path = bytes_of(slash + 1, path.n - c.n - 1);
	}
}

/* Why KEY and the path made of it disagree, or NULL; PATH gets the stem with ".npy". */
static const char *why_bad_key(enum name_flavour f, struct bytes key, struct buf *path)
{
	CLEANUP(buf_release) struct buf back = {0};
	size_t plain_len = 0;
	struct bytes stem;
	bool plain;

	if (name_to_path(f, key, path) < 0)
		return "name_to_path fails";
	stem = buf_bytes(path);
	if (name_from_path(f, stem, &back) < 0)
		return "its path is refused";
	if (!bytes_eq(key, buf_bytes(&back)))
		return "its path gives another key";
	plain = name_is_plain(f, key, &plain_len);
	if (plain != bytes_starts(key, stem) || (plain && plain_len != stem.n))
		return "name_is_plain disagrees";
	must(buf_add_str(path, ".npy"));
	return why_bad_path(buf_bytes(path));
}

/* --- sets of keys ------------------------------------------------------------------------------------- */

struct set {
	struct bytes *v;
	size_t n, cap;
};

static void set_add(struct set *s, struct bytes b)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 1024;
		s->v = realloc(s->v, s->cap * sizeof *s->v);
		ck_assert_ptr_nonnull(s->v);
	}
	s->v[s->n++] = b;
}

static void set_sort(struct set *s)
{
	if (s->n)
		qsort(s->v, s->n, sizeof *s->v, compare);
}

static void set_unique(struct set *s)
{
	size_t n = 0;

	set_sort(s);
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || !bytes_eq(s->v[n - 1], s->v[i]))
			s->v[n++] = s->v[i];
	s->n = n;
}

static void add_folders(struct set *folders, struct bytes path)
{
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '/')
			set_add(folders, bytes_of(path.p, i));
}

/* Every key of KEYS by itself, and that they can all live in one folder. WHERE says how to get them again. */
static void assert_good_keys(enum name_flavour f, struct set *keys, const char *where)
{
	struct set files = {0}, folders = {0};
	struct buf *path;

	set_unique(keys);
	path = calloc(keys->n, sizeof *path);
	ck_assert_ptr_nonnull(path);
	for (size_t i = 0; i < keys->n; i++) {
		const char *bad = why_bad_key(f, keys->v[i], &path[i]);

		ck_assert_msg(!bad, "%s, %s: key %zu in order, '%.*s': %s", where, FLAVOUR(f), i,
			      (int)keys->v[i].n, (const char *)keys->v[i].p, bad);
		set_add(&files, buf_bytes(&path[i]));
		add_folders(&folders, buf_bytes(&path[i]));
	}
	set_sort(&files);
	set_sort(&folders);
	for (size_t i = 0; i < files.n; i++) {
		const char *name = (const char *)files.v[i].p;
		int len = (int)files.v[i].n;

		ck_assert_msg(i == 0 || !bytes_eq(files.v[i - 1], files.v[i]),
			      "%s, %s: two keys have the path '%.*s'", where, FLAVOUR(f), len,
			      name);
		ck_assert_msg(!folders.n || !bsearch(&files.v[i], folders.v, folders.n,
						     sizeof *folders.v, compare),
			      "%s, %s: '%.*s' is a file and a folder", where, FLAVOUR(f), len,
			      name);
	}
	for (size_t i = 0; i < keys->n; i++)
		buf_release(&path[i]);
	free(path);
	free(files.v);
	free(folders.v);
}

/* --- tables ------------------------------------------------------------------------------------------- */

static const struct example {
	struct bytes key, stem;
} plain_example[] = {
	{LIT("w"), LIT("w")},
	{LIT("w/Adam"), LIT("w/Adam")},
	{LIT("dense/kernel:0"), LIT("dense/kernel:0")},
	{LIT("caf\xe9/\xff"), LIT("caf\xe9/\xff")},
	/* rules 1 and 2 */
	{LIT("%"), LIT("%25")},
	{LIT("%25"), LIT("%2525")},
	{LIT("100%/x"), LIT("100%25/x")},
	{LIT("nul\0in"), LIT("nul%00in")},
	{LIT("\x01\x1f\x20\x7e\x7f\x80"), LIT("%01%1F ~%7F\x80")},
	{LIT("line\nbreak"), LIT("line%0Abreak")},
	/* rule 3 */
	{LIT("."), LIT("%2E")},
	{LIT(".."), LIT("%2E%2E")},
	{LIT("../.././..."), LIT("%2E%2E/%2E%2E/%2E/...")},
	{LIT(".hidden"), LIT(".hidden")},
	{LIT("a//b"), LIT("a/%/b")},
	{LIT("/"), LIT("%/%")},
	{LIT("//"), LIT("%/%/%")},
	{LIT("/lead"), LIT("%/lead")},
	{LIT("a/"), LIT("a/%")},
	/* rule 4 */
	{LIT("x.npy"), LIT("x.npy")},
	{LIT("x.npy/y"), LIT("x%2Enpy/y")},
	{LIT(".npy/.npy"), LIT("%2Enpy/.npy")},
	{LIT("x.npy.npy/y"), LIT("x.npy%2Enpy/y")},
	{LIT("variables.tsv/meta_graph.pbtxt/y.tsv"),
	 LIT("variables%2Etsv/meta_graph%2Epbtxt/y.tsv")},
	{LIT("x.NPY/npy/x.npz/x.npy /y"), LIT("x.NPY/npy/x.npz/x.npy /y")},
	/* rule 6 is for the other flavour */
	{LIT("w" VALUE), LIT("w" VALUE)},
	{LIT(GRAPH), LIT(GRAPH)},
};

static const struct example object_example[] = {
	/* a */
	{LIT(GRAPH), LIT(GRAPH)},
	/* b */
	{LIT("w" VALUE), LIT("w")},
	{LIT("model/kernel" VALUE), LIT("model/kernel")},
	{LIT(VALUE), LIT("%")},
	{LIT("a/" VALUE), LIT("a/%")},
	{LIT("%" VALUE), LIT("%25")},
	{LIT("x.npy/y" VALUE), LIT("x%2Enpy/y")},
	{LIT("a/.ATTRIBUTES" VALUE), LIT("a/.ATTRIBUTES")},
	{LIT(".ATTRIBUTES/a" VALUE), LIT(".ATTRIBUTES/a")},
	{LIT(GRAPH "S" VALUE), LIT(GRAPH "S")},
	/* c */
	{LIT("w/.ATTRIBUTES/OBJECT_CONFIG_JSON"), LIT("w/.ATTRIBUTES/OBJECT_CONFIG_JSON")},
	{LIT("w" VALUE VALUE), LIT("w" VALUE VALUE)},
	{LIT("w" VALUE "/x"), LIT("w" VALUE "/x")},
	{LIT("w" VALUE "/"), LIT("w" VALUE "/%")},
	{LIT(GRAPH VALUE), LIT(GRAPH VALUE)},
	/* d */
	{LIT("foo"), LIT("foo%")},
	{LIT("foo%"), LIT("foo%25%")},
	{LIT("."), LIT("%2E%")},
	{LIT("/"), LIT("%/%%")},
	{LIT("a/"), LIT("a/%%")},
	{LIT("a/.ATTRIBUTES"), LIT("a/.ATTRIBUTES%")},
	{LIT(".ATTRIBUTES/VARIABLE_VALUE"), LIT(".ATTRIBUTES/VARIABLE_VALUE%")},
	{LIT("w/.attributes/VARIABLE_VALUE"), LIT("w/.attributes/VARIABLE_VALUE%")},
};

static void assert_examples(enum name_flavour f, const struct example *example, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release) struct buf path = {0}, key = {0};
		struct bytes want = example[i].stem;

		ck_assert_int_eq(name_to_path(f, example[i].key, &path), 0);
		ck_assert_msg(bytes_eq(buf_bytes(&path), want), "%s key %zu is '%.*s', not '%s'",
			      FLAVOUR(f), i, (int)path.n, (char *)path.p, want.p);
		ck_assert_msg(name_from_path(f, want, &key) == 0 &&
				      bytes_eq(buf_bytes(&key), example[i].key),
			      "%s path '%s' does not give its key", FLAVOUR(f), want.p);
	}
}

START_TEST(plain_examples_are_as_the_rules_say)
{
	assert_examples(NAME_PLAIN, plain_example, COUNT(plain_example));
}
END_TEST

START_TEST(object_based_examples_are_as_the_rules_say)
{
	assert_examples(NAME_OBJECT, object_example, COUNT(object_example));
}
END_TEST

START_TEST(a_path_that_no_key_gives_is_refused)
{
	static const struct {
		enum name_flavour f;
		struct bytes stem;
	} bad[] = {
		{NAME_PLAIN, LIT("")},
		{NAME_PLAIN, LIT("%")},
		{NAME_PLAIN, LIT("/")},
		{NAME_PLAIN, LIT("/a")},
		{NAME_PLAIN, LIT("a/")},
		{NAME_PLAIN, LIT("a//b")},
		{NAME_PLAIN, LIT(".")},
		{NAME_PLAIN, LIT("a/../b")},
		{NAME_PLAIN, LIT("%2E.")},
		{NAME_PLAIN, LIT("a%2E")},
		{NAME_PLAIN, LIT("%41")},
		{NAME_PLAIN, LIT("%2F")},
		{NAME_PLAIN, LIT("%0a")},
		{NAME_PLAIN, LIT("%2e")},
		{NAME_PLAIN, LIT("%2")},
		{NAME_PLAIN, LIT("%2G")},
		{NAME_PLAIN, LIT("%%")},
		{NAME_PLAIN, LIT("a%")},
		{NAME_PLAIN, LIT("a%/b")},
		{NAME_PLAIN, LIT("%%/b")},
		{NAME_PLAIN, LIT("100%")},
		{NAME_PLAIN, LIT("a%b/c")},
		{NAME_PLAIN, LIT("x.npy/y")},
		{NAME_PLAIN, LIT("x.tsv/y")},
		{NAME_PLAIN, LIT("x.pbtxt/y")},
		{NAME_PLAIN, LIT("x%2Enpy")},
		{NAME_PLAIN, LIT("x%2Enpy%2E")},
		{NAME_PLAIN, LIT("a\nb")},
		{NAME_PLAIN, LIT("a\0b")},
		{NAME_PLAIN, LIT("\x7f")},
		{NAME_OBJECT, LIT("%%")},
		{NAME_OBJECT, LIT("%%%")},
		{NAME_OBJECT, LIT("a%%")},
		{NAME_OBJECT, LIT("w" VALUE)},
		{NAME_OBJECT, LIT("w" VALUE "%")},
		{NAME_OBJECT, LIT("w/.ATTRIBUTES/X%")},
		{NAME_OBJECT, LIT(GRAPH "%")},
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEANUP(buf_release) struct buf key = {0};

		must(buf_add_str(&key, "old"));
		ck_assert_msg(name_from_path(bad[i].f, bad[i].stem, &key) == -ENOENT, "'%s'",
			      bad[i].stem.p);
		ck_assert(bytes_eq(buf_bytes(&key), bytes_str("old")));
	}
}
END_TEST

/* --- rule 5 ------------------------------------------------------------------------------------------- */

/* Adds what SPEC says: NxTEXT is N times TEXT, other text is itself; a space ends each. */
static void add_spec(struct buf *b, const char *spec)
{
	while (*spec) {
		size_t len = strcspn(spec, " "), skip = 0;
		int count = 1, used = 0;

		if (sscanf(spec, "%dx%n", &count, &used) == 1 && used)
			skip = (size_t)used;
		else
			count = 1;
		for (int i = 0; i < count; i++)
			must(buf_add(b, spec + skip, len - skip));
		spec += len + (spec[len] == ' ');
	}
}

START_TEST(a_long_component_is_cut)
{
	static const struct {
		enum name_flavour f;
		const char *key, *stem;
	} example[] = {
		/* the limit: 255 for a folder, 251 for a file, 250 with a marker */
		{NAME_PLAIN, "251xn", "251xn"},
		{NAME_PLAIN, "252xn", "200xn %/ 52xn"},
		{NAME_PLAIN, "255xn /w", "255xn /w"},
		{NAME_PLAIN, "256xn /w", "200xn %/ 56xn /w"},
		{NAME_OBJECT, "250xn", "250xn %"},
		{NAME_OBJECT, "251xn", "200xn %/ 51xn %"},
		{NAME_OBJECT, "251xn " VALUE, "251xn"},
		{NAME_OBJECT, "252xn " VALUE, "200xn %/ 52xn"},
		/* what rule 4 adds counts */
		{NAME_PLAIN, "249xn .npy/w", "249xn %2Enpy/w"},
		{NAME_PLAIN, "250xn .npy/w", "200xn %/ 50xn %2Enpy/w"},
		/* many pieces, and the last one full */
		{NAME_PLAIN, "400xn", "200xn %/ 200xn"},
		{NAME_PLAIN, "401xn", "200xn %/ 200xn %/n"},
		{NAME_PLAIN, "601xn", "200xn %/ 200xn %/ 200xn %/n"},
		{NAME_OBJECT, "400xn", "200xn %/ 200xn %"},
		/* no escape is split */
		{NAME_PLAIN, "197xn % 100xn", "197xn %25 %/ 100xn"},
		{NAME_PLAIN, "198xn % 100xn", "198xn %/ %25 100xn"},
		{NAME_PLAIN, "199xn % 100xn", "199xn %/ %25 100xn"},
		{NAME_PLAIN, "200xn % 100xn", "200xn %/ %25 100xn"},
		{NAME_PLAIN, "100x%", "66x%25 %/ 34x%25"},
		/* rules 3 and 4 for what is left, and only for that */
		{NAME_PLAIN, "400xn .", "200xn %/ 200xn %/%2E"},
		{NAME_PLAIN, "400xn ..", "200xn %/ 200xn %/%2E%2E"},
		{NAME_PLAIN, "400xn .. /w", "200xn %/ 200xn %/%2E%2E/w"},
		{NAME_PLAIN, "400xn ...", "200xn %/ 200xn %/..."},
		{NAME_OBJECT, "400xn .", "200xn %/ 200xn %/%2E%"},
		{NAME_PLAIN, "400xn .npy/w", "200xn %/ 200xn %/%2Enpy/w"},
		{NAME_PLAIN, "400xn .npy", "200xn %/ 200xn %/.npy"},
		{NAME_PLAIN, "399xn .npy/w", "200xn %/ 199xn .%/npy/w"},
		{NAME_PLAIN, "196xn .npy 196xn .npy/w", "196xn .npy%/ 196xn %2Enpy/w"},
		{NAME_PLAIN, "300x.", "200x. %/ 100x."},
		/* each component by itself, and beside an empty one */
		{NAME_PLAIN, "300xa / 300xb", "200xa %/ 100xa / 200xb %/ 100xb"},
		{NAME_PLAIN, "300xa //b", "200xa %/ 100xa /%/b"},
		{NAME_OBJECT, "300xa /", "200xa %/ 100xa /%%"},
	};

	for (size_t i = 0; i < COUNT(example); i++) {
		CLEANUP(buf_release) struct buf key = {0}, want = {0}, path = {0};

		add_spec(&key, example[i].key);
		add_spec(&want, example[i].stem);
		ck_assert_int_eq(name_to_path(example[i].f, buf_bytes(&key), &path), 0);
		ck_assert_msg(bytes_eq(buf_bytes(&path), buf_bytes(&want)), "%s: '%.*s'",
			      example[i].key, (int)path.n, (char *)path.p);
		key.n = 0;
		ck_assert_int_eq(name_from_path(example[i].f, buf_bytes(&want), &key), 0);
		want.n = 0;
		add_spec(&want, example[i].key);
		ck_assert(bytes_eq(buf_bytes(&key), buf_bytes(&want)));
	}
}
END_TEST

START_TEST(a_component_cut_elsewhere_is_refused)
{
	static const char *const bad[] = {
		"252xn",
		"256xn /w",
		"199xn %/ 53xn",
		"201xn %/ 51xn",
		"200xn %/ 51xn",
		"200xn %/ 55xn /w",
		"200xn %/",
		"200xn %/%",
		"200xn %",
		"200xn %/ 200xn %",
		"200xn %/ 201xn",
		"200xn %/ 60xn %/w",
		"197xn %/ %25 99xn",
		"200xn %/ 200xn %/.",
		"200xn %/ 96xn .npy/w",
		"200xn / 200xn %/w",
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEANUP(buf_release) struct buf stem = {0}, key = {0};

		add_spec(&stem, bad[i]);
		ck_assert_msg(name_from_path(NAME_PLAIN, buf_bytes(&stem), &key) == -ENOENT, "%s",
			      bad[i]);
		ck_assert_uint_eq(key.n, 0);
	}
}
END_TEST

/* --- failures and sizes ------------------------------------------------------------------------------- */

START_TEST(an_empty_key_is_refused)
{
	struct buf path = {0};
	size_t len;

	for (enum name_flavour f = NAME_PLAIN; f <= NAME_OBJECT; f++) {
		ck_assert_int_eq(name_to_path(f, bytes_of(NULL, 0), &path), -EINVAL);
		ck_assert(!name_is_plain(f, bytes_of(NULL, 0), &len));
	}
	ck_assert_uint_eq(path.n, 0);
}
END_TEST

START_TEST(a_full_buffer_is_left_as_it_was)
{
	CLEANUP(buf_release) struct buf key = {0}, path = {0};

	add_spec(&key, "% /../ 300xn /x.npy//y. /.");
	ck_assert_int_eq(name_to_path(NAME_OBJECT, buf_bytes(&key), &path), 0);
	for (size_t max = 4; max < path.n + 3; max++) {
		CLEANUP(buf_release) struct buf small = {.max = max};

		must(buf_add_str(&small, "old"));
		ck_assert_int_eq(name_to_path(NAME_OBJECT, buf_bytes(&key), &small), -E2BIG);
		ck_assert(bytes_eq(buf_bytes(&small), bytes_str("old")));
	}
	for (size_t max = 4; max < key.n + 3; max++) {
		CLEANUP(buf_release) struct buf small = {.max = max};

		must(buf_add_str(&small, "old"));
		ck_assert_int_eq(name_from_path(NAME_OBJECT, buf_bytes(&path), &small), -E2BIG);
		ck_assert(bytes_eq(buf_bytes(&small), bytes_str("old")));
	}
}
END_TEST

START_TEST(a_key_of_a_megabyte_takes_a_small_multiple_of_it)
{
	static const char fill[][8] = {"a", "%", "/", ".", "/.", "a/", "%/"};

	for (size_t i = 0; i < COUNT(fill); i++) {
		CLEANUP(buf_release) struct buf key = {0}, path = {0};

		while (key.n < 1u << 20)
			must(buf_add_str(&key, fill[i]));
		for (enum name_flavour f = NAME_PLAIN; f <= NAME_OBJECT; f++) {
			path.n = 0;
			ck_assert_ptr_null(why_bad_key(f, buf_bytes(&key), &path));
			ck_assert_uint_le(path.cap, 5 * key.n);
		}
	}
}
END_TEST

/* --- properties --------------------------------------------------------------------------------------- */

static const struct bytes key_token[] = {
	LIT("%"),
	LIT("."),
	LIT("/"),
	LIT("\0"),
	LIT("\x7f"),
	LIT("\xff"),
	LIT("a"),
	LIT("npy"),
	LIT(".npy"),
	LIT(".tsv"),
	LIT(".pbtxt"),
	LIT("%25"),
	LIT("/.ATTRIBUTES/"),
	LIT(".ATTRIBUTES"),
	LIT("2E"),
	LIT("\x1f"),
	LIT(VALUE),
	LIT("VARIABLE_VALUE"),
	LIT(GRAPH),
};

static const struct bytes stem_token[] = {
	LIT("%"),
	LIT("%2E"),
	LIT("%2e"),
	LIT("%25"),
	LIT("%00"),
	LIT("%2F"),
	LIT("/"),
	LIT("a"),
	LIT("."),
	LIT("npy"),
	LIT(".npy"),
	LIT("/%/"),
	LIT("/.ATTRIBUTES/"),
	LIT(".ATTRIBUTES"),
	LIT("%2Enpy/"),
	LIT("\xff"),
	LIT(VALUE),
	LIT("VARIABLE_VALUE"),
	LIT(GRAPH),
	LIT("\n"),
};

/* A run that brings a component near to where it is cut. */
static void add_run(struct buf *b, uint64_t *state)
{
	static const size_t range[][2] = {{190, 260}, {196, 203}, {248, 257}, {400, 405}, {63, 68}};
	const size_t *r = range[random_below(state, COUNT(range))];
	uint8_t c = (uint8_t) "aaa.%"[random_below(state, 5)];

	for (size_t n = r[0] + random_below(state, r[1] - r[0] + 1); n; n--)
		must(buf_add_byte(b, c));
}

static void add_tokens(struct buf *b, uint64_t *state, const struct bytes *token, size_t n)
{
	for (size_t left = 1 + random_below(state, 8); left; left--) {
		struct bytes t = token[random_below(state, n)];

		if (random_below(state, 8) == 0)
			add_run(b, state);
		else
			must(buf_add(b, t.p, t.n));
	}
}

enum { BATCH = 250 };

START_TEST(random_keys_have_paths_of_their_own)
{
	uint64_t seed = (uint64_t)_i, state = seed;
	struct buf key[BATCH] = {0};
	struct set keys = {0};
	char where[32];

	snprintf(where, sizeof where, "seed %" PRIu64, seed);
	for (size_t i = 0; i < BATCH; i++) {
		add_tokens(&key[i], &state, key_token, COUNT(key_token));
		set_add(&keys, buf_bytes(&key[i]));
	}
	assert_good_keys(NAME_PLAIN, &keys, where);
	assert_good_keys(NAME_OBJECT, &keys, where);
	for (size_t i = 0; i < BATCH; i++)
		buf_release(&key[i]);
	free(keys.v);
}
END_TEST

/* The I-th of the strings of up to three of N tokens: digits of I to the base N+1, 0 for none. */
static void add_combination(struct buf *b, size_t i, const struct bytes *token, size_t n)
{
	for (; i; i /= n + 1)
		if (i % (n + 1))
			must(buf_add(b, token[i % (n + 1) - 1].p, token[i % (n + 1) - 1].n));
}

START_TEST(all_short_keys_have_paths_of_their_own)
{
	enum { N = COUNT(key_token) + 1, ALL = N * N * N };
	struct buf *key = calloc(ALL, sizeof *key);
	struct set keys = {0};

	ck_assert_ptr_nonnull(key);
	for (size_t i = 1; i < ALL; i++) {
		add_combination(&key[i], i, key_token, N - 1);
		set_add(&keys, buf_bytes(&key[i]));
	}
	assert_good_keys(NAME_PLAIN, &keys, "short keys");
	assert_good_keys(NAME_OBJECT, &keys, "short keys");
	for (size_t i = 1; i < ALL; i++)
		buf_release(&key[i]);
	free(key);
	free(keys.v);
}
END_TEST

/* Whether STEM is accepted; if so, its key must give it again. */
static bool assert_inverse(enum name_flavour f, struct bytes stem)
{
	CLEANUP(buf_release) struct buf key = {0}, again = {0};
	int r = name_from_path(f, stem, &key);

	if (r == -ENOENT) {
		ck_assert_uint_eq(key.n, 0);
		return false;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(name_to_path(f, buf_bytes(&key), &again), 0);
	ck_assert_msg(bytes_eq(stem, buf_bytes(&again)), "%s: '%.*s' is taken for '%.*s'",
		      FLAVOUR(f), (int)stem.n, (const char *)stem.p, (int)again.n, (char *)again.p);
	return true;
}

START_TEST(a_random_path_is_refused_or_its_keys_own)
{
	uint64_t state = (uint64_t)_i;
	size_t accepted[2] = {0};

	for (int n = 0; n < 2 * BATCH; n++) {
		enum name_flavour f = n & 1 ? NAME_OBJECT : NAME_PLAIN;
		CLEANUP(buf_release) struct buf stem = {0};

		add_tokens(&stem, &state, stem_token, COUNT(stem_token));
		accepted[f] += assert_inverse(f, buf_bytes(&stem));
	}
	ck_assert_msg(accepted[0] && accepted[1], "seed %d accepts no path", _i);
}
END_TEST

START_TEST(all_short_paths_are_refused_or_their_keys_own)
{
	enum { N = COUNT(stem_token) + 1, ALL = N * N * N };
	size_t accepted[2] = {0};

	for (size_t i = 1; i < ALL; i++) {
		CLEANUP(buf_release) struct buf stem = {0};

		add_combination(&stem, i, stem_token, N - 1);
		accepted[0] += assert_inverse(NAME_PLAIN, buf_bytes(&stem));
		accepted[1] += assert_inverse(NAME_OBJECT, buf_bytes(&stem));
	}
	ck_assert(accepted[0] && accepted[1]);
}
END_TEST

START_TEST(a_path_with_one_byte_changed_is_refused_or_its_keys_own)
{
	uint64_t state = (uint64_t)_i;

	for (int n = 0; n < BATCH; n++) {
		enum name_flavour f = n & 1 ? NAME_OBJECT : NAME_PLAIN;
		CLEANUP(buf_release) struct buf key = {0}, stem = {0};

		add_tokens(&key, &state, key_token, COUNT(key_token));
		ck_assert_int_eq(name_to_path(f, buf_bytes(&key), &stem), 0);
		stem.p[random_below(&state, stem.n)] =
			(uint8_t) "%/.2Ea\n"[random_below(&state, 7)];
		assert_inverse(f, buf_bytes(&stem));
	}
}
END_TEST

/* --- real keys ---------------------------------------------------------------------------------------- */

static void add_hex(struct buf *b, const char *hex)
{
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		must(buf_add_byte(b, (uint8_t)byte));
}

START_TEST(the_keys_that_tensorflow_saved_have_paths_of_their_own)
{
	FILE *file = fopen(ASSETS "/names/keys.hex", "re");
	CLEANUP(freep) char *line = NULL;
	struct buf key[128] = {0};
	struct set keys = {0};
	size_t n = 0, cap = 0;

	ck_assert_ptr_nonnull(file);
	while (getline(&line, &cap, file) > 0) {
		ck_assert_uint_lt(n, COUNT(key));
		add_hex(&key[n], strchr(line, ' ') + 1);
		set_add(&keys, buf_bytes(&key[n++]));
	}
	fclose(file);
	ck_assert_uint_eq(n, 61);
	assert_good_keys(NAME_PLAIN, &keys, "keys.hex");
	assert_good_keys(NAME_OBJECT, &keys, "keys.hex");
	while (n)
		buf_release(&key[--n]);
	free(keys.v);
}
END_TEST

/* --- entries ------------------------------------------------------------------------------------------ */

START_TEST(entries_are_named_by_the_rules_for_folders)
{
	static const struct {
		struct bytes entry, name;
		bool clash;
	} example[] = {
		{LIT("my-model-0"), LIT("my-model-0"), false},
		{LIT("my-model-0"), LIT("my-model-0%2F"), true},
		{LIT("my-model-0%2F"), LIT("my-model-0%252F"), false},
		{LIT("my-model-0%2F"), LIT("my-model-0%252F%2F"), true},
		{LIT("100%"), LIT("100%25"), false},
		{LIT("a\nb\x7f"), LIT("a%0Ab%7F"), false},
		{LIT("x.npy"), LIT("x%2Enpy"), false},
		{LIT("."), LIT("%2E"), false},
		{LIT(".."), LIT("%2E%2E"), false},
		{LIT(""), LIT("%"), false},
		{LIT(""), LIT("%%2F"), true},
		{LIT(GRAPH), LIT(GRAPH), false},
	};

	for (size_t i = 0; i < COUNT(example); i++) {
		CLEANUP(buf_release) struct buf name = {0}, entry = {0};
		bool clash = !example[i].clash;

		ck_assert_int_eq(name_from_entry(example[i].entry, example[i].clash, &name), 0);
		ck_assert_msg(bytes_eq(buf_bytes(&name), example[i].name), "'%.*s' is not '%s'",
			      (int)name.n, (char *)name.p, example[i].name.p);
		ck_assert_int_eq(name_to_entry(example[i].name, &entry, &clash), 0);
		ck_assert(bytes_eq(buf_bytes(&entry), example[i].entry));
		ck_assert(clash == example[i].clash);
	}
}
END_TEST

START_TEST(a_name_that_no_entry_gives_is_refused)
{
	static const struct bytes bad[] = {
		LIT(""),     LIT("."),     LIT(".."),      LIT("%2F"),   LIT("%2f"), LIT("a%2f"),
		LIT("a%"),   LIT("%%"),    LIT("%41"),     LIT("a/b"),   LIT("%00"), LIT("a%00b"),
		LIT("a\nb"), LIT("x.npy"), LIT("a%2F%2F"), LIT("a%2Fb"),
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEANUP(buf_release) struct buf entry = {0};
		bool clash = true;

		must(buf_add_str(&entry, "old"));
		ck_assert_msg(name_to_entry(bad[i], &entry, &clash) == -ENOENT, "'%s'", bad[i].p);
		ck_assert(bytes_eq(buf_bytes(&entry), bytes_str("old")));
		ck_assert(clash);
	}
}
END_TEST

START_TEST(an_entry_is_never_cut)
{
	CLEANUP(buf_release) struct buf entry = {0}, name = {0}, back = {0};
	bool clash;

	add_spec(&entry, "252xn");
	ck_assert_int_eq(name_from_entry(buf_bytes(&entry), true, &name), 0);
	ck_assert_uint_eq(name.n, 255);
	ck_assert_int_eq(name_to_entry(buf_bytes(&name), &back, &clash), 0);
	add_spec(&entry, "n");
	ck_assert_int_eq(name_from_entry(buf_bytes(&entry), true, &name), -ENAMETOOLONG);
	ck_assert_uint_eq(name.n, 255);
	entry.n = 0;
	add_spec(&entry, "86x%");
	ck_assert_int_eq(name_from_entry(buf_bytes(&entry), false, &name), -ENAMETOOLONG);
	name.n = 0;
	add_spec(&name, "86x%25");
	ck_assert_int_eq(name_to_entry(buf_bytes(&name), &back, &clash), -ENOENT);
	ck_assert_int_eq(name_from_entry((struct bytes)LIT("a/b"), false, &name), -EINVAL);
	ck_assert_int_eq(name_from_entry((struct bytes)LIT("a\0b"), false, &name), -EINVAL);
}
END_TEST

TCase *name_tests(void)
{
	TCase *t = tcase_create("name");

	tcase_add_test(t, plain_examples_are_as_the_rules_say);
	tcase_add_test(t, object_based_examples_are_as_the_rules_say);
	tcase_add_test(t, a_path_that_no_key_gives_is_refused);
	tcase_add_test(t, a_long_component_is_cut);
	tcase_add_test(t, a_component_cut_elsewhere_is_refused);
	tcase_add_test(t, an_empty_key_is_refused);
	tcase_add_test(t, a_full_buffer_is_left_as_it_was);
	tcase_add_test(t, a_key_of_a_megabyte_takes_a_small_multiple_of_it);
	tcase_add_loop_test(t, random_keys_have_paths_of_their_own, 0, 80);
	tcase_add_test(t, all_short_keys_have_paths_of_their_own);
	tcase_add_loop_test(t, a_random_path_is_refused_or_its_keys_own, 0, 80);
	tcase_add_test(t, all_short_paths_are_refused_or_their_keys_own);
	tcase_add_loop_test(t, a_path_with_one_byte_changed_is_refused_or_its_keys_own, 0, 80);
	tcase_add_test(t, the_keys_that_tensorflow_saved_have_paths_of_their_own);
	tcase_add_test(t, entries_are_named_by_the_rules_for_folders);
	tcase_add_test(t, a_name_that_no_entry_gives_is_refused);
	tcase_add_test(t, an_entry_is_never_cut);
	return t;
}
