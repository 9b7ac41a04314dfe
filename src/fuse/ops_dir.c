#include "base/cleanup.h"
#include "fuse/reply.h"

/* The inode number that readdir gives for "." and "..". Nobody relies on it, but 0 would hide them. */
#define UNKNOWN_INO 0xffffffffu

/* Some only list names, as find(1) does; others then ask for the attributes of each file, as ls -l does. For the first page of a folder
 * the kernel wants attributes whoever lists it, and makes an inode of each: that takes most of the time of find. So they are given to
 * threads that have looked a file up: ls -l does so in the first folder that it lists. */
static atomic_int *seeker_of(fuse_req_t req)
{
	struct ckptfs *fs = ckptfs_of(req);

	return &fs->seekers[(unsigned)fuse_req_ctx(req)->pid % SEEKERS];
}

static void note_seeker(fuse_req_t req)
{
	atomic_store_explicit(seeker_of(req), fuse_req_ctx(req)->pid, memory_order_relaxed);
}

static bool is_seeker(fuse_req_t req)
{
	return atomic_load_explicit(seeker_of(req), memory_order_relaxed) == fuse_req_ctx(req)->pid;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ckptfs *fs = ckptfs_of(req);
	HOLD_NOTIFIER(fs->notifier);
	struct view_entry entry = {0};
	struct err e = {0};
	int r = raw_lookup(&fs->raw, parent, name, fuse_req_ctx(req)->pid, &entry, &e);

	if (r == 0 && S_ISREG(entry.st.st_mode))
		note_seeker(req);
	reply_entry(req, r, &entry, &e);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	raw_forget(&ckptfs_of(req)->raw, ino, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		raw_forget(&ckptfs_of(req)->raw, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static struct raw_dir *dir_of(const struct fuse_file_info *fi)
{
	return (struct raw_dir *)(uintptr_t)fi->fh;
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ckptfs *fs = ckptfs_of(req);
	struct raw_dir *d;
	struct err e = {0};
	bool stable;
	int r = raw_opendir(&fs->raw, ino, fuse_req_ctx(req)->pid, &d, &stable, &e);

	if (r < 0) {
		reply_error(req, r, &e);
		return;
	}
	fi->fh = (uintptr_t)d;
	fi->cache_readdir = stable;
	/* What the kernel has of the folder may be names alone. */
	fi->keep_cache = stable && !is_seeker(req);
	if (fuse_reply_open(req, fi) < 0)
		raw_closedir(d);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	raw_closedir(dir_of(fi));
	fuse_reply_err(req, 0);
}

/* The answer to one readdir. */
struct page {
	fuse_req_t req;
	struct raw_dir *dir;
	bool plus; /* with attributes and references */
	bool brief; /* but not of files */
	char *p;
	size_t n, size;
	struct buf
		held; /* uint64_t: the numbers that the kernel gets a reference to with the answer */
};

static size_t entry_size(const struct page *page, const char *name)
{
	return page->plus ? fuse_add_direntry_plus(page->req, NULL, 0, name, NULL, 0)
			  : fuse_add_direntry(page->req, NULL, 0, name, NULL, 0);
}

static void add_entry(struct page *page, const struct view_dirent *de,
		      const struct fuse_entry_param *p)
{
	char *at = page->p + page->n;
	size_t left = page->size - page->n;
	off_t next = (off_t)de->next;

	page->n += page->plus ? fuse_add_direntry_plus(page->req, at, left, de->name, p, next)
			      : fuse_add_direntry(page->req, at, left, de->name, &p->attr, next);
}

/* Keeps the reference to ID for the kernel. Only with readdirplus does it take one. */
static bool keep(struct page *page, uint64_t id)
{
	if (page->plus && buf_add(&page->held, &id, sizeof id) == 0)
		return true;
	raw_forget(&ckptfs_of(page->req)->raw, id, 1);
	return !page->plus;
}

/* 1: it was added, or is gone; 0: it does not fit. An entry that can't be looked at is listed all the same; whoever
 * looks it up gets the error. */
static int add_dirent(struct page *page, const struct view_dirent *de, bool is_dot)
{
	struct ckptfs *fs = ckptfs_of(page->req);
	struct fuse_entry_param p = {.attr = {.st_ino = UNKNOWN_INO, .st_mode = de->type}};
	struct view_entry entry = {0};
	int r = 0;

	if (entry_size(page, de->name) > page->size - page->n)
		return 0;
	if (!is_dot)
		r = raw_dirent_lookup(&fs->raw, page->dir, page->brief, &entry, NULL);
	if (r == -EAGAIN)
		p.attr.st_ino = entry.st.st_ino;
	if (r == -ENOENT || r == -ESTALE) /* gone since the folder was opened */
		return 1;
	if (!is_dot && r == 0 && keep(page, entry.id))
		p = entry_param(fs, &entry);
	add_entry(page, de, &p);
	return 1;
}

static int fill_page(struct page *page, off_t off, struct err *e)
{
	struct view_dirent de;
	uint64_t pos = (uint64_t)off;
	int r;

	while ((r = raw_readdir(page->dir, pos, &de, e)) > 0) {
		r = add_dirent(page, &de, pos < 2);
		if (r <= 0)
			break;
		pos = de.next;
	}
	return page->n ? 0 : r; /* after what fits, the next call meets the error again */
}

static void read_dir(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi, bool plus)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	CLEANUP(freep) char *p = malloc(size);
	struct page page = {.req = req,
			    .dir = dir_of(fi),
			    .plus = plus,
			    .brief = !plus || (off == 0 && !is_seeker(req)),
			    .p = p,
			    .size = size};
	struct raw *raw = &ckptfs_of(req)->raw;
	struct err e = {0};
	int r = p ? fill_page(&page, off, &e) : err_set(&e, -ENOMEM, "no memory");

	if (r < 0)
		reply_error(req, r, &e);
	else
		r = fuse_reply_buf(req, p, page.n);
	for (size_t i = 0; i < page.held.n / sizeof(uint64_t) && r < 0; i++)
		raw_forget(raw, ((uint64_t *)page.held.p)[i], 1); /* the kernel did not get them */
	buf_release(&page.held);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	read_dir(req, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	(void)ino;
	read_dir(req, size, off, fi, true);
}
