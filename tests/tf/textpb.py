"""src/format/textpb.[ch] print what google.protobuf.text_format prints, and read what it reads.

textpb.py [FOLDER...]: also of every .meta file in these folders, and of every object graph of a .index there.
"""
import glob
import os
import random
import re
import struct
import subprocess
import sys

from google.protobuf import any_pb2, descriptor, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2  # noqa: F401
from tensorflow.core.framework import variable_pb2  # noqa: F401
from tensorflow.core.protobuf import meta_graph_pb2, tensor_bundle_pb2, trackable_object_graph_pb2
from tensorflow.core.util import saved_tensor_slice_pb2  # noqa: F401
from tensorflow.python.training import checkpoint_state_pb2, py_checkpoint_reader  # noqa: F401

F = descriptor.FieldDescriptor
SEED = 20170327
ROUNDS = 150
failures = 0


def types():
    """The full names of the messages in proto/ that are not nested."""
    for path in sorted(glob.glob(os.path.join(os.environ['srcdir'], 'proto', '*.proto'))):
        if os.path.basename(path) == 'saved_slices.proto':
            continue  # its names are bytes here, and no text is made of it
        with open(path) as f:
            text = f.read()
        package = re.search(r'^package (.*);', text, re.M)[1]
        yield from (package + '.' + name for name in re.findall(r'^message (\w+)', text, re.M))


def pbtext(args, frames):
    stdin = b''.join(struct.pack('<I', len(f)) + f for f in frames)
    out = subprocess.run([os.path.join(os.environ['builddir'], 'pbtext'), *args], input=stdin, stdout=subprocess.PIPE, check=True).stdout
    at = 0
    while at < len(out):
        ok, n = struct.unpack_from('<BI', out, at)
        yield bool(ok), out[at + 5:at + 5 + n]
        at += 5 + n


def report(what, want, have):
    global failures
    failures += 1
    if failures > 5:
        return
    print(f'{what} differs')
    for a, b in zip(want.splitlines(), have.splitlines()):
        if a != b:
            print(f'  want {a[:300]!r}\n  have {b[:300]!r}')
            break
    else:
        print(f'  want {want[-300:]!r}\n  have {have[-300:]!r}')


def compare(name, messages, what, unknown=False):
    """Our text of MESSAGES is theirs, read by us it is what they read, and a copy of the binary is the same."""
    cls = type(messages[0])
    binaries = [m.SerializeToString() for m in messages]
    texts = [text_format.MessageToString(m, print_unknown_fields=unknown) for m in messages]
    for text, (ok, have) in zip(texts, pbtext([name], binaries), strict=True):
        if not ok or have != text.encode():
            report(f'{what}: {name} as text', text, have.decode('utf-8', 'backslashreplace'))
    if unknown:
        return
    for m, text, (ok, have) in zip(messages, texts, pbtext(['-r', name], [t.encode() for t in texts]),
                                   strict=True):
        if not ok:
            report(f'{what}: {name} from text', text, have.decode())
            continue
        # The order of a map's entries in binary has no meaning; in the text it is by key.
        again = text_format.MessageToString(cls.FromString(have))
        if again != text or len(have) != text_format.Merge(text, cls()).ByteSize():
            report(f'{what}: {name} from text', text, again)
    for binary, (ok, have) in zip(binaries, pbtext(['-c', name], binaries), strict=True):
        if not ok or have != binary:
            report(f'{what}: {name} copied', binary.hex(), have.hex())


# --- messages with anything in them ---------------------------------------------------------------------

STRINGS = ['', 'a', 'B', '_z', 'a/b:0', 'tab\there', 'line\nbreak', 'quote"s\'', 'back\\slash', '\x01\x1f\x7f', 'é',
           '\u0080\u00a0\u2028', '\U0001f600', '?', '1', '\ufeff', '\\n', '#no', 'x' * 300]
BYTES = [b'', b'\0', bytes(range(256)), b'\xff\xfe', 'é'.encode(), b"'\"\\"]
FLOATS = [0.0, -0.0, 1.0, 1 / 3, 0.1, 1e10, 123456789, 1e15, 1e16, 1e-4, 1e-5, 1e-45, 3.4028234663852886e38,
          float('inf'), float('-inf'), float('nan'), 16777216.0, 2**-126, 2**-149, 9.999999e-5, -2.5]
DOUBLES = FLOATS + [5e-324, 1.7976931348623157e308, 2.0**-44, 2**53 + 2.0, 1e22, 1e23, 123456789012345678.0]
INTEGERS = {F.TYPE_INT32: (32, True), F.TYPE_SINT32: (32, True), F.TYPE_SFIXED32: (32, True),
            F.TYPE_INT64: (64, True), F.TYPE_SINT64: (64, True), F.TYPE_SFIXED64: (64, True),
            F.TYPE_UINT32: (32, False), F.TYPE_FIXED32: (32, False),
            F.TYPE_UINT64: (64, False), F.TYPE_FIXED64: (64, False)}


def integer(bits, signed, r):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return r.choice([0, 1, low, high, r.randint(low, high), min(high, 8)])


def scalar(f, r):
    if f.type in INTEGERS:
        return integer(*INTEGERS[f.type], r)
    if f.type == F.TYPE_BOOL:
        return r.random() < 0.5
    if f.type == F.TYPE_ENUM:
        return r.choice([v.number for v in f.enum_type.values] + [77777, -1])
    if f.type == F.TYPE_STRING:
        return r.choice(STRINGS) + r.choice(STRINGS)
    if f.type == F.TYPE_BYTES:
        return r.choice(BYTES) + r.randbytes(r.randrange(4))
    if f.type == F.TYPE_FLOAT:
        return r.choice(FLOATS + [struct.unpack('<f', r.randbytes(4))[0]])
    return r.choice(DOUBLES + [struct.unpack('<d', r.randbytes(8))[0]])


def fill_map(m, f, r, depth):
    field = getattr(m, f.name)
    key, value = (f.message_type.fields_by_name[n] for n in ('key', 'value'))
    for _ in range(r.randrange(5)):
        k = scalar(key, r)
        if value.type == F.TYPE_MESSAGE:
            fill(field[k], r, depth + 1)
        else:
            field[k] = scalar(value, r)


def fill_any(m, r, depth):
    if r.random() < 0.3:
        m.type_url = r.choice(['', 'type.googleapis.com/some.Unknown', 'no-slash', 'a/', '/'])
        m.value = r.choice(BYTES)
        return
    name = r.choice(['tensorflow.NodeDef', 'tensorflow.VariableDef', 'tensorflow.AssetFileDef', 'google.protobuf.Any'])
    inner = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))()
    fill(inner, r, depth + 2)
    m.Pack(inner, type_url_prefix=r.choice(['type.googleapis.com/', 'a.b/c/']), deterministic=True)


def fill(m, r, depth=0):
    if m.DESCRIPTOR.full_name == 'google.protobuf.Any' and depth < 4:
        fill_any(m, r, depth)
        return
    for f in m.DESCRIPTOR.fields:
        if r.random() < (0.5 if depth < 2 else 0.75 if depth < 5 else 1):
            continue
        if f.type == F.TYPE_MESSAGE and f.message_type.GetOptions().map_entry:
            fill_map(m, f, r, depth)
        elif f.type == F.TYPE_MESSAGE and f.is_repeated:
            for _ in range(r.randrange(3)):
                fill(getattr(m, f.name).add(), r, depth + 1)
        elif f.type == F.TYPE_MESSAGE:
            getattr(m, f.name).SetInParent()
            fill(getattr(m, f.name), r, depth + 1)
        elif f.is_repeated:
            getattr(m, f.name).extend(scalar(f, r) for _ in range(r.randrange(4)))
        else:
            setattr(m, f.name, scalar(f, r))


def check_random():
    pool = descriptor_pool.Default()
    for name in types():
        cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        messages = [cls()]
        for i in range(ROUNDS):
            messages.append(cls())
            fill(messages[-1], random.Random(f'{SEED} {name} {i}'))
        compare(name, messages, 'random')


# --- binary that no writer of today makes ------------------------------------------------------------------

def check_wire():
    """Repeated fields cut in two, unpacked, fields out of order, twice, of another wire type or unknown."""
    cases = [
        ('tensorflow.TensorProto', '2d0000803f 2a080000004000004040 3805'),
        ('tensorflow.TensorProto', '3a03010203380438ffffffffffffffffff01'),
        ('tensorflow.TensorProto', '5802 5a03000102'),
        ('tensorflow.TensorProto', '12021202 1204120208071201 00'),
        ('tensorflow.AttrValue', '1805 0a021801 0a021802'),
        ('tensorflow.AttrValue', '120161 1805 0a00'),
        ('tensorflow.NodeDef', '2a0a0a016112050a03120161 2a050a01611200 2a00 2a030a0161 0a0162 0a0163'),
        ('tensorflow.NodeDef', '2a08120218030a01612a07 120218040a0162'),
        ('tensorflow.GraphDebugInfo', '2a00 2200 3200 1200 2209 09ffffffffffffffff 2a020a00'),
        ('tensorflow.FunctionDef', '4204 08ff011001 42021001 4200 4204080a1001 4204080a1002 3a00'),
        ('tensorflow.FullTypeDef', '080112001a012008f0f0f00f'),
    ]
    unknown = [
        ('tensorflow.VersionDef', '3805 4201ff 4d0a000000 510a00000000000000 5a020801 6200 6a0108 8201026869'),
        ('tensorflow.VersionDef', '7b 0801 7c 7b 8301 12026162 8401 7c 0805'),
        ('tensorflow.VersionDef', '0d01000000 0a00 1d01000000 38ffffffffffffffffff01'),
        ('tensorflow.TensorProto', '2801 400a 1a00'),
        ('tensorflow.AttrValue', '1d00000000 0a0a 12020801 fa010401020304'),
    ]
    pool = descriptor_pool.Default()
    for with_unknown, group in ((False, cases), (True, unknown)):
        for name, wire in group:
            wire = bytes.fromhex(wire.replace(' ', ''))
            cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
            try:
                want = text_format.MessageToString(cls.FromString(wire), print_unknown_fields=with_unknown)
            except Exception:
                want = None
            (ok, have), = pbtext([name], [wire])
            if ok != (want is not None) or ok and have != want.encode():
                report(f'wire {wire.hex()}: {name}', str(want), have.decode())


# --- text that people write --------------------------------------------------------------------------------

TEXTS = [
    ('tensorflow.CheckpointState', r'''
     model_checkpoint_path: 'a' "b" # comment
     'c' model_checkpoint_path: "last\x41\102\u00e9\U0001F600\t\n\"\'\\"
     all_model_checkpoint_paths: ["x", 'y' 'z'], all_model_checkpoint_paths: [];
     all_model_checkpoint_timestamps: [1, .5, 2., 1e3, -inf, nan, Infinity, 1.5f, 0, -0, 3F]
     last_preserved_timestamp: 1 last_preserved_timestamp: 2;'''),
    ('tensorflow.TensorShapeProto', 'dim { size: 0x1F } dim: < size: -010 > dim: [{size: 1}, <size: 2;>] unknown_rank: t'),
    ('tensorflow.AttrValue', 'i: 5 s: "x\\0y"'),
    ('tensorflow.AttrValue', 'list { i: 1 } list { i: [2, 3] type: [DT_FLOAT, 2, 999] b: [true, f, 1, False] }'),
    ('tensorflow.NodeDef', 'attr { key: "a" value { i: 1 } } attr { key: "a" value { f: 2 } } attr { value {} } attr {}'),
    ('tensorflow.MetaGraphDef', '''meta_info_def { any_info { [type.googleapis.com/ tensorflow.NodeDef]: < name: "n" > }
     function_aliases: [{ key: "k" }, { value: "v" }] }'''),
    ('tensorflow.FunctionDef', 'resource_arg_unique_id { key: 10 value: 1 } resource_arg_unique_id { key: 9 }'),
    ('tensorflow.TensorProto', 'uint64_val: 18446744073709551615 int_val: -2147483648 int64_val: -9223372036854775808'),
    ('tensorflow.TensorProto', 'float_val: [1e40, -1e40, 1e-46, 3.4028235e38, 16777217, 0.1] float8_val: "\\377\\x8"'),
    ('tensorflow.VersionDef', ''),
    ('tensorflow.VersionDef', '\n\t # only a comment'),
    # and what neither reads
    ('tensorflow.VersionDef', 'producer 1'),
    ('tensorflow.VersionDef', 'producer: 2147483648'),
    ('tensorflow.VersionDef', 'producer: 1.0'),
    ('tensorflow.VersionDef', 'producer: [1, 2]'),
    ('tensorflow.VersionDef', '1: 1'),
    ('tensorflow.VersionDef', 'nonesuch: 1'),
    ('tensorflow.VersionDef', 'bad_consumers: [1, ]'),
    ('tensorflow.VersionDef', 'bad_consumers: [1 2]'),
    ('tensorflow.VersionDef', 'producer: 08'),
    ('tensorflow.VersionDef', 'producer: 1 }'),
    ('tensorflow.TensorProto', 'uint32_val: -1'),
    ('tensorflow.TensorProto', 'uint64_val: 18446744073709551616'),
    ('tensorflow.TensorProto', 'float_val: 01.5'),
    ('tensorflow.TensorProto', 'float_val: 0x10'),
    ('tensorflow.TensorProto', 'float_val: "1"'),
    ('tensorflow.TensorProto', 'dtype: DT_NONESUCH'),
    ('tensorflow.TensorProto', 'bool_val: yes'),
    ('tensorflow.TensorProto', 'bool_val: 2'),
    ('tensorflow.TensorProto', 'tensor_shape { dim {}'),
    ('tensorflow.TensorProto', 'tensor_shape { dim { > }'),
    ('tensorflow.TensorProto', 'tensor_shape: 5'),
    ('tensorflow.NodeDef', 'name: "a'),
    ('tensorflow.NodeDef', 'name: "a\nb"'),
    ('tensorflow.NodeDef', 'name: a'),
    ('tensorflow.NodeDef', r'name: "\377"'),
    ('tensorflow.NodeDef', r'name: "\400"'),
    ('tensorflow.NodeDef', r'name: "\ud800"'),
    ('tensorflow.NodeDef', r'name: "\u12"'),
    ('tensorflow.NodeDef', r'name: "\x"'),
    ('google.protobuf.Any', '[type.googleapis.com/no.Such] {}'),
    ('google.protobuf.Any', '[tensorflow.NodeDef] {}'),
    ('tensorflow.NodeDef', '[type.googleapis.com/tensorflow.NodeDef] {}'),
]


def check_texts():
    pool = descriptor_pool.Default()
    for name, text in TEXTS:
        cls = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
        try:
            want = text_format.MessageToString(text_format.Merge(text, cls()))
        except (text_format.ParseError, ValueError):
            want = None
        (ok, have), = pbtext(['-r', name], [text.encode()])
        if ok and want is not None:
            again = text_format.MessageToString(cls.FromString(have))
            if again != want:
                report(f'text {text!r}', want, again)
        elif ok != (want is not None):
            report(f'text {text!r}', str(want), have.decode('utf-8', 'backslashreplace'))


# --- files -----------------------------------------------------------------------------------------------

def check_files(folders):
    count = 0
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, '**', '*'), recursive=True)):
            m = None
            if path.endswith('.meta'):
                with open(path, 'rb') as f:
                    m = read(meta_graph_pb2.MetaGraphDef, f.read())
            elif path.endswith('.index') and '/corrupt/' not in path:  # some of which make TensorFlow abort
                m = object_graph(path[:-len('.index')])
            if m is not None:
                compare(m.DESCRIPTOR.full_name, [m], path)
                count += 1
    print(f'{count} messages of files')
    return count


def read(cls, binary):
    try:
        return cls.FromString(binary)
    except Exception:
        return None  # damaged on purpose


def object_graph(prefix):
    try:
        graph = py_checkpoint_reader.NewCheckpointReader(prefix).get_tensor('_CHECKPOINTABLE_OBJECT_GRAPH')
    except Exception:
        return None  # name-based, or damaged
    return read(trackable_object_graph_pb2.TrackableObjectGraph, graph)


def main():
    check_random()
    check_wire()
    check_texts()
    fixtures = os.path.join(os.environ['srcdir'], 'tests', 'assets', 'fixtures')
    check_files([fixtures] + sys.argv[1:])
    print(f'{failures} differences')
    return failures


sys.exit(bool(main()))
