/* src/tool/array.h: the elements of a variable, piece by piece, in C order. */
#pragma once
#include "format/npy.h"
#include "tool/json.h"
#include "tool/place.h"

struct array {
	struct tensor *tensor;
	struct tensor_shape shape;
	const struct step *step;
	const struct var *var;
	uint64_t count; /* elements; of a variant or resource the bytes of its record */
	unsigned rank;
	const int64_t *dims; /* of a record: COUNT, in SIZE */
	int64_t size;
};

/* The PLACE_VAR P, which stays. Errors of tensor_open. */
int array_open(const struct place *p, struct array *out, struct err *e);
void array_close(struct array *a);

/* Bytes of an element. */
static inline size_t array_item(const struct array *a)
{
	return a->shape.record ? 1 : a->shape.item;
}

/* The string in the element at P. */
struct bytes array_string(const struct array *a, const uint8_t *p);

/* Appends an element, whose bytes are at P, as text: a number as number_text, a string as Python prints bytes. -ENOMEM. */
int array_text(const struct array *a, const uint8_t *p, struct buf *out);

/* The same as JSON. What is no finite number is null, a complex number is [real, imaginary]. NULL: null, or no memory. */
struct json_object *array_json(const struct array *a, const uint8_t *p);

/* The dimensions of V, a variable of S. */
struct json_object *shape_json(const struct step *s, const struct var *v);

/* Reads N elements from number FIRST on into DST. Many threads may read. Errors of tensor_read. */
int array_get(const struct array *a, uint64_t first, size_t n, uint8_t *dst, struct err *e);

/* Calls TAKE with whole elements, N at P from number FIRST on, to the end. BUDGET: bytes at a time. */
typedef int array_taker(void *arg, uint64_t first, const uint8_t *p, size_t n, struct err *e);
int array_read(const struct array *a, size_t budget, array_taker *take, void *arg, struct err *e);
