/* Input: a byte, then a key (even) or a path (odd); bit 1 of the byte tells the flavour. */
#include "base/cleanup.h"
#include "fuzz/fuzz.h"
#include "step/name.h"

static void check_key(enum name_flavour f, struct bytes key)
{
	CLEANUP(buf_release)
	struct buf path = {0};
	CLEANUP(buf_release)
	struct buf back = {0};

	if (name_to_path(f, key, &path) < 0) {
		must_hold(key.n == 0);
		return;
	}
	must_hold(name_from_path(f, buf_bytes(&path), &back) == 0);
	must_hold(bytes_eq(key, buf_bytes(&back)));
}

static void check_path(enum name_flavour f, struct bytes path)
{
	CLEANUP(buf_release)
	struct buf key = {0};
	CLEANUP(buf_release)
	struct buf back = {0};

	if (name_from_path(f, path, &key) < 0)
		return;
	must_hold(name_to_path(f, buf_bytes(&key), &back) == 0);
	must_hold(bytes_eq(path, buf_bytes(&back)));
}

static void check_entry(struct bytes name)
{
	CLEANUP(buf_release)
	struct buf entry = {0};
	CLEANUP(buf_release)
	struct buf back = {0};
	bool clash;

	if (name_to_entry(name, &entry, &clash) < 0)
		return;
	must_hold(name_from_entry(buf_bytes(&entry), clash, &back) == 0);
	must_hold(bytes_eq(name, buf_bytes(&back)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum name_flavour f;
	struct bytes rest;

	if (!size)
		return 0;
	rest = bytes_of(data + 1, size - 1);
	f = data[0] & 2 ? NAME_OBJECT : NAME_PLAIN;
	if (data[0] & 1) {
		check_path(f, rest);
		check_entry(rest);
	} else {
		check_key(f, rest);
	}
	return 0;
}
