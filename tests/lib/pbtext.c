/* pbtext [-r | -c] TYPE: messages of that type, from binary to text, -r from text to binary, -c from binary to
 * binary.
 *
 * On both sides frames of a 32-bit length and that many bytes; in front of each answer a byte that is 1, or 0
 * if what follows is the sentence of an error. */
#include "base/cleanup.h"
#include "message/pb.h"
#include "message/textpb.h"
#include <stdio.h>
#include <string.h>

static bool read_frame(struct buf *in)
{
	uint8_t head[4];

	if (fread(head, 1, 4, stdin) != 4)
		return false;
	in->n = 0;
	if (buf_reserve(in, get_le32(head)) < 0)
		return false;
	in->n = fread(in->p, 1, get_le32(head), stdin);
	return in->n == get_le32(head);
}

static bool write_frame(bool ok, struct bytes b)
{
	uint8_t head[5] = {ok};

	put_le32(head + 1, (uint32_t)b.n);
	return fwrite(head, 1, 5, stdout) == 5 && (!b.n || fwrite(b.p, 1, b.n, stdout) == b.n);
}

static int convert(const ProtobufCMessageDescriptor *type, char how, struct bytes in,
		   struct buf *out, struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	int r = how == 'r' ? textpb_parse(type, in, NULL, &m, e) : pb_unpack(type, in, &m, e);

	if (r < 0)
		return r;
	return how ? pb_pack(m, out, e) : textpb_print(m, out, e);
}

int main(int argc, char **argv)
{
	CLEANUP(buf_release) struct buf in = {0};
	CLEANUP(buf_release) struct buf out = {0};
	char how = argc == 3 && argv[1][0] == '-' ? argv[1][1] : 0;
	const ProtobufCMessageDescriptor *type;

	if (argc != 2 + !!how)
		return 1;
	type = pb_type(bytes_str(argv[argc - 1]));
	if (!type) {
		fprintf(stderr, "pbtext: no type %s\n", argv[argc - 1]);
		return 1;
	}
	while (read_frame(&in)) {
		struct err e;
		bool ok;

		out.n = 0;
		ok = convert(type, how, buf_bytes(&in), &out, &e) == 0;
		if (!write_frame(ok, ok ? buf_bytes(&out) : bytes_str(e.text)))
			return 1;
	}
	return !feof(stdin) || fflush(stdout);
}
