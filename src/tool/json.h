/* src/tool/json.h: what --json prints. docs/json.md says what it looks like. A value that is null for want of memory makes json_print
 * fail. */
#pragma once
#include "message/json.h"

/* Prints VALUE on stdout and releases it. -ENOMEM, or of writing. */
int json_print(struct json_object *value);

/* Prints the object {NAME: VALUE} on stdout. VALUE is taken. -ENOMEM, or of writing. */
int json_print_as(const char *name, struct json_object *value);
