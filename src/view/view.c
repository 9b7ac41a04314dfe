#include "view/view.h"
#include "base/cleanup.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

int view_init(struct view *v, int root_fd, const struct view_config *c, struct err *e)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*v = (struct view){.root_fd = root_fd,
			   .inotify = -1,
			   .heard = -1,
			   .verify = c->verify,
			   .full_names = c->full_names,
			   .safetensors = c->safetensors,
			   .reshape = c->reshape,
			   .strip_default_attrs = c->strip_default_attrs,
			   .seen = c->seen,
			   .warn = c->warn,
			   .tell = c->tell,
			   .remind = c->remind,
			   .begun = c->begun,
			   .warn_arg = c->warn_arg,
			   .commit_ms = c->commit_ms,
			   .cache = c->cache,
			   .max_to_keep = c->max_to_keep,
			   .keep_seconds = c->keep_seconds,
			   .started = (double)now.tv_sec + (double)now.tv_nsec / 1e9,
			   .root_lock = {-1, -1}};
	pthread_mutex_init(&v->committing, NULL);
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->done, NULL);
	behind_room_init(&v->room);
	if (fstat(root_fd, &v->root) < 0)
		return err_sys(e, -errno, "fstat");
	kept_init(&v->kept, v->root.st_dev);
	v->state_name = strdup(c->state_name);
	v->meta_suffix = strdup(c->meta_suffix);
	v->family = c->family ? strdup(c->family) : NULL;
	v->who = strdup(c->who ? c->who : "");
	if (!v->state_name || !v->meta_suffix || (c->family && !v->family) || !v->who ||
	    node_table_init(&v->nodes) < 0)
		return err_set(e, -ENOMEM, "no memory");
	v->commit = (struct commit_config){.state_name = v->state_name,
					   .write_state = c->write_state,
					   .pad_step_number = c->pad_step_number,
					   .sharded = c->sharded,
					   .write_v1 = c->write_v1,
					   .paths = c->state_paths,
					   .makes = c->makes,
					   .compact = c->compact};
	v->writable = c->writable;
	v->tool = c->tool;
	return v->writable ? lock_directory(&v->root_lock, root_fd, e) : 0;
}

void view_release(struct view *v)
{
	for (size_t i = 0; i < v->rescued.n / sizeof(struct rescued_step); i++)
		rescue_release(&((struct rescued_step *)v->rescued.p)[i].rescue);
	buf_release(&v->rescued);
	buf_release(&v->commits);
	node_table_release(&v->nodes);
	kept_release(&v->kept);
	lock_release(&v->root_lock, v->root_fd);
	free(v->who);
	free(v->state_name);
	free(v->meta_suffix);
	free(v->family);
	closep(&v->root_fd);
	behind_room_release(&v->room);
	pthread_cond_destroy(&v->done);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->committing);
}

int view_add_change(struct buf *changes, uint64_t id, const char *name)
{
	struct view_change c = {.id = id};

	if (name && strlen(name) < sizeof c.name)
		memcpy(c.name, name, strlen(name) + 1);
	return buf_add(changes, &c, sizeof c);
}

struct node *view_node(struct view *v, uint64_t id)
{
	HOLD(&v->lock);
	return node_get(&v->nodes, id);
}

int view_list_drafted(struct view *v, const struct node *folder, struct buf *out)
{
	int r = 0;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && r == 0; i++) {
		struct node *n = v->nodes.slots[i];
		const struct node *p = n ? n->parent : NULL;

		while (p && folder && p != folder)
			p = p->parent;
		if (!n || !n->draft || !p)
			continue;
		r = buf_add(out, &n, sizeof n);
		n->lookups += r == 0;
	}
	return r;
}

void view_hold(struct view *v, struct node *n)
{
	HOLD(&v->lock);
	n->lookups++;
}

void view_remember(struct view *v, uint64_t id)
{
	struct node *n;

	HOLD(&v->lock);
	n = node_get(&v->nodes, id);
	if (n)
		n->lookups++;
}

void view_forget(struct view *v, uint64_t id, uint64_t count)
{
	struct loaded *l;
	struct node *n;

	pthread_mutex_lock(&v->lock);
	n = node_get(&v->nodes, id);
	l = n ? node_put(&v->nodes, n, count) : NULL;
	pthread_mutex_unlock(&v->lock);
	loaded_unref(l);
}

void view_tell(struct view *v, const char *fmt, ...)
{
	struct err text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text.text, sizeof text.text, fmt, ap);
	va_end(ap);
	if (v->tell)
		v->tell(v->warn_arg, text.text);
}

void view_warn(struct view *v, const struct err *e)
{
	if (v->warn)
		v->warn(v->warn_arg, e);
}

enum { COMMITS_MAX = 32 << 10 };

void view_keep_line(struct view *v, const char *line)
{
	size_t n = strlen(line) + 1;
	struct buf *b = &v->commits;

	HOLD(&v->lock);
	while (b->n + n > COMMITS_MAX) {
		const uint8_t *end = memchr(b->p, '\n', b->n);
		size_t first = (size_t)(end - b->p) + 1;

		memmove(b->p, b->p + first, b->n - first);
		b->n -= first;
	}
	buf_printf(b, "%s\n", line);
}

void view_take_turn(struct view *v, bool *turn)
{
	HOLD(&v->lock);
	while (*turn)
		pthread_cond_wait(&v->done, &v->lock);
	*turn = true;
}

void view_end_turn(struct view *v, bool *turn)
{
	HOLD(&v->lock);
	*turn = false;
	pthread_cond_broadcast(&v->done);
}
