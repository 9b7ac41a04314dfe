"""proto/*.proto describe the same messages as the installed TensorFlow: each field's name, number, type,
label, packing and oneof, each value of an enum, and none left out."""
import glob
import os
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool

# Importing a module puts its messages, and those they refer to, into the default pool.
from google.protobuf import any_pb2, wrappers_pb2  # noqa: F401
from tensorflow.core.framework import variable_pb2  # noqa: F401
from tensorflow.core.protobuf import meta_graph_pb2, tensor_bundle_pb2, trackable_object_graph_pb2  # noqa: F401
from tensorflow.core.util import saved_tensor_slice_pb2  # noqa: F401
from tensorflow.python.training import checkpoint_state_pb2  # noqa: F401


def ours():
    protos = sorted(glob.glob(os.path.join(os.environ['srcdir'], 'proto', '*.proto')))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([os.environ['PROTOC_C'], '--proto_path=' + os.path.dirname(protos[0]),
                        '--descriptor_set_out=' + out.name, *protos], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(out.read())


# Names that may hold NUL, in proto/saved_slices.proto: bytes, which is the same on the wire.
AS_BYTES = {('SavedSliceMeta', 'name'), ('SavedSlice', 'name')}


def fields(m, syntax):
    oneofs = {}
    for f in m.field:
        if f.HasField('oneof_index'):
            oneofs.setdefault(f.oneof_index, []).append(f.name)
    for f in m.field:
        packable = f.label == f.LABEL_REPEATED and f.type not in (f.TYPE_STRING, f.TYPE_BYTES, f.TYPE_MESSAGE)
        packed = f.options.packed if f.options.HasField('packed') else syntax == 'proto3'
        type_ = f.TYPE_STRING if (m.name, f.name) in AS_BYTES else f.type
        yield (f.name, f.number, type_, f.type_name, f.label, packable and packed,
               sorted(oneofs[f.oneof_index]) if f.HasField('oneof_index') else None, f.default_value)


def describe(m, syntax, prefix, out):
    name = prefix + m.name
    out[name] = (m.options.map_entry, sorted(fields(m, syntax)), {e.name for e in m.enum_type},
                 {n.name for n in m.nested_type})
    for e in m.enum_type:
        out[name + '.' + e.name] = sorted((v.name, v.number) for v in e.value)
    for n in m.nested_type:
        describe(n, syntax, name + '.', out)


def described(file):
    out = {}
    prefix = file.package + '.'
    for m in file.message_type:
        describe(m, file.syntax or 'proto2', prefix, out)
    for e in file.enum_type:
        out[prefix + e.name] = sorted((v.name, v.number) for v in e.value)
    return out


def main():
    pool = descriptor_pool.Default()
    count = bad = 0
    for file in ours().file:
        for name, have in described(file).items():
            count += 1
            try:
                their_file = pool.FindFileContainingSymbol(name)
            except KeyError:
                print(f'{name}: TensorFlow has no such type')
                bad += 1
                continue
            want = described(descriptor_pb2.FileDescriptorProto.FromString(their_file.serialized_pb))[name]
            if have != want:
                print(f'{name}:\n  here       {have}\n  TensorFlow {want}')
                bad += 1
    print(f'{count} messages and enums compared')
    return bad or count < 100


sys.exit(bool(main()))
