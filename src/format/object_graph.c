#include "format/object_graph.h"
#include "base/cleanup.h"
#include "debug_info.pb-c.h"
#include "format/pb.h"
#include "format/textpb.h"
#include "object_graph.pb-c.h"

static int print(const ProtobufCMessageDescriptor *type, struct bytes b, struct buf *out,
		 struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	int r = pb_unpack(type, b, &m, e);

	return r < 0 ? r : textpb_print(m, out, e);
}

int object_graph_print(struct bytes b, struct buf *out, struct err *e)
{
	return print(&tensorflow__trackable_object_graph__descriptor, b, out, e);
}

int debug_info_print(struct bytes b, struct buf *out, struct err *e)
{
	return print(&tensorflow__graph_debug_info__descriptor, b, out, e);
}

int object_graph_full_name(struct bytes b, struct bytes key, struct buf *out, struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	int r = pb_unpack(&tensorflow__trackable_object_graph__descriptor, b, &m, e);

	if (r < 0)
		return r;

	const Tensorflow__TrackableObjectGraph *g = (Tensorflow__TrackableObjectGraph *)m;

	for (size_t i = 0; i < g->n_nodes; i++)
		for (size_t k = 0; k < g->nodes[i]->n_attributes; k++) {
			const Tensorflow__TrackableObjectGraph__TrackableObject__SerializedTensor
				*a = g->nodes[i]->attributes[k];

			if (bytes_eq(bytes_str(a->checkpoint_key), key))
				return *a->full_name ? buf_add_str(out, a->full_name) : -ENODATA;
		}
	return -ENODATA;
}
