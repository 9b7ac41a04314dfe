#include "step/text_kind.h"

struct text {
	const char *name, *sidecar, *ending;
};

#define TEXT(kind, stem, ending, sidecar) [TEXT_##kind] = {stem ending, sidecar, ending}

static const struct text texts[N_TEXTS] = {
	TEXT(VARIABLES, "variables", ".tsv", NULL),
	TEXT(META_GRAPH, "meta_graph", ".pbtxt", META_SUFFIX),
	TEXT(OBJECT_GRAPH, "object_graph", ".pbtxt", NULL),
	TEXT(DEBUG_INFO, "debug_info", ".pbtxt", "debug"),
};

const char *text_name(enum text_kind kind)
{
	return texts[kind].name;
}

enum text_kind text_kind_of(const char *name)
{
	enum text_kind kind = 0;

	while (kind < N_TEXTS && strcmp(name, texts[kind].name) != 0)
		kind++;
	return kind;
}

const char *text_sidecar(enum text_kind kind, const char *meta)
{
	return kind == TEXT_META_GRAPH && meta ? meta : texts[kind].sidecar;
}

size_t file_ending(struct bytes name)
{
	const uint8_t *dot = name.n ? memrchr(name.p, '.', name.n) : NULL;
	struct bytes last;

	if (!dot) /* as it is with most */
		return 0;
	last = bytes_of(dot, (size_t)(name.p + name.n - dot));
	if (bytes_eq(last, bytes_str(VAR_ENDING)))
		return last.n;
	for (enum text_kind kind = 0; kind < N_TEXTS; kind++)
		if (bytes_eq(last, bytes_str(texts[kind].ending)))
			return last.n;
	return 0;
}
