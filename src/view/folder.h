/* src/view/folder.h: the folders of the source behind the view. For view/ alone. */
#pragma once
#include "view/view.h"

/* Opens the directory that N, a folder, is, unless a link has taken its place. */
int folder_open(const struct view *v, const struct node *n, struct err *e);

/* The directory that holds N's file. The kernel refers to N, and so N's parents stay. */
int folder_open_parent(const struct view *v, const struct node *n, struct err *e);

/* What folder N holds now; read again only if its times have changed. The caller unrefs it. */
int folder_snapshot(struct view *v, struct node *n, struct snapshot **out, struct err *e);
