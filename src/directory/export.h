/* src/directory/export.h: the checkpoint of a SavedModel: the step `variables` in a folder beside saved_model.pb. Loaders read
 * that step and no other. */
#pragma once
#include "base/error.h"

/* The step that loaders read. */
#define EXPORT_STEP "variables"

/* Does saved_model.pb, or its text, lie beside the checkpoint directory TOP on disk? That counts from wherever it is mounted,
 * also when TOP is the mounted folder itself. Nothing is asked across the root of a mount: this process may serve what is
 * there. 1, 0, or why that can't be known. */
int export_is(int top, struct err *e);
