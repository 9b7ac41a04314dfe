#include "edit/archive.h"

enum archive_kind archive_named(const char *path)
{
	struct bytes name = bytes_str(path);

	if (bytes_ends(name, bytes_str(".npz")))
		return ARCHIVE_NPZ;
	return bytes_ends(name, bytes_str(".safetensors")) ? ARCHIVE_SAFETENSORS : ARCHIVE_NONE;
}

int archive_write(enum archive_kind kind, struct choice *c, const char *to, const char *program,
		  struct err *e)
{
	return kind == ARCHIVE_NPZ ? npz_write(c, to, program, e)
				   : safetensors_write(c, to, program, e);
}

int archive_read(enum archive_kind kind, const char *path, struct put *to, struct err *e)
{
	return kind == ARCHIVE_NPZ ? npz_read(path, to, e) : safetensors_put(path, to, e);
}
