/* src/safetensors/safetensors_json.h: JSON from anywhere. */
#pragma once
#include "base/error.h"
#include <json-c/json_object.h>
#include <stdbool.h>

/* How JSON is printed. */
enum { SAFETENSORS_HOW = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE };

/* The N bytes of TEXT, behind which and nowhere else is a NUL, are one object. *OUT is for the caller to put, also after an error.
 * -EINVAL: they are not, they hold \u0000, or an object has a name twice; -ENOMEM. */
int safetensors_json(const char *text, size_t n, struct json_object **out, struct err *e);

/* O is an object, and each of its members is a text. */
bool safetensors_are_texts(struct json_object *o);
