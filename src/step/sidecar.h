/* src/step/sidecar.h: what a step has besides its variables: the meta graph, the object graph, debug info.
 *
 * The meta graph of PREFIX is in PREFIX.meta, less what a prefix of the form X-1-of-5 ends in; debug info beside it in
 * PREFIX.debug. Source: TensorFlow's meta_graph_filename in python/checkpoint/checkpoint_management.py. */
#pragma once
#include "message/meta_graph.h"
#include "step/tensor.h"
#include "step/text_kind.h"

/* The largest sidecar that is read: protobuf has no larger messages. */
static const uint64_t SIDECAR_MAX = (uint64_t)2 << 30;

/* How much of NAME its sidecars' names begin with: all but "-1-of-5" or "-?????-of-00005" at its end. */
size_t sidecar_stem(const char *name);

/* "PREFIX.meta", with its NUL. -ENOMEM. */
int sidecar_name(const struct step_place *p, const char *suffix, struct buf *out);

/* All of the file into OUT. -ENOENT if there is none, -EFBIG, or of reading; E names the file. */
int sidecar_read(int dirfd, const struct step_place *p, const char *suffix, struct buf *out,
		 struct err *e);

/* As sidecar_read and meta_graph_parse. */
int sidecar_meta(int dirfd, const struct step_place *p, const char *suffix, struct meta_graph *out,
		 struct err *e);

/* The serialized object graph of an object-based step. -ENOENT if it has none, or of reading the tensor. */
int sidecar_object_graph(struct step *s, int dirfd, struct buf *out, struct err *e);
