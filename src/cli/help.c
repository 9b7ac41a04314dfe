#include "cli/help.h"
#include <stddef.h>
#include <string.h>

/* tests/cli/help.sh runs them all, in this order and in one folder, where net and other are checkpoint directories. */
static const struct {
	const char *verb, *lines;
} examples[] = {
	{"ls", "  ckptfs ls -l net\n"
	       "  ckptfs ls -lRS net/latest  # the largest variables first\n"
	       "  ckptfs ls 'net/model-*/**/kernel'\n"},
	{"tree", "  ckptfs tree -h net/latest  # how much each scope takes\n"
		 "  ckptfs tree -L 1 net\n"},
	{"cat", "  ckptfs cat net/latest/output/bias\n"
		"  ckptfs cat --format csv net/latest/output/kernel\n"
		"  ckptfs cat --format npy net/latest/output/bias > bias.npy\n"},
	{"stat", "  ckptfs stat net/latest  # a table of all variables\n"
		 "  ckptfs stat net/latest/output/bias  # all that is known of one\n"
		 "  ckptfs stat --json 'net/*/output/bias'\n"},
	{"diff",
	 "  ckptfs diff net/model-100 net/model-200\n"
	 "  ckptfs diff --names-only net/model-100/output net/model-200/output\n"
	 "  ckptfs diff --tolerance 1e-3 net/model-100/output/bias net/latest/output/bias\n"},
	{"log", "  ckptfs log net\n"
		"  ckptfs log --names net  # and which variables changed\n"},
	{"average", "  ckptfs average net/model-100 net/model-200 -o mean\n"},
	{"cast", "  ckptfs cast --to bfloat16 net/latest -o half\n"
		 "  ckptfs cast --to float16 '**/kernel' net/latest -o kernels\n"},
	{"merge", "  ckptfs merge --prefer a net/model-200 other/model-100 -o both\n"},
	{"export", "  ckptfs export net/latest model.safetensors\n"
		   "  ckptfs export net/latest/output output.safetensors  # one scope\n"
		   "  ckptfs export net/latest arrays.npz  # for numpy.load\n"},
	{"import", "  ckptfs import model.safetensors net/imported\n"
		   "  ckptfs import arrays.npz net/arrays  # of numpy.savez\n"},
	{"rm", "  ckptfs rm 'net/latest/**/Momentum'  # drops optimizer slots\n"
	       "  ckptfs rm -r net/imported  # a step\n"},
	{"mv", "  ckptfs mv net/latest/output net/latest/head  # renames a scope\n"
	       "  ckptfs mv net/both net/best  # a step\n"},
	{"cp", "  ckptfs cp net/latest/head/bias bias.npy  # out\n"
	       "  ckptfs cp bias.npy net/model-100/output/bias  # in\n"
	       "  ckptfs cp other/model-100/output/kernel net/latest/head/kernel\n"
	       "  ckptfs cp -r net/model-100 net/tuned  # a step\n"},
	{"ln", "  ckptfs ln net/model-100 net/good  # a second name\n"
	       "  ckptfs ln net/model-100 net/latest  # it is the latest one now\n"},
	{"mkdir", "  ckptfs mkdir net/old\n"
		  "  ckptfs mv net/tuned net/old/\n"},
	{"edit", "  ckptfs edit -n net/latest 'mv output head'  # only says what would change\n"
		 "  ckptfs edit net/latest 'rm **/Momentum' 'mv output head'\n"
		 "  ckptfs edit -o slim net/latest 'rm hidden/bias'  # under this name\n"},
	{"dedup", "  ckptfs dedup -n net  # what it would save\n"
		  "  ckptfs dedup net\n"},
	{"status", "  ckptfs status net\n"},
	{"commit", "  ckptfs commit net/model-200\n"},
	{"discard", "  ckptfs discard net/model-200\n"},
	{"verify", "  ckptfs verify net\n"
		   "  ckptfs verify -n net/model-200  # one step, and nothing is repaired\n"},
	{"mount", "  mkdir ckpt\n"
		  "  ckptfs mount net ckpt\n"},
	{"umount", "  ckptfs umount ckpt\n"},
};

const char *help_examples(const char *verb)
{
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
		if (!strcmp(verb, examples[i].verb))
			return examples[i].lines;
	return NULL;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

unsigned help_distance(const char *a, const char *b)
{
	enum { LONGEST = 15 };
	unsigned d[LONGEST + 1][LONGEST + 1];
	size_t n = strnlen(a, LONGEST), m = strnlen(b, LONGEST);

	for (size_t i = 0; i <= n; i++)
		for (size_t k = 0; k <= m; k++) {
			if (!i || !k) {
				d[i][k] = (unsigned)(i + k);
				continue;
			}
			d[i][k] = least(d[i - 1][k] + 1, d[i][k - 1] + 1,
					d[i - 1][k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
			    d[i - 2][k - 2] + 1 < d[i][k])
				d[i][k] = d[i - 2][k - 2] + 1;
		}
	return d[n][m];
}
