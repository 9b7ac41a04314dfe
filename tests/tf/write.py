#!/usr/bin/env python3
"""Bundles that are written here, restored by TensorFlow: write.py WRITE_BUNDLE FOLDER"""

import os
import subprocess
import sys

import ml_dtypes
import numpy as np
import tensorflow as tf

WRITER, FOLDER = sys.argv[1:]
V1 = tf.compat.v1

PLAIN = "float32 float64 float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64 complex128".split()
NAMED = {
    "bfloat16": "u2", "float8_e5m2": "u1", "float8_e4m3fn": "u1", "float8_e4m3fnuz": "u1",
    "float8_e4m3b11fnuz": "u1", "float8_e5m2fnuz": "u1", "int4": "i1", "uint4": "u1", "int2": "i1", "uint2": "u1",
    "float4_e2m1fn": "u1", "qint8": "i1", "quint8": "u1", "qint16": "i2", "quint16": "u2", "qint32": "i4",
}
BITS = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}


class Bundle:
    """Tensors to write, and what TensorFlow must make of them: name -> dtype, array of the stored bytes."""

    def __init__(self, prefix, shards, big_endian=False):
        self.prefix = os.path.join(FOLDER, prefix)
        self.lines = ["bundle %d %d" % (shards, big_endian)]
        self.shards = shards
        self.files = 0
        self.want = {}

    def save(self, array):
        path = "%s.%d.npy" % (self.prefix, self.files)
        self.files += 1
        np.save(path, array)
        return path

    def shard(self):
        return self.files % self.shards

    def tensor(self, name, array, want=None):
        self.lines.append("tensor %s %d %s" % (name.encode().hex(), self.shard(), self.save(array)))
        self.want[name] = array if want is None else want

    def partitioned(self, name, array, slices):
        """SLICES: for each dimension (start, length), where a length of -1 is all of it."""
        texts = [",".join("%d,%d" % pair for pair in extents) for extents in slices]
        shape = ",".join(map(str, array.shape))
        dtype = tf.as_dtype(array.dtype).as_datatype_enum
        self.lines.append("whole %s %d %s %s" % (name.encode().hex(), dtype, shape, " ".join(texts)))
        for text, extents in zip(texts, slices):
            part = array[tuple(slice(None) if n < 0 else slice(at, at + n) for at, n in extents)]
            self.lines.append("slice %s %d %s %s" % (name.encode().hex(), self.shard(), text, self.save(part)))
        self.want[name] = array

    def write(self):
        subprocess.run([WRITER, self.prefix], input="\n".join(self.lines).encode() + b"\n", check=True)


def random_array(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype == bool:
        return rng.integers(0, 2, shape).astype(bool)
    return np.frombuffer(rng.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape)


def random_named(rng, name, shape):
    """As its field, with no bits beyond those that the type has."""
    array = random_array(rng, "u" + NAMED[name][1:], shape)
    array = array & np.array((1 << BITS[name]) - 1, array.dtype) if name in BITS else array
    return array.astype(array.dtype).view(NAMED[name]).view([(name, NAMED[name])])


def fill(bundle, rng):
    for shape in [(), (4, 5), (2, 3, 4), (0, 3)]:
        suffix = "x".join(map(str, shape)) or "scalar"
        for name in PLAIN:
            bundle.tensor("%s/%s" % (name, suffix), random_array(rng, name, shape))
        for name in NAMED:
            bundle.tensor("%s/%s" % (name, suffix), random_named(rng, name, shape))
    array = random_array(rng, "float32", (30, 7, 11))
    bundle.tensor("fortran", np.asfortranarray(array), array)
    array = random_array(rng, "complex64", (5, 7))
    bundle.tensor("swapped", np.asfortranarray(array.astype(">c8")), array)
    fill_strings(bundle)
    bundle.partitioned("rows", random_array(rng, "float64", (7, 3)), [[(0, 4), (0, 3)], [(4, 3), (0, 3)]])
    bundle.partitioned("rows/all", random_array(rng, "int64", (7, 3)), [[(4, 3), (0, -1)], [(0, 4), (0, -1)]])
    bundle.partitioned("columns", random_array(rng, "uint8", (3, 600)), [[(0, 3), (0, 200)], [(0, 3), (200, 400)]])
    bundle.partitioned("b\u00e9ta/\x7f", random_array(rng, "float32", (2,)), [[(0, 1)], [(1, 1)]])


def fill_strings(bundle):
    words = np.array([b"ab", b"", b"xyz", b"x" * 200], "S")
    bundle.tensor("strings", words, words.astype(object))
    bundle.tensor("strings/fortran", np.asfortranarray(words.reshape(2, 2)), words.astype(object).reshape(2, 2))
    bundle.tensor("strings/none", np.zeros((0,), "S3"), np.zeros((0,), object))
    bundle.tensor("strings/scalar", np.array(b"a\0b"), np.array(b"a\0b", object))
    exact = [b"\0", b"", b"a\0\0", b"abc"]
    array = np.array([(len(word), word) for word in exact], [("length", "<u8"), ("bytes", "S3")])
    bundle.tensor("strings/exact", array, np.array(exact, object))


def same(name, want, have):
    if want.dtype == object:
        ok = want.shape == np.shape(have) and want.reshape(-1).tolist() == np.array(have, object).reshape(-1).tolist()
    else:
        bits = BITS.get(want.dtype.names[0] if want.dtype.names else "", 8)
        stored = np.frombuffer(np.ascontiguousarray(have).tobytes(), "u1") & (1 << bits) - 1
        ok = want.shape == have.shape and stored.tobytes() == want.tobytes()
    assert ok, "%s: wrote %r, restored %r" % (name, want, have)


def tf_dtype(array):
    if array.dtype == object:
        return tf.string
    return tf.as_dtype(array.dtype.names[0] if array.dtype.names else array.dtype)


def check_restore(bundle):
    names = sorted(bundle.want)
    dtypes = [tf_dtype(bundle.want[name]) for name in names]
    tensors = tf.raw_ops.RestoreV2(prefix=bundle.prefix, tensor_names=names, shape_and_slices=[""] * len(names), dtypes=dtypes)
    for name, tensor in zip(names, tensors):
        same(name, bundle.want[name], tensor.numpy())


def check_reader(bundle):
    reader = tf.train.load_checkpoint(bundle.prefix)
    assert reader.get_variable_to_shape_map() == {name: list(want.shape) for name, want in bundle.want.items()}
    dtypes = reader.get_variable_to_dtype_map()
    for name, want in bundle.want.items():
        assert dtypes[name] == tf_dtype(want), name
        same(name, want, reader.get_tensor(name))


def check_slices(bundle):
    rows = bundle.want["rows"]
    for spec, part in [("7 3 0,4:0,3", rows[:4]), ("7 3 4,3:-", rows[4:]), ("7 3 2,4:1,2", rows[2:6, 1:])]:
        (tensor,) = tf.raw_ops.RestoreV2(prefix=bundle.prefix, tensor_names=["rows"], shape_and_slices=[spec], dtypes=[tf.float64])
        same("rows, " + spec, part, tensor.numpy())


def check_saver(bundle):
    with tf.Graph().as_default(), V1.Session() as session:
        names = {name: bundle.want[name] for name in ("float32/4x5", "int64/scalar", "fortran", "swapped", "bfloat16/2x3x4")}
        variables = {name: V1.Variable(tf.zeros(want.shape, tf_dtype(want))) for name, want in names.items()}
        rows = V1.get_variable("rows", (7, 3), tf.float64, partitioner=V1.fixed_size_partitioner(2))
        V1.train.Saver(dict(variables, rows=rows)).restore(session, bundle.prefix)
        for name, want in names.items():
            same(name, want, session.run(variables[name]))
        same("rows", bundle.want["rows"], session.run(tf.convert_to_tensor(rows)))


def check_big_endian(rng):
    """Those types that TensorFlow swaps."""
    bundle = Bundle("big", 2, big_endian=True)
    for name in ("float32", "complex64", "float16", "uint16", "uint64", "int32", "bool", "uint8"):
        bundle.tensor(name, random_array(rng, name, (3, 5)))
    array = random_array(rng, "float64", (3, 5))
    bundle.tensor("swapped", np.asfortranarray(array.astype(">f8")), array)
    fill_strings(bundle)
    bundle.write()
    check_restore(bundle)


def check_again(rng):
    """What TensorFlow writes, taken apart and written again: large entries, many blocks."""
    tensors = {"large/%d" % n: random_array(rng, "float32", (n,)) for n in (60000, 131060, 131072, 200000, 3)}
    tensors.update({"w" * (n % 200) + "/%05d" % n: np.float32(n) for n in range(9000)})
    names = sorted(tensors)
    v1, v2 = (os.path.join(FOLDER, name) for name in ("again.v1", "again"))
    values = [tensors[name] for name in names]
    tf.raw_ops.SaveV2(prefix=v2, tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)
    tf.raw_ops.Save(filename=v1, tensor_names=names, data=values)
    subprocess.run([WRITER, "-c", v1, v2 + ".index"], check=True)


def main():
    rng = np.random.default_rng(2)
    assert set(NAMED) - {"qint8", "quint8", "qint16", "quint16", "qint32"} <= set(dir(ml_dtypes))
    bundle = Bundle("all", 3)
    fill(bundle, rng)
    bundle.write()
    check_restore(bundle)
    check_reader(bundle)
    check_slices(bundle)
    check_saver(bundle)
    check_big_endian(rng)
    check_again(rng)


main()
