#include "message/state.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include "message/textpb.h"
#include "state.pb-c.h"

int state_parse(struct bytes text, struct state *out, struct err *e)
{
	CLEANUP(state_release) struct state s = {0};
	ProtobufCMessage *m;
	int r = textpb_parse(&tensorflow__checkpoint_state__descriptor, text, &s.unknown, &m, e);

	if (r < 0)
		return r;

	const Tensorflow__CheckpointState *p = (Tensorflow__CheckpointState *)m;

	s.message = m;
	s.latest = p->model_checkpoint_path;
	s.paths = p->all_model_checkpoint_paths;
	s.n_paths = p->n_all_model_checkpoint_paths;
	s.timestamps = p->all_model_checkpoint_timestamps;
	s.n_timestamps = p->n_all_model_checkpoint_timestamps;
	s.last_preserved = p->last_preserved_timestamp;
	if (!*s.latest)
		return err_set(e, -EINVAL, "has no model_checkpoint_path");
	*out = TAKE(s, (struct state){0});
	return 0;
}

void state_release(struct state *s)
{
	protobuf_c_message_free_unpacked(s->message, NULL);
	buf_release(&s->unknown);
	*s = (struct state){0};
}

int state_print(const struct state *s, struct buf *out, struct err *e)
{
	Tensorflow__CheckpointState m = TENSORFLOW__CHECKPOINT_STATE__INIT;
	bool valid = utf8_valid(bytes_str(s->latest));
	int r;

	for (size_t i = 0; i < s->n_paths; i++)
		valid &= utf8_valid(bytes_str(s->paths[i]));
	if (!valid)
		return err_set(e, -EINVAL, "the name of a step is not UTF-8");
	m.model_checkpoint_path = (char *)s->latest;
	m.all_model_checkpoint_paths = (char **)s->paths;
	m.n_all_model_checkpoint_paths = s->n_paths;
	m.all_model_checkpoint_timestamps = (double *)s->timestamps;
	m.n_all_model_checkpoint_timestamps = s->n_timestamps;
	m.last_preserved_timestamp = s->last_preserved;
	r = textpb_print(&m.base, out, e);
	if (r == 0 && buf_add(out, s->unknown.p, s->unknown.n) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	return r;
}

bool state_is_timed(const struct state *s)
{
	return s->n_timestamps && s->n_timestamps == s->n_paths;
}

/* NAME without the end of a V1 set's pattern, "-?????-of-00002". */
static struct bytes cut_wildcard(struct bytes name)
{
	static const char start[] = "-????\?-of-"; /* \?, for ??- is a trigraph */
	enum { START = sizeof start - 1, LENGTH = START + 5 };
	const uint8_t *p = name.p + name.n - LENGTH;

	if (name.n <= LENGTH || memcmp(p, start, START) != 0)
		return name;
	for (int i = START; i < LENGTH; i++)
		if (p[i] < '0' || p[i] > '9')
			return name;
	return bytes_of(name.p, name.n - LENGTH);
}

struct bytes state_step(const char *path, bool windows)
{
	size_t n = strlen(path), start;

	while (n > 0 && path[n - 1] == '/')
		n--;
	for (start = n;
	     start > 0 && path[start - 1] != '/' && !(windows && path[start - 1] == '\\'); start--)
		;
	return cut_wildcard(bytes_of(path + start, n - start));
}
