#include "store/kept.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/source.h"
#include "store/companion.h"
#include "store/listing.h"
#include <fcntl.h>

enum { MAX_TRIES = 1000 };

void kept_release(struct kept *k)
{
	free(k->name);
	buf_release(&k->bytes);
	buf_release(&k->shards);
	*k = (struct kept){0};
}

static struct file_id id_of(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? (struct file_id){0}
								  : file_id_of(&st);
}

static bool is_same(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static int shard_name(const char *name, uint32_t number, uint32_t of, struct buf *out)
{
	const struct step_place p = {.name = (char *)name, .format = STEP_V2};

	return step_shard_name(&p, number, of, out);
}

int kept_note(struct kept *k, int from, const char *index, int top, const char *name,
	      uint32_t num_shards, struct err *e)
{
	struct source src;
	CLEANUP(closep) int fd = source_open(from, index, &src, e);
	int r = fd < 0 ? fd : source_read(&src, 0, src.size, &k->bytes, e);

	if (r < 0)
		return r;
	k->name = strdup(name);
	k->num_shards = num_shards;
	k->index = id_of(from, index);
	for (uint32_t i = 0; r == 0 && i < num_shards; i++) {
		CLEANUP(buf_release) struct buf file = {0};
		struct file_id id;

		r = shard_name(name, i, num_shards, &file);
		id = r == 0 ? id_of(top, (char *)file.p) : (struct file_id){0};
		if (r == 0)
			r = buf_add(&k->shards, &id, sizeof id);
	}
	return r < 0 || !k->name ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* Takes the name NAME away from its shards, as far as it is theirs. */
static void unlink_shards(const struct kept *k, int top, const char *name)
{
	const struct file_id *ids = (const struct file_id *)k->shards.p;

	for (uint32_t i = 0; i < k->num_shards; i++) {
		CLEANUP(buf_release) struct buf file = {0};
		struct file_id now;

		if (shard_name(name, i, k->num_shards, &file) < 0)
			return;
		now = id_of(top, (char *)file.p);
		if (ids[i].ino && is_same(&now, &ids[i]))
			io_remove_file(top, (char *)file.p, NULL);
	}
}

/* Its shards under the name TO too; what was done is undone if not all can be had. */
static int link_shards(const struct kept *k, int top, const char *to, struct err *e)
{
	const struct file_id *ids = (const struct file_id *)k->shards.p;
	uint32_t i;
	int r = 0;

	for (i = 0; r == 0 && i < k->num_shards; i++) {
		CLEANUP(buf_release) struct buf from = {0}, name = {0};
		struct file_id now;

		if (!ids[i].ino)
			continue;
		if (shard_name(k->name, i, k->num_shards, &from) < 0 ||
		    shard_name(to, i, k->num_shards, &name) < 0)
			return err_set(e, -ENOMEM, "no memory");
		now = id_of(top, (char *)from.p);
		if (!now.ino)
			r = -ENOENT; /* it was removed, and is another's name now */
		else if (!is_same(&now, &ids[i]))
			r = err_set(e, -ESTALE, "%s: was overwritten", (char *)from.p);
		else
			r = io_place(top, (char *)from.p, top, (char *)name.p, e);
	}
	if (r < 0)
		unlink_shards(k, top, to);
	return r;
}

static int publish(struct kept *k, int top, const char *to, const char *meta, struct err *e)
{
	CLEANUP(buf_release) struct buf index = {0}, old_meta = {0}, new_meta = {0};
	struct step_place from_place = {.name = k->name}, to_place = {.name = (char *)to};
	char *copy = strdup(to);
	int r = copy ? link_shards(k, top, to, e) : -ENOMEM;

	if (r == 0)
		r = companion_name(&from_place, meta, &old_meta);
	if (r == 0)
		r = companion_name(&to_place, meta, &new_meta);
	if (r == 0) {
		r = io_place(top, (char *)old_meta.p, top, (char *)new_meta.p, e);
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0 && (r = buf_printf(&index, "%s.index", to)) == 0)
		r = buf_add_byte(&index, 0);
	if (r == 0)
		r = io_put_new(top, (char *)index.p, buf_bytes(&k->bytes), 0644, e);
	if (r < 0) {
		free(copy);
		return r;
	}
	unlink_shards(k, top, k->name); /* beside the other step they would be strays */
	free(k->name);
	k->name = copy;
	k->index = id_of(top, (char *)index.p);
	return 0;
}

int kept_restore(struct kept *k, int top, const char *meta, struct err *e)
{
	CLEANUP(buf_release) struct buf index = {0};
	struct file_id now;
	int r;

	if (buf_printf(&index, "%s.index", k->name) < 0 || buf_add_byte(&index, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	now = id_of(top, (char *)index.p);
	if (!now.ino)
		return -ENOENT;
	if (is_same(&now, &k->index))
		return 0;
	r = -EEXIST;
	for (unsigned i = 0; r == -EEXIST && i < MAX_TRIES; i++) {
		CLEANUP(listing_release) struct listing l = {0};
		CLEANUP(buf_release) struct buf to = {0};

		r = listing_read(top, "checkpoint", &l, e);
		if (r == 0)
			r = step_next_free(top, &l, k->name, &to, e);
		if (r == 0)
			r = publish(k, top, (char *)to.p, meta, e);
	}
	return r < 0 ? r : 1;
}
