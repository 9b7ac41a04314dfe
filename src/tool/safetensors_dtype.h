/* src/tool/safetensors_dtype.h: what .safetensors files call data types. */
#pragma once

/* The name that is no tensor's. */
#define SAFETENSORS_METADATA "__metadata__"

/* NULL: there is none. Complex numbers have one that not every library reads, so it is not used. */
const char *safetensors_dtype_name(int dtype);

/* DTYPE_INVALID: none of ours has that name. */
int safetensors_dtype_of(const char *name);
