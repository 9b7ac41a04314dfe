/* src/zip/zip_write.h: a zip archive is written from its start to its end, as into a pipe: its members are not compressed, and their
 * checksums stand behind them. Members and archives may have more than 4 GiB. No time is in it: the same members give the same bytes. */
#pragma once
#include "base/sink.h"

struct zip_writer;

/* What it makes goes to TO, which stays the caller's. -ENOMEM, or of putting. */
int zip_write_open(struct sink to, struct zip_writer **out, struct err *e);

/* Begins the member NAME, UTF-8, which has SIZE bytes. -EINVAL: the name can't be written; or of putting. */
int zip_write_member(struct zip_writer *w, const char *name, uint64_t size, struct err *e);

/* Puts bytes of it. -EINVAL: they are more than its size. */
int zip_write_put(struct zip_writer *w, struct bytes b, struct err *e);

/* Ends the archive. -EINVAL: the last member is not whole. */
int zip_write_finish(struct zip_writer *w, struct err *e);

/* NULL is none. */
void zip_write_close(struct zip_writer *w);
