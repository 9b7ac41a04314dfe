#include "tool/json.h"
#include <errno.h>
#include <stdio.h>

int json_print(struct json_object *value)
{
	const int how = JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text = value ? json_object_to_json_string_ext(value, how) : NULL;
	int r = !text ? -ENOMEM : puts(text) < 0 || fflush(stdout) ? -EIO : 0;

	json_object_put(value);
	return r;
}

int json_print_as(const char *name, struct json_object *value)
{
	struct json_object *o = json_object_new_object();

	json_put(o, name, value);
	return json_print(o);
}
