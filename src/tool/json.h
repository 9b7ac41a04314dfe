/* src/tool/json.h: what --json prints, by json-c. docs/json.md says what it looks like.
 *
 * A call without memory gives NULL, which json-c takes for null; json_print fails then. */
#pragma once
#include "base/bytes.h"
#include <json-c/json_object.h>

/* S as a string. A byte that is not UTF-8 becomes a lone surrogate, as with Python's surrogateescape. */
struct json_object *json_bytes(struct bytes s);

/* V; null if it is no finite number. */
struct json_object *json_number(double v);

/* Puts VALUE, which is taken, into OBJECT under NAME, or behind the last one of ARRAY. */
void json_put(struct json_object *object, const char *name, struct json_object *value);
void json_append(struct json_object *array, struct json_object *value);

/* Prints VALUE on stdout and releases it. -ENOMEM, or of writing. */
int json_print(struct json_object *value);

/* Prints the object {NAME: VALUE} on stdout. VALUE is taken. -ENOMEM, or of writing. */
int json_print_as(const char *name, struct json_object *value);
