/* src/message/textpb.h: any protobuf message as text, both ways, guided by its descriptor.
 *
 * The text is what TensorFlow writes into .pbtxt and `checkpoint` files, byte for byte: that of
 * google.protobuf.text_format.MessageToString of protobuf 7 for Python, which differs from other versions and
 * from C++ in floats and in UTF-8. Fields that the descriptor does not know stand behind the others under
 * their number, as with print_unknown_fields: length-prefixed ones as messages if they can be one.
 *
 * Read is what its Merge reads: what came last counts where a field can have but one value, messages are
 * merged. So comments, both quotes, adjacent strings, lists, `<>`, `,` and `;` behind a field, no `:` before
 * a message, numbers for enums, an Any opened up as [type.googleapis.com/NAME] { }. Not read: an unknown
 * field, a field's number, `_` in numbers, an escape that C does not have; and what protobuf's binary form
 * could not hold (strings that are not UTF-8, messages more than 100 deep). */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include <protobuf-c/protobuf-c.h>

/* Goes behind what OUT has. Indentation can make a hundred bytes of two, so for a message that comes from
 * elsewhere OUT needs a max: past it the result is -E2BIG. Takes n log n time, for the keys of maps. */
int textpb_print(const ProtobufCMessage *m, struct buf *out, struct err *e);

/* OUT is for protobuf_c_message_free_unpacked. -EINVAL: the sentence has line, column (in bytes, from 1), what
 * is there and what could have been; -E2BIG, -ENOMEM as pb_unpack. */
int textpb_parse(const ProtobufCMessageDescriptor *type, struct bytes text, ProtobufCMessage **out,
		 struct err *e);

/* The same, but fields of the outermost message that it does not know are passed over, and go to UNKNOWN as they are
 * written, each with a newline. */
int textpb_parse_keeping(const ProtobufCMessageDescriptor *type, struct bytes text,
			 struct buf *unknown, ProtobufCMessage **out, struct err *e);
