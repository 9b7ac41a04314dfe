#include "safetensors/safetensors_json.h"
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

/* {NAME: {"shape": [...]}} is 3 deep. */
enum { DEPTH = 4 };

/* How many members the objects in TEXT, which is JSON, have together. -1: a text holds the character NUL. json-c would end a name
 * there, and of two members with one name it keeps the last. */
static int64_t count_members(const char *text, size_t n)
{
	int64_t members = 0;
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"')
			quoted = !quoted;
		else if (quoted && text[i] == '\\' && !strncmp(text + i, "\\u0000", 6))
			return -1;
		else if (quoted && text[i] == '\\')
			i++;
		else if (!quoted && text[i] == ':')
			members++;
	}
	return members;
}

static int64_t count_kept(struct json_object *o)
{
	int64_t kept = 0;

	if (json_object_is_type(o, json_type_array))
		for (size_t i = 0; i < json_object_array_length(o); i++)
			kept += count_kept(json_object_array_get_idx(o, i));
	if (!json_object_is_type(o, json_type_object))
		return kept;
	json_object_object_foreach(o, name, value)
	{
		(void)name;
		kept += 1 + count_kept(value);
	}
	return kept;
}

int safetensors_json(const char *text, size_t n, struct json_object **out, struct err *e)
{
	struct json_tokener *t = json_tokener_new_ex(DEPTH);
	enum json_tokener_error why;
	int64_t members;

	if (!t)
		return err_set(e, -ENOMEM, "no memory");
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*out = json_tokener_parse_ex(t, text, (int)n);
	why = json_tokener_get_error(t);
	n = json_tokener_get_parse_end(t);
	json_tokener_free(t);
	if (why != json_tokener_success)
		return err_set(e, -EINVAL, "the header is no JSON at byte %zu: %s", n + 8,
			       json_tokener_error_desc(why));
	if (!json_object_is_type(*out, json_type_object))
		return err_set(e, -EINVAL, "the header is no JSON object");
	members = count_members(text, strlen(text));
	if (members < 0)
		return err_set(e, -EINVAL, "a text of the header holds \\u0000");
	if (members != count_kept(*out))
		return err_set(e, -EINVAL, "the header has a name twice");
	return 0;
}

bool safetensors_are_texts(struct json_object *o)
{
	if (!json_object_is_type(o, json_type_object))
		return false;
	json_object_object_foreach(o, name, value)
	{
		(void)name;
		if (!json_object_is_type(value, json_type_string))
			return false;
	}
	return true;
}
