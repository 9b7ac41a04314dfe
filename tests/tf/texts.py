#!/usr/bin/env python3
"""Compares texts and attributes of mounted steps with what TensorFlow says.

    texts.py make DIR                   writes checkpoints to look at
    texts.py check {SOURCE MOUNTED}...  every step of SOURCE and the folders below it
    texts.py meta FILE TEXT             one file with a meta graph
    texts.py stats FOLDER PREFIX        the statistics of a mounted step
"""

import errno
import math
import os
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from google.protobuf.message import DecodeError  # noqa: E402
from tensorflow.core.framework import graph_debug_info_pb2, variable_pb2  # noqa: E402
from tensorflow.core.protobuf import meta_graph_pb2, trackable_object_graph_pb2  # noqa: E402

tf1 = tf.compat.v1
tf1.logging.set_verbosity(tf1.logging.FATAL)

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
TOLERANCE = 1e-6
VARIABLE_COLLECTIONS = {
    tf1.GraphKeys.GLOBAL_STEP,
    tf1.GraphKeys.GLOBAL_VARIABLES,
    tf1.GraphKeys.LOCAL_VARIABLES,
    tf1.GraphKeys.METRIC_VARIABLES,
    tf1.GraphKeys.MODEL_VARIABLES,
    tf1.GraphKeys.MOVING_AVERAGE_VARIABLES,
    tf1.GraphKeys.TRAINABLE_VARIABLES,
}


def check(condition, *words):
    if not condition:
        raise AssertionError(" ".join(map(str, words)))


def read(path):
    with open(path, "rb") as file:
        return file.read()


# --- checkpoints to look at -----------------------------------------------------


def save_v2(prefix, tensors):
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


def make_graphs(folder):
    """A Saver's steps: collections of all kinds, debug info, another suffix."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.train.get_or_create_global_step()
        weights = tf1.get_variable("weights", [3, 2])
        tf1.get_variable("fixed", [2], trainable=False)
        tf1.get_variable("local", [2], collections=[tf1.GraphKeys.LOCAL_VARIABLES])
        tf1.add_to_collection(tf1.GraphKeys.MODEL_VARIABLES, weights)
        with tf1.variable_scope("cut", partitioner=tf1.fixed_size_partitioner(3)):
            tf1.get_variable("rows", [7, 2])
        variables = tf1.global_variables() + tf1.local_variables()
        session.run(tf1.variables_initializer(variables))
        saver = tf1.train.Saver(variables, max_to_keep=None)
        saver.save(session, f"{folder}/plain", global_step=1)
        saver.save(session, f"{folder}/debug", global_step=1, save_debug_info=True)
        saver.save(session, f"{folder}/suffix", meta_graph_suffix="graph")


def make_few(folder):
    """Two steps, of which two variables differ."""
    names = ["layer/bias", "layer/kernel", "layer/kernel/Adam", "layer/kernel/Adam_1", "step"]
    tensors = {name: tf.constant([1.0, 2.0]) for name in names}
    save_v2(f"{folder}/few-0", tensors)
    tensors["layer/bias"] += 1
    tensors["layer/kernel/Adam"] -= 1
    save_v2(f"{folder}/few-1000", tensors)


def tensor_of(dtype, values):
    if dtype.is_quantized:
        plain = tf.as_dtype(dtype.name[1:])
        return tf.bitcast(tf.constant(values.astype(plain.as_numpy_dtype)), dtype)
    with np.errstate(all="ignore"):
        return tf.constant(values.astype(dtype.as_numpy_dtype), dtype=dtype)


def make_stats(folder):
    """Zeros, NaNs and infinities in every dtype that has them; integers to their ends."""
    rng = np.random.default_rng(4)
    tensors = {}
    for number in range(1, 100):
        try:
            dtype = tf.as_dtype(number)
        except TypeError:
            continue
        if dtype in (tf.string, tf.variant, tf.resource) or dtype.is_complex:
            continue
        if dtype.is_floating:
            values = np.concatenate([rng.normal(0, 2, 300), np.zeros(7), [-0.0]])
            odd = np.array([np.nan, np.inf, -np.inf, -np.nan, np.inf])
            tensors[f"{dtype.name}/odd"] = tensor_of(dtype, np.concatenate([values, odd]))
            tensors[f"{dtype.name}/only_odd"] = tensor_of(dtype, odd)
        elif dtype == tf.bool:
            values = rng.integers(0, 2, 300)
        else:
            low, high = integer_range(dtype)
            values = rng.integers(low, high, 300, dtype=np.uint64 if low == 0 else np.int64)
            values[:3] = 0
            values[3], values[4] = low, high
        tensors[f"{dtype.name}/values"] = tensor_of(dtype, values)
        tensors[f"{dtype.name}/same"] = tensor_of(dtype, np.ones(1000, np.uint8))
        tensors[f"{dtype.name}/none"] = tensor_of(dtype, np.ones((0, 3), np.uint8))
    check(len(tensors) > 80, len(tensors))
    save_v2(f"{folder}/stats", tensors)


def integer_range(dtype):
    bits = int(re.search(r"\d+$", dtype.name)[0])
    if "uint" in dtype.name:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def make(folder):
    make_graphs(folder)
    make_few(folder)
    make_stats(folder)


# --- texts --------------------------------------------------------------------------


def check_text(path, message):
    """The file at PATH is MESSAGE as protobuf prints it."""
    text = read(path)
    check(os.stat(path).st_size == len(text), path, "st_size is not what is read")
    parsed = text_format.Parse(text, type(message)())
    want = text_format.MessageToString(message)
    # NaNs, and fields that protobuf does not know, make a message differ from itself.
    equal = parsed == message or text_format.MessageToString(parsed) == want
    check(equal, path, "parses to another message")
    check(text == want.encode(), path, "is printed in another way")


def parse_meta(path):
    """None if it is nothing of the kind."""
    data = read(path)
    try:
        return meta_graph_pb2.MetaGraphDef.FromString(data)
    except DecodeError:
        pass
    try:
        return text_format.Parse(data, meta_graph_pb2.MetaGraphDef())
    except (text_format.ParseError, UnicodeDecodeError):
        return None


def check_meta(path, text):
    check_text(text, parse_meta(path))


# --- variables ------------------------------------------------------------------------


def files_by_key(folder):
    found = {}
    for parent, folders, names in os.walk(folder):
        # A path may be too long for this; what digests.py compares is another matter.
        folders[:] = [f for f in folders if len(parent) + len(f) < 3000]
        for name in names:
            path = os.path.join(parent, name)
            if name.endswith(".npy") and len(path) < 4000:
                found[os.fsdecode(os.getxattr(path, "user.ckptfs.key"))] = path
    return found


def attribute(path, name):
    try:
        return os.fsdecode(os.getxattr(path, "user.ckptfs." + name))
    except OSError as error:
        check(error.errno == errno.ENODATA, path, error)
        return None


def collections_of(meta):
    """{key: set of collections}"""
    found = {}
    for name, collection in meta.collection_def.items():
        if name not in VARIABLE_COLLECTIONS:
            continue
        for value in collection.bytes_list.value:
            variable = variable_pb2.VariableDef.FromString(value)
            key = variable.save_slice_info_def.full_name
            key = key or variable.variable_name.rsplit(":", 1)[0]
            found.setdefault(key, set()).add(name)
    return found


def imported_collections(meta):
    """The same as TensorFlow's own graph has it."""
    found = {}
    with tf1.Graph().as_default():
        tf1.train.import_meta_graph(meta, clear_devices=True)
        for name in VARIABLE_COLLECTIONS:
            for variable in tf1.get_collection(name):
                info = variable._get_save_slice_info()
                key = info.full_name if info else variable.op.name
                found.setdefault(key, set()).add(name)
    return found


def read_tsv(path):
    """{name: {title: value}}"""
    lines = read(path).decode("utf-8", "surrogateescape").splitlines()
    titles = "name dtype shape bytes crc32c collections full_name".split()
    check(lines[0].split("\t") == titles, lines[0])
    rows = [line.split("\t") for line in lines[1:]]
    check(all(len(row) == len(titles) for row in rows), path)
    return {row[0]: dict(zip(titles, row)) for row in rows}


def check_collections(folder, expected):
    n = 0
    listed = read_tsv(f"{folder}/variables.tsv")
    for key, path in files_by_key(folder).items():
        want = ",".join(sorted(expected.get(key, ())))
        n += want != ""
        check((attribute(path, "collections") or "") == want, path, "is in", want)
        check(("user.ckptfs.collections" in os.listxattr(path)) == (want != ""), path)
        if key in listed:  # not escaped
            check(listed[key]["collections"] == (want or "-"), path, "is listed with", listed[key])
    return n


def check_full_names(folder, graph):
    """The first node that names a key counts."""
    names = {}
    for node in graph.nodes:
        for item in node.attributes:
            names.setdefault(item.checkpoint_key, item.full_name)
    n = 0
    listed = read_tsv(f"{folder}/variables.tsv")
    for key, path in files_by_key(folder).items():
        if key in listed:  # not escaped
            check(listed[key]["full_name"] == (names.get(key) or "-"), path, listed[key])
        check(attribute(path, "full_name") == (names.get(key) or None), path, names.get(key))
        n += bool(names.get(key))
    return n


# --- steps ----------------------------------------------------------------------------


def object_graph(prefix):
    """None if it has none."""
    reader = tf.train.load_checkpoint(prefix)
    if not reader.has_tensor(GRAPH_KEY):
        return None
    data = reader.get_tensor(GRAPH_KEY)
    return trackable_object_graph_pb2.TrackableObjectGraph.FromString(data)


def check_object_graph(prefix, folder, counts):
    try:
        graph = object_graph(prefix)
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError):
        return  # its data is not there
    check(os.path.exists(f"{folder}/object_graph.pbtxt") == (graph is not None), folder)
    if graph is not None:
        check_text(f"{folder}/object_graph.pbtxt", graph)
        counts["object graphs"] += 1
        counts["full names"] += check_full_names(folder, graph)


def check_meta_graph(path, folder, counts):
    meta = parse_meta(path)
    if meta is None:
        return
    check_text(f"{folder}/meta_graph.pbtxt", meta)
    expected = collections_of(meta)
    counts["meta graphs"] += 1
    counts["in collections"] += check_collections(folder, expected)
    try:
        imported = imported_collections(meta)
    except Exception:  # ops and attributes that this TensorFlow no longer has
        return
    check(imported == expected, path, "imported:", imported)
    counts["imported"] += 1


def check_folder(folder, mounted, counts):
    for file in sorted(os.listdir(folder)):
        path, step = os.path.join(folder, file), os.path.join(mounted, os.path.splitext(file)[0])
        if not os.path.isfile(path) or not is_step(step):
            continue
        if file.endswith(".meta"):
            check_meta_graph(path, step, counts)
        elif file.endswith(".debug"):
            message = graph_debug_info_pb2.GraphDebugInfo.FromString(read(path))
            check_text(f"{step}/debug_info.pbtxt", message)
            counts["debug infos"] += 1
        elif file.endswith(".index"):
            check_object_graph(os.path.splitext(path)[0], step, counts)


def is_step(folder):
    return os.path.exists(f"{folder}/variables.tsv")


def check_all(*pairs):
    counts = dict.fromkeys(
        "object graphs,full names,meta graphs,in collections,imported,debug infos".split(","), 0
    )
    for source, mounted in zip(pairs[::2], pairs[1::2]):
        for folder, folders, _ in os.walk(source):
            folders[:] = sorted(f for f in folders if f != "corrupt")
            check_folder(folder, os.path.join(mounted, os.path.relpath(folder, source)), counts)
    print(counts)
    check(all(counts.values()), "nothing was compared:", counts)


# --- statistics ---------------------------------------------------------------------------


def values_of(prefix, reader, key):
    """As TensorFlow restores it, in double precision; None for what has no real numbers."""
    dtype = reader.get_variable_to_dtype_map()[key]
    if dtype in (tf.string, tf.variant) or dtype.is_complex:
        return None
    tensor = tf.raw_ops.RestoreV2(
        prefix=prefix, tensor_names=[key], shape_and_slices=[""], dtypes=[dtype]
    )[0]
    if dtype.is_quantized:
        tensor = tf.bitcast(tensor, tf.as_dtype(dtype.name[1:]))
    with np.errstate(all="ignore"):
        return tensor.numpy().astype(np.float64)


def expected_stats(values):
    finite = values[np.isfinite(values)]
    some = finite.size > 0
    # Scaled, so that squares of 64-bit values neither overflow nor lose what counts.
    scale = np.abs(finite).max() if some and np.abs(finite).max() > 0 else 1.0
    scaled = finite / scale
    return {
        "count": values.size,
        "mean": scaled.mean() * scale if some else 0,
        "std": scaled.std() * scale if some else 0,
        "min": finite.min() if some else 0,
        "max": finite.max() if some else 0,
        "norm": np.linalg.norm(scaled.reshape(-1)) * scale,
        "zeros": np.count_nonzero(values == 0),
        "nans": np.count_nonzero(np.isnan(values)),
        "infs": np.count_nonzero(np.isinf(values)),
    }


def is_close(name, found, want, scale):
    """Means may cancel out: they are compared on the scale of the values."""
    if name == "mean":
        return abs(found - want) <= TOLERANCE * scale
    return math.isclose(found, want, rel_tol=TOLERANCE)


def check_stats(folder, prefix):
    reader = tf.train.load_checkpoint(prefix)
    n = 0
    for key, path in files_by_key(folder).items():
        values = values_of(prefix, reader, key)
        text = attribute(path, "stats")
        if values is None:
            check(text is None, path, "has statistics:", text)
            continue
        if values.dtype == np.float64 and np.any(np.abs(values[np.isfinite(values)]) > 1e150):
            continue  # whose squares are no doubles
        found = {k: float(v) for k, v in (item.split("=") for item in text.split())}
        want = expected_stats(values)
        check(found.keys() == want.keys(), path, text)
        scale = max(abs(want["min"]), abs(want["max"]), 1e-300)
        for name in want:
            check(is_close(name, found[name], want[name], scale), path, name, text, want)
        n += 1
    print(n, "variables have the statistics that NumPy says")
    check(n > 50, "too few")


def main():
    command, *arguments = sys.argv[1:]
    {"make": make, "check": check_all, "meta": check_meta, "stats": check_stats}[command](*arguments)


if __name__ == "__main__":
    main()
