/* src/message/textpb.h: any protobuf message as text, both ways, guided by its descriptor.
 *
 * The text is what TensorFlow writes into .pbtxt and `checkpoint` files, byte for byte: that of
 * google.protobuf.text_format.MessageToString of protobuf 7 for Python. Other versions and C++ print floats and UTF-8
 * otherwise. Fields that the descriptor does not know stand behind the others under their number, as with
 * print_unknown_fields. One with a length is printed as a message if it can be one.
 *
 * The parser reads what that protobuf's Merge reads: comments, both quotes, adjacent strings, lists, `<>`, `,` and `;`
 * behind a field, a message without `:`, numbers for enums, an Any opened up as [type.googleapis.com/NAME] { }. Of a
 * field with one value the last counts; messages are merged. It refuses an unknown field, a field's number, `_` in
 * numbers, an escape that C does not have, and what the binary form can't hold: strings that are not UTF-8, messages
 * more than 100 deep. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include <protobuf-c/protobuf-c.h>

/* Appends M to OUT. Indentation can make a hundred bytes of two, so for a message that comes from elsewhere OUT needs a
 * max; past it the result is -E2BIG. -ENOMEM. Takes n log n time, as it sorts the keys of maps. */
int textpb_print(const ProtobufCMessage *m, struct buf *out, struct err *e);

/* *OUT is the caller's, for protobuf_c_message_free_unpacked. Unknown fields of the outermost message are appended to
 * UNKNOWN as they are written, each with a newline; NULL: they are refused. -EINVAL: the sentence has line and column (in
 * bytes, from 1), what stands there and what is expected; -E2BIG, -ENOMEM as pb_unpack. */
int textpb_parse(const ProtobufCMessageDescriptor *type, struct bytes text, struct buf *unknown,
		 ProtobufCMessage **out, struct err *e);
