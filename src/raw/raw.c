#include "raw/raw.h"
#include "raw/gone.h"
#include "raw/node.h"

void raw_init(struct raw *r, struct view *v, bool all)
{
	*r = (struct raw){.view = v, .all = all};
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->written, NULL);
}

void raw_release(struct raw *r)
{
	while (!LIST_EMPTY(&r->files))
		raw_close(LIST_FIRST(&r->files));
	while (!LIST_EMPTY(&r->dirs))
		raw_closedir(LIST_FIRST(&r->dirs));
	raw_node_release_all(r);
	raw_gone_release(r);
	pthread_cond_destroy(&r->written);
	pthread_mutex_destroy(&r->lock);
}
