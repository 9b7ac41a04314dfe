/* src/safetensors/safetensors_dtype.h: what .safetensors files call data types. */
#pragma once

/* NULL: there is none, or not every library reads it: C64. */
const char *safetensors_dtype_name(int dtype);

/* DTYPE_INVALID: none of ours has that name. */
int safetensors_dtype_of(const char *name);
