#include "step/attr.h"
#include <sys/types.h>

/* What lists a folder, and some that read a file, take pieces of this size; each is a request, so a page would be too little. */
enum { BLOCK_SIZE = 128 << 10 };

/* Of a variable. Python reads so much when it has opened a file, and np.load reads it again. cp and cat take larger pieces anyway. */
enum { VAR_BLOCK = 16 << 10 };

/* Of what is written. Larger pieces are fewer requests, but cp(1) has a new buffer for each file, and touching its pages costs
 * more than these. */
enum { WRITE_BLOCK = 256 << 10 };

/* --- inode numbers ----------------------------------------------------------------------------------------- */

/* A multiply-xorshift mix: it keeps numbers apart, but not against an adversary, which nothing relies on. */
static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static uint64_t mix_bytes(uint64_t h, struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		h = mix(h, b.p[i]);
	return mix(h, b.n);
}

static uint64_t mix_file(uint64_t h, const struct file_id *id)
{
	h = mix(mix(mix(h, id->dev), id->ino), id->size);
	return mix(mix(h, (uint64_t)id->mtime.tv_sec), (uint64_t)id->mtime.tv_nsec);
}

static uint64_t mix_disk(const struct stat *st)
{
	struct file_id id = file_id_of(st);

	id.ino = st->st_ino;
	return mix_file(0, &id);
}

static uint64_t mix_place(uint64_t h, const struct step *s, const struct var *v)
{
	const struct shard *shard = &s->shards[v->shard];

	h = mix_file(h, &shard->id);
	if (!shard->id.ino) /* files do not keep theirs: no two steps have one shard */
		h = mix(mix_bytes(h, bytes_str(s->place.name)), shard->number);
	if (s->place.format == STEP_V1) /* values have no place but their key */
		h = mix_bytes(h, var_key(s, v));
	return mix(mix(h, v->off), v->size);
}

uint64_t attr_var_ino(const struct step *s, const struct var *v)
{
	const int64_t *dims = var_dims(s, v);
	uint64_t h = mix(mix(v->dtype, v->rank), s->big_endian);

	for (unsigned i = 0; i < v->rank; i++)
		h = mix(h, (uint64_t)dims[i]);
	if (v->kind == VAR_BAD)
		return mix_bytes(mix_file(h, &s->id), var_key(s, v));
	if (v->kind != VAR_SLICED)
		return s->n_shards ? mix_place(h, s, v) : h;
	for (uint32_t i = 0; i < v->n_parts; i++) {
		const struct part *part = &s->parts[v->aux + i];

		for (unsigned k = 0; k < 2u * v->rank; k++)
			h = mix(h, (uint64_t)s->dims[part->extents + k]);
		h = mix_place(h, s, &s->vars[part->var]);
	}
	return h;
}

/* --- stat -------------------------------------------------------------------------------------------------- */

void attr_set_times(struct stat *out, struct timespec mtime)
{
	out->st_atim = out->st_mtim = out->st_ctim = mtime;
}

/* SIZE bytes with the owner and time of OF. */
static void fill(struct stat *out, uint64_t ino, mode_t mode, const struct stat *of, uint64_t size)
{
	*out = (struct stat){
		.st_ino = ino,
		.st_mode = mode,
		.st_nlink = S_ISDIR(mode) ? 2 : 1,
		.st_uid = of->st_uid,
		.st_gid = of->st_gid,
		.st_size = (off_t)size,
		.st_blocks = S_ISREG(mode) ? (blkcnt_t)((size + 511) / 512) : 0,
		.st_blksize = BLOCK_SIZE,
	};
	attr_set_times(out, of->st_mtim);
}

void attr_of_var(const struct step *s, const struct var *v, const struct stat *maker, uint64_t size,
		 struct stat *out)
{
	bool has_shard = v->kind != VAR_BAD && s->n_shards;
	struct var_owner owner = var_owner(s, v, maker);
	const struct stat of = {
		.st_uid = owner.uid,
		.st_gid = owner.gid,
		.st_mtim = has_shard ? s->shards[v->shard].id.mtime : s->index.st_mtim,
	};

	fill(out, attr_var_ino(s, v), S_IFREG | owner.mode, &of, size);
	out->st_blksize = VAR_BLOCK;
}

void attr_give_to(const struct stat *maker, struct stat *out)
{
	out->st_uid = maker->st_uid;
	out->st_gid = maker->st_gid;
}

void attr_of_text(const struct stat *st, unsigned which, uint64_t size, struct stat *out)
{
	fill(out, mix(mix_disk(st), which + 1), S_IFREG | (st->st_mode & 0666), st, size);
}

void attr_of_step(const struct stat *index, struct stat *out)
{
	mode_t read = index->st_mode & 0444;

	/* who may read may enter */
	fill(out, 0, S_IFDIR | (index->st_mode & 0666) | read >> 2, index, 0);
}

void attr_of_draft_dir(const struct stat *st, struct stat *out)
{
	fill(out, 0, S_IFDIR | (st->st_mode & 0777), st, 0);
}

uint64_t attr_step_ino(const struct stat *index)
{
	uint64_t ino = mix_disk(index);

	return ino ? ino : 1;
}

uint64_t attr_path_ino(uint64_t step, struct bytes path)
{
	return path.n ? mix_bytes(step, path) : step;
}

uint64_t attr_dir_ino(uint64_t step, const struct tree *t, uint32_t dir)
{
	return dir ? attr_path_ino(step, tree_dir_path(t, dir)) : step;
}

uint64_t attr_new_dir_ino(uint64_t step, uint32_t index)
{
	return mix(step, index);
}

void attr_of_made_up(const struct stat *st, uint32_t which, mode_t type, uint64_t size,
		     struct stat *out)
{
	mode_t may = S_ISDIR(type) ? 0555 : 0444;

	fill(out, mix(st->st_ino, which), type | (st->st_mode & may), st, size);
	out->st_dev = st->st_dev;
}

void attr_of_staged(const struct stat *st, struct stat *out)
{
	*out = *st;
	out->st_ino = mix(mix(1, st->st_dev), st->st_ino);
	out->st_blksize = WRITE_BLOCK;
	attr_set_times(out, st->st_mtim);
}

void attr_of_link(const struct stat *state, size_t n, struct stat *out)
{
	fill(out, mix(mix_disk(state), n), S_IFLNK | 0777, state, n);
}

void attr_of_disk(const struct stat *st, struct stat *out)
{
	*out = *st;
	out->st_blksize = BLOCK_SIZE;
	out->st_rdev = 0;
	if (S_ISDIR(st->st_mode)) {
		out->st_mode = S_IFDIR | (st->st_mode & (0777 | S_ISVTX)); /* who may remove what */
		out->st_nlink = 2;
	} else {
		out->st_mode = S_IFREG | (st->st_mode & 0777);
	}
}
