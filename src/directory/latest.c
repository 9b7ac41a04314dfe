#include "directory/latest.h"
#include "base/cleanup.h"
#include "base/source.h"
#include <inttypes.h>

/* Room for tens of thousands of steps. */
enum { MAX_STATE = 4 << 20 };

const struct listed *latest_resolve(const struct listing *l, const char *path)
{
	const struct listed *item = NULL;

	for (int windows = 0; windows < 2 && !item; windows++) {
		struct bytes step = state_step(path, windows);
		CLEANUP(freep) char *name = strndup((const char *)step.p, step.n);

		item = name ? listing_find_step(l, name) : NULL;
		/* TensorFlow follows a link to a V1 file; of V2 it looks for an index. */
		if (item && strcmp(item->place.name, name) != 0 &&
		    (item->place.format != STEP_V1 || item->place.shards))
			item = NULL;
	}
	return item;
}

int state_file_read(int dirfd, const char *name, struct buf *text, struct err *e)
{
	struct source src;
	CLEANUP(closep) int fd = source_open(dirfd, name, &src, e);

	if (fd < 0)
		return fd;
	if (src.size > MAX_STATE)
		return err_set(e, -EINVAL, "too large for a state file");
	return source_read(&src, 0, src.size, text, e);
}

char *state_path(struct bytes folder, const struct step_place *p)
{
	CLEANUP(buf_release) struct buf path = {0};
	int r = buf_add(&path, folder.p, folder.n);

	if (r == 0)
		r = buf_add_str(&path, p->name);
	if (r == 0 && p->format == STEP_V1 && p->shards)
		r = buf_printf(&path, "-%s-of-%05" PRIu32, "?????", p->shards);
	if (r == 0)
		r = buf_add_byte(&path, 0);
	return r < 0 ? NULL : (char *)TAKE(path.p, NULL);
}

int latest_read(int dirfd, const char *state_name, struct state *out, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	int r = state_file_read(dirfd, state_name, &text, e);

	if (r == 0)
		r = state_parse(buf_bytes(&text), out, e);
	return r < 0 ? err_wrap(e, r, "%s", state_name) : 0;
}

int latest_find(const struct listing *l, const char *state_name, const struct state *s,
		const struct listed **out, struct err *e)
{
	*out = latest_resolve(l, s->latest);
	if (!*out)
		return err_set(e, -ENOENT, "%s: names %s, which is not in its directory",
			       state_name, s->latest);
	return 0;
}
