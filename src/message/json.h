/* src/message/json.h: values as JSON, by json-c.
 *
 * A call without memory gives NULL, which json-c takes for null. */
#pragma once
#include "base/bytes.h"
#include <json-c/json_object.h>

/* S as a string. A byte that is not UTF-8 becomes a lone surrogate, as with Python's surrogateescape. */
struct json_object *json_bytes(struct bytes s);

/* V; null if it is no finite number. */
struct json_object *json_number(double v);

/* The N numbers at P. */
struct json_object *json_numbers(const int64_t *p, size_t n);

/* Puts VALUE, which is taken, into OBJECT under NAME, or behind the last one of ARRAY. */
void json_put(struct json_object *object, const char *name, struct json_object *value);
void json_append(struct json_object *array, struct json_object *value);
