/* src/step/sidecar.h: sidecars are files beside a step's own. The meta graph is in PREFIX.meta, debug info in
 * PREFIX.debug; of a prefix X-1-of-5 both begin with X alone. The object graph is no sidecar but a variable, and is
 * read here too.
 *
 * Source: TensorFlow's meta_graph_filename in python/checkpoint/checkpoint_management.py. */
#pragma once
#include "message/meta_graph.h"
#include "step/full_names.h"
#include "step/tensor.h"
#include "step/text_kind.h"

/* A larger sidecar is not read, in bytes: protobuf has no larger messages. */
static const uint64_t SIDECAR_MAX = (uint64_t)2 << 30;

/* How many bytes of NAME the names of its sidecars begin with: all but "-1-of-5" or "-?????-of-00005" at its end. */
size_t sidecar_stem(const char *name);

/* Appends "PREFIX.SUFFIX", with its NUL, to OUT. -ENOMEM. */
int sidecar_name(const struct step_place *p, const char *suffix, struct buf *out);

/* Appends all of the file to OUT. -ENOENT if there is none, -EFBIG, or of reading; E names the file. */
int sidecar_read(int dirfd, const struct step_place *p, const char *suffix, struct buf *out,
		 struct err *e);

/* Reads and parses the meta graph, which the caller releases. Errors of sidecar_read and meta_graph_parse. */
int sidecar_meta(int dirfd, const struct step_place *p, const char *suffix, struct meta_graph *out,
		 struct err *e);

/* Appends the serialized object graph to OUT. -ENOENT if S has none, -EFBIG, or of reading the tensor. */
int sidecar_object_graph(struct step *s, int dirfd, struct buf *out, struct err *e);

/* R is why the object graph of S can't be read or parsed. Will it be so for as long as S is loaded? What else goes wrong may go
 * right another time. */
bool sidecar_graph_is_lost(const struct step *s, int r);

/* S, which only the caller knows yet, shows its variables by the full names that its object graph has, if it has a good one.
 * -ENOMEM, or of reading it where that may go right another time. */
int sidecar_full_names(struct step *s, int dirfd, struct err *e);

/* S, which only the caller knows yet, shows only what SEEN says, by its stems (after sidecar_full_names) and its meta graph. Where that
 * is not there, or damaged, no collection is known, and any variable is in each. -ENOMEM, or of reading it where that may go right
 * another time. */
int sidecar_limit(struct step *s, int dirfd, const char *meta_suffix, const struct seen *seen,
		  struct err *e);
