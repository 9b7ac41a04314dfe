#include "faults/mounted.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/io.h"
#include "faults/faults.h"
#include "view/changes.h"
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

/* --- the clock ----------------------------------------------------------------------------------------- */

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

static bool is_late;

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = __real_clock_gettime(clock, t);

	t->tv_sec += is_late;
	return r;
}

void mounted_late(bool late)
{
	is_late = late;
}

/* --- the view ------------------------------------------------------------------------------------------ */

static const char *const suffixes[] = {"index", "data-00000-of-00001", "meta"};

static void warn(void *arg, const struct err *e)
{
	struct mounted *m = arg;

	m->warning = *e;
	if (!e->code || !*e->text)
		fail("a warning says nothing");
}

static void tell(void *arg, const char *text)
{
	struct mounted *m = arg;

	m->told = m->told || strstr(text, "stays as it is");
}

static void copy_step(const struct trial *t, const char *to)
{
	struct err e = {0};

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		char old[64], new[64];
		CLEANUP(closep) int fd = -1;

		snprintf(old, sizeof old, BASE ".%s", suffixes[i]);
		snprintf(new, sizeof new, "%s.%s", to, suffixes[i]);
		fd = openat(t->top, old, O_RDONLY | O_CLOEXEC);
		must(io_copy(fd, t->top, new, &e), &e);
	}
}

static void mount(struct mounted *m)
{
	const struct view_config c = {.state_name = "checkpoint",
				      .meta_suffix = "meta",
				      .verify = VERIFY_READ,
				      .writable = true,
				      .commit_ms = 0,
				      .cache = 64 << 20,
				      .compact = 1,
				      .write_state = true,
				      .max_to_keep = m->options.max_to_keep,
				      .keep_seconds = 1e9,
				      .write_v1 = m->options.write_v1,
				      .safetensors = m->options.safetensors,
				      .who = "a test",
				      .warn = warn,
				      .tell = tell,
				      .warn_arg = m};
	struct err e = {0};

	fault_guard(NULL);
	must(view_init(&m->v, open(m->t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), &c, &e), &e);
	if (m->options.watched)
		must(changes_init(&m->v), &e);
	fault_guard(&m->v.lock); /* as the table of locks says */
}

static void unmount(struct mounted *m)
{
	if (m->options.watched)
		changes_release(&m->v);
	view_release(&m->v);
}

void mounted_begin(struct mounted *m, struct mounted_options options)
{
	*m = (struct mounted){.options = options};
	trial_begin(&m->t);
	copy_step(&m->t, OTHER);
	mount(m);
}

void remount(struct mounted *m)
{
	unmount(m);
	m->n_held = 0;
	m->told = false;
	m->warning.code = 0;
	mount(m);
}

/* Each node has the references that were given out, and one for its draft. */
static void check_references(const struct mounted *m)
{
	for (uint32_t i = 1; i < m->v.nodes.n_slots; i++) { /* of the root nobody counts */
		const struct node *n = m->v.nodes.slots[i];
		uint64_t count = n && n->draft ? 1 : 0;

		for (unsigned k = 0; k < m->n_held; k++)
			count += m->held[k] >> 32 == i;
		if (n ? n->lookups != count : count)
			fail("%s has %lu references and not %lu", n ? n->place->name : "a node",
			     n ? (unsigned long)n->lookups : 0, (unsigned long)count);
	}
}

void mounted_end(struct mounted *m)
{
	struct stat st;

	if (m->from)
		view_close(m->from);
	if (m->f)
		view_close(m->f);
	if (m->dir)
		view_closedir(m->dir);
	view_commit_all(&m->v);
	if (m->warning.code)
		fail("later there is: %s", m->warning.text);
	check_references(m);
	while (m->n_held)
		view_forget(&m->v, m->held[--m->n_held], 1);
	if (m->v.nodes.n_nodes != 1 || m->v.drafts)
		fail("%u nodes and %u drafts are left", m->v.nodes.n_nodes, m->v.drafts);
	if (fstatat(m->t.top, ".ckptfs", &st, AT_SYMLINK_NOFOLLOW) == 0) {
		remount(m); /* which removes what could not be removed */
		view_look(&m->v);
	}
	unmount(m);
	buf_release(&m->changes);
	if (fstatat(m->t.top, ".ckptfs", &st, AT_SYMLINK_NOFOLLOW) == 0)
		fail(".ckptfs is left");
	check_base(&m->t);
}

/* --- calls --------------------------------------------------------------------------------------------- */

uint64_t hold(struct mounted *m, const struct view_entry *entry)
{
	if (m->n_held == MAX_HELD)
		fail("too much was looked up");
	if (!(entry->st.st_mode & S_IFMT) || !entry->st.st_ino)
		fail("attributes of nothing");
	return m->held[m->n_held++] = entry->id;
}

uint64_t look_up(struct mounted *m, uint64_t dir, const char *name)
{
	struct view_entry entry;
	struct err e = {0};
	int r = view_lookup(&m->v, dir, name, &entry, &e);

	if (r < 0)
		fail("%s: %d %s", name, r, e.text);
	return hold(m, &entry);
}

int put(struct mounted *m, uint64_t id, uint64_t off, struct bytes b, struct err *e)
{
	struct view_file *f;
	int r = view_open_to_write(&m->v, id, false, &f, e);

	if (r < 0)
		return r;
	r = view_write(f, b, off, e);
	if (r == 0)
		r = view_flush(f, e);
	view_close(f);
	return r;
}

/* --- what there is ------------------------------------------------------------------------------------- */

static void add_file(struct mounted *m, uint64_t id, const struct stat *st, struct buf *out)
{
	static uint8_t bytes[1 << 20];
	struct view_file *f;
	struct err e = {0};
	int64_t n;
	bool stable;

	must(view_open(&m->v, id, &f, &stable, &e), &e);
	n = view_read(f, 0, sizeof bytes, bytes, &e);
	view_close(f);
	must((int)n, &e);
	if (n != st->st_size)
		fail("%ld bytes are read of %ld", (long)n, (long)st->st_size);
	buf_printf(out, "file %o %08x\n", st->st_mode & 0777, crc32c(bytes, (size_t)n));
}

int look_up_listed(struct mounted *m, struct view_dir *d, uint64_t id, const struct view_dirent *de,
		   struct view_entry *out, struct err *e)
{
	int r = view_dirent_lookup(&m->v, d, false, out, e);

	return r == -EAGAIN ? view_lookup(&m->v, id, de->name, out, e) : r;
}

static void add_folder(struct mounted *m, uint64_t id, const char *path, struct buf *out);

static void add_entry(struct mounted *m, const char *path, const struct view_entry *entry,
		      struct buf *out)
{
	struct err e = {0};

	if (S_ISDIR(entry->st.st_mode)) {
		buf_printf(out, "%s folder\n", path);
		add_folder(m, entry->id, path, out);
		return;
	}
	buf_printf(out, "%s ", path);
	if (S_ISREG(entry->st.st_mode)) {
		add_file(m, entry->id, &entry->st, out);
		return;
	}
	buf_add_str(out, "-> ");
	must(view_readlink(&m->v, entry->id, out, &e), &e);
	buf_add_byte(out, '\n');
}

static void add_folder(struct mounted *m, uint64_t id, const char *path, struct buf *out)
{
	struct view_dirent de;
	struct view_dir *d;
	struct err e = {0};
	bool stable;

	must(view_opendir(&m->v, id, &d, &stable, &e), &e);
	for (uint64_t pos = 0; view_readdir(d, pos, &de, &e) == 1; pos = de.next) {
		struct view_entry entry;
		char below[512];

		if (!strcmp(de.name, ".") || !strcmp(de.name, ".."))
			continue;
		snprintf(below, sizeof below, "%s/%s", path, de.name);
		must(look_up_listed(m, d, id, &de, &entry, &e), &e);
		if ((entry.st.st_mode & S_IFMT) != de.type)
			fail("%s has two types", below);
		add_entry(m, below, &entry, out);
		view_forget(&m->v, entry.id, 1);
	}
	must(e.code, &e);
	view_closedir(d);
}

char *dump_view(struct mounted *m)
{
	struct buf text = {0};

	add_folder(m, NODE_ROOT_ID, "", &text);
	return sorted(&text);
}

void use(struct mounted *m, const char *name)
{
	struct view_entry entry;
	struct err e = {0};
	uint64_t id;
	int r = view_lookup(&m->v, NODE_ROOT_ID, name, &entry, &e);

	if (r == -ENOENT)
		return;
	must(r, &e);
	id = look_up(m, hold(m, &entry), "output");
	id = look_up(m, id, "biases.npy");
	must(put(m, id, 128, bytes_of("\1\2\3\4", 4), &e), &e);
	must(view_sync(&m->v, NODE_ROOT_ID, NULL, &m->changes, &e), &e);
}
