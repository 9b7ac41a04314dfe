/* src/step/text_kind.h: the texts in a step's folder, and the endings of all names of files in it.
 *
 * This is the one list of them. A text is made of the step itself, or of a sidecar: a file that lies beside the
 * step's own (step/sidecar.h). What it says is made in step/text.c. */
#pragma once
#include "base/bytes.h"

enum text_kind { TEXT_VARIABLES, TEXT_META_GRAPH, TEXT_OBJECT_GRAPH, TEXT_DEBUG_INFO, N_TEXTS };

/* The suffix of a meta graph's file where the user has given no other. */
#define META_SUFFIX "meta"

/* The name in the step's folder: "variables.tsv". */
const char *text_name(enum text_kind kind);

/* The kind that is called NAME; N_TEXTS if none is. */
enum text_kind text_kind_of(const char *name);

/* The suffix of the sidecar that the text is made of: "debug"; NULL if it is made of the step itself. META is the
 * suffix of meta graphs that the user has given; NULL if none. */
const char *text_sidecar(enum text_kind kind, const char *meta);

/* What a variable's name ends in. */
#define VAR_ENDING ".npy"

/* The length of NAME's ending if a variable or a text has that ending; else 0. Folders are named so that it is 0. */
size_t file_ending(struct bytes name);
