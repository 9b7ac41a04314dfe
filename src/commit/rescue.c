#include "commit/rescue.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/lacks.h"
#include "base/source.h"
#include "directory/family.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "message/state.h"
#include "step/sidecar.h"
#include <fcntl.h>

enum { MAX_TRIES = 1000 };

void rescue_release(struct rescue *k)
{
	if (k->name)
		closep(&k->fd);
	free(k->name);
	free(k->shards);
	*k = (struct rescue){0};
}

/* Zeros for one that is not there. */
static int id_of(int dirfd, const char *name, struct file_id *out, struct err *e)
{
	int r;

	*out = (struct file_id){0};
	r = file_id_at(dirfd, name, out, e);
	return r == -ENOENT ? 0 : r;
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

static int meta_name(const char *name, const char *suffix, struct buf *out)
{
	return sidecar_name(&(struct step_place){.name = (char *)name}, suffix, out);
}

/* --- noting ------------------------------------------------------------------------------------------------ */

static int note_files(struct rescue *k, int top, const char *name, const char *meta, int index,
		      struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct stat st;
	int r;

	if (fstat(index, &st) < 0)
		return err_sys(e, -errno, "fstat");
	k->index = file_id_of(&st);
	k->mode = st.st_mode & 0666;
	k->size = k->format == STEP_V2 ? (uint64_t)st.st_size : 0;
	if (meta_name(name, meta, &file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = id_of(top, (char *)file.p, &k->meta, e);
	for (uint32_t i = 0; r == 0 && i < k->num_shards; i++) {
		if (shard_name(name, i, k->num_shards, &file) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = id_of(top, (char *)file.p, &k->shards[i], e);
	}
	return r;
}

/* As rescue_note; FD, which becomes K's, is kept. */
static int note(struct rescue *k, int top, const char *name, enum step_format format,
		uint32_t num_shards, const char *meta, int index, int fd, struct err *e)
{
	int r;

	*k = (struct rescue){.name = strdup(name),
			     .format = format,
			     .num_shards = num_shards,
			     .fd = fd,
			     .shards = calloc(num_shards + (size_t)1, sizeof *k->shards)};
	r = k->name && k->shards ? note_files(k, top, name, meta, index, e)
				 : err_set(e, -ENOMEM, "no memory");
	if (r < 0) {
		closep(&k->fd);
		rescue_release(k);
	}
	return r;
}

static int same_file(int fd, struct err *e)
{
	int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return again < 0 ? err_sys(e, -errno, "a descriptor") : again;
}

/* It is open for long, so it must not have a name in ROOM for so long. */
static int copy_index(int room, int index, struct err *e)
{
	int fd = lacks_at(room) & LACKS_REMOVAL ? io_nameless_elsewhere(e) : io_nameless(room, e);
	struct stat st;
	int r = fd;

	if (r >= 0 && fstat(index, &st) < 0)
		r = err_sys(e, -errno, "fstat");
	if (r >= 0)
		r = io_copy_range(index, 0, fd, 0, (uint64_t)st.st_size, e);
	if (r < 0)
		closep(&fd);
	return r < 0 ? r : fd;
}

int rescue_note(struct rescue *k, int top, int room, const char *name, enum step_format format,
		uint32_t num_shards, const char *meta, int index, struct err *e)
{
	int fd = format == STEP_V2 ? copy_index(room, index, e) : same_file(index, e);

	return fd < 0 ? fd : note(k, top, name, format, num_shards, meta, index, fd, e);
}

/* --- publishing it again ----------------------------------------------------------------------------------- */

/* Takes the name NAME away from its shards, as far as it is theirs. */
static void unlink_shards(const struct rescue *k, int top, const char *name)
{
	for (uint32_t i = 0; i < k->num_shards; i++) {
		CLEANUP(buf_release) struct buf file = {0};

		if (shard_name(name, i, k->num_shards, &file) == 0 && k->shards[i].ino)
			placed_remove(top, (char *)file.p, &k->shards[i], NULL);
	}
}

/* What is called FROM is called TO as well; P remembers it. */
static int place(int top, const char *from, const struct file_id *id, const char *to,
		 struct placed *p, struct err *e)
{
	struct file_id now;
	int r = placed_reserve(p, to);

	if (r < 0)
		return err_set(e, r, "no memory");
	r = placed_link(top, from, id, top, to, &now, e);
	if (r == 0)
		placed_add(p, to, &now);
	return r;
}

static int place_shards(const struct rescue *k, int top, const char *to, struct placed *p,
			struct err *e)
{
	CLEANUP(buf_release) struct buf from = {0}, name = {0};
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < k->num_shards; i++) {
		if (!k->shards[i].ino)
			continue;
		if (shard_name(k->name, i, k->num_shards, &from) < 0 ||
		    shard_name(to, i, k->num_shards, &name) < 0)
			return err_set(e, -ENOMEM, "no memory");
		/* -ENOENT: it was removed, and is another's name now. */
		r = place(top, (char *)from.p, &k->shards[i], (char *)name.p, p, e);
	}
	return r;
}

/* The file with ID has some name in TOP that ends with SUFFIX: that of the base, if the trainer's took its place. */
static int find_name(int top, const struct file_id *id, const char *suffix, struct buf *out,
		     struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(top, ".");
	const struct dirent *de;
	int r = s ? 0 : err_sys(e, -errno, "the checkpoint directory");

	while (r == 0 && (de = dir_read(s, &r))) {
		struct file_id now;

		if (!bytes_ends(bytes_str(de->d_name), bytes_str(suffix)))
			continue;
		r = id_of(top, de->d_name, &now, e);
		if (r == 0 && is_same(&now, id))
			return buf_add(out, de->d_name, strlen(de->d_name) + 1) < 0
				       ? err_set(e, -ENOMEM, "no memory")
				       : 1;
	}
	return r;
}

/* A step whose meta graph is lost is one without. */
static int place_meta(const struct rescue *k, int top, const char *to, const char *meta,
		      struct placed *p, struct err *e)
{
	CLEANUP(buf_release) struct buf from = {0}, name = {0};
	int r;

	if (meta_name(to, meta, &name) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = k->meta.ino ? find_name(top, &k->meta, meta, &from, e) : 0;
	if (r == 1)
		r = place(top, (char *)from.p, &k->meta, (char *)name.p, p, e);
	return r == -ENOENT || r == -ESTALE ? 0 : r;
}

/* Makes the file NAME of K's index. */
static int put_index(const struct rescue *k, int top, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf bytes = {0};
	struct source src;
	int r = source_of_fd(k->fd, &src, e);

	if (r == 0)
		r = source_read(&src, 0, src.size, &bytes, e);
	return r < 0 ? r : io_put_new(top, name, buf_bytes(&bytes), k->mode, e);
}

/* The same of K's V1 file, which has its own name if that is only hidden. */
static int put_v1(const struct rescue *k, int top, const char *name, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct file_id now;
	struct stat st;
	int r = id_of(top, k->name, &now, e);

	if (r == 0 && is_same(&now, &k->index))
		return placed_link(top, k->name, &now, top, name, &now, e);
	if (r == 0 && fstat(k->fd, &st) < 0)
		r = err_sys(e, -errno, "fstat");
	if (r == 0)
		r = fd = io_nameless(top, e);
	if (r >= 0)
		r = io_copy_range(k->fd, 0, fd, 0, (uint64_t)st.st_size, e);
	if (r == 0 && fchmod(fd, k->mode) < 0)
		r = err_sys(e, -errno, "fchmod");
	if (r == 0)
		r = io_sync(fd, name, e);
	return r < 0 ? r : io_link_fd(fd, top, name, e);
}

static int place_index(const struct rescue *k, int top, const char *to, struct placed *p,
		       struct file_id *id, struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};
	int r = step_file_name(k->format, to, &name);

	if (r == 0)
		r = placed_reserve(p, (char *)name.p);
	if (r < 0)
		return err_set(e, r, "no memory");
	r = (k->format == STEP_V2 ? put_index : put_v1)(k, top, (char *)name.p, e);
	if (r < 0)
		return r;
	r = id_of(top, (char *)name.p, id, e);
	if (r == 0)
		placed_add(p, (char *)name.p, id);
	else
		io_remove_file(top, (char *)name.p, NULL); /* which it has not had for long */
	return r;
}

static int is_file(const void *id, int dirfd, const char *name, struct err *e)
{
	struct file_id now;
	int r = id_of(dirfd, name, &now, e);

	return r < 0 ? r : is_same(&now, id);
}

/* K is the step TO now, whose files P has. */
static int take_over(struct rescue *k, int top, const char *to, const char *meta,
		     const struct file_id *index, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	CLEANUP(closep) int fd = -1;
	struct rescue now = {0};
	int r = step_file_name(k->format, to, &file), keep;

	if (r < 0)
		return err_set(e, r, "no memory");
	r = fd = placed_open(top, (char *)file.p, index, e);
	if (r >= 0)
		r = keep = same_file(k->format == STEP_V2 ? k->fd : fd, e);
	if (r >= 0)
		r = note(&now, top, to, k->format, k->num_shards, meta, fd, keep, e);
	if (r < 0)
		return r;
	unlink_shards(k, top, k->name); /* beside the other step they would be strays */
	if (k->format == STEP_V1) /* as would this, where it is hidden */
		placed_remove_if(top, k->name, is_file, &k->index, NULL);
	rescue_release(k);
	*k = now;
	return 0;
}

static int publish(struct rescue *k, int top, const char *to, const char *meta, struct err *e)
{
	struct placed placed = {0};
	struct file_id index;
	int r = place_shards(k, top, to, &placed, e);

	if (r == 0)
		r = place_meta(k, top, to, meta, &placed, e);
	if (r == 0)
		r = place_index(k, top, to, &placed, &index, e);
	if (r == 0)
		r = take_over(k, top, to, meta, &index, e);
	if (r < 0)
		placed_take_back(&placed, top);
	placed_release(&placed);
	return r;
}

/* Has the file NAME, which is NOW, the bytes of K's index? Not if it is being written. */
static bool has_bytes(const struct rescue *k, int top, const char *name, const struct file_id *now)
{
	CLEANUP(closep) int fd = placed_open(top, name, now, NULL);
	struct source want, have;

	return fd >= 0 && source_of_fd(fd, &have, NULL) == 0 &&
	       source_of_fd(k->fd, &want, NULL) == 0 && source_same(&want, &have, NULL) == 1;
}

/* Is it where it was? As rescue_restore. */
static int is_there(struct rescue *k, int top, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0}, index = {0};
	struct file_id now, hides;
	int r;

	if (step_file_name(k->format, k->name, &file) < 0 || step_index_name(k->name, &index) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = file_id_at(top, (char *)file.p, &now, e);
	if (r < 0)
		return r;
	if (k->format == STEP_V1) {
		r = id_of(top, (char *)index.p, &hides, e);
		return r < 0 ? r : hides.ino || !is_same(&now, &k->index);
	}
	if (file_id_eq(&now, &k->index))
		return 0;
	if (!has_bytes(k, top, (char *)file.p, &now))
		return 1;
	k->index = now; /* touched, or put back */
	return 0;
}

int rescue_restore(struct rescue *k, int top, const char *meta, struct err *e)
{
	int r = is_there(k, top, e);

	if (r <= 0)
		return r;
	r = -EEXIST;
	for (unsigned i = 0; r == -EEXIST && i < MAX_TRIES; i++) {
		CLEANUP(listing_release) struct listing l = {0};
		CLEANUP(buf_release) struct buf to = {0};

		r = listing_read(top, STATE_NAME, &l, e);
		if (r == 0)
			r = step_next_free(top, &l, k->name, false, &to, e);
		if (r == 0)
			r = publish(k, top, (char *)to.p, meta, e);
	}
	return r < 0 ? r : 1;
}
