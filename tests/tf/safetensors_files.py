#!/usr/bin/env python3
"""Compares ckptfs export and import with the safetensors package and TensorFlow: safetensors_files.py BUILDDIR FIXTURES FOLDER [TEST...]"""

import glob
import json
import os
import signal
import struct
import subprocess
import sys

import ml_dtypes
import numpy as np
import runner
import safetensors
import safetensors.numpy
import tensorflow as tf

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
READ = ["linear", "net", "sharded", "bigendian", "keras", "snappy", "v1", "v1-sharded", "partitioned", "strings", "maxshard", "dtypes"]
GRAPH, ATTRIBUTE = "_CHECKPOINTABLE_OBJECT_GRAPH", "/.ATTRIBUTES/VARIABLE_VALUE"
DTYPES = {"BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
          "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz, **safetensors.numpy._TYPES}
KEPT_FROM_IT = ["DT_INT2", "DT_INT4", "DT_UINT2", "DT_UINT4", "DT_FLOAT4_E2M1FN", "DT_FLOAT8_E4M3B11FNUZ"]


def run(*args, status=0, **how):
    p = subprocess.run([f"{BUILD}/ckptfs", *args], capture_output=True, **how)
    assert p.returncode == status, (args, p.returncode, p.stderr)
    return p


def items_of(*args):
    return json.loads(run("ls", "-R", "--json", *args).stdout)["paths"][0]["items"]


def steps_of(folder):
    items = json.loads(run("ls", "--json", folder).stdout)["paths"][0]["items"]
    return [item["name"] for item in items if item["kind"] == "step"]


def prefix_of(at):
    """As TensorFlow wants it: of a V1 set a pattern."""
    shards = glob.glob(glob.escape(at) + "-00000-of-*")
    return shards[0].replace("-00000-of-", "-?????-of-") if shards and ".data" not in shards[0] else at


def by_tensorflow(at):
    """{key: array} of what TensorFlow can read."""
    reader = tf.compat.v1.train.NewCheckpointReader(prefix_of(at))
    found = {}
    for key in reader.get_variable_to_shape_map():
        try:
            found[key] = np.asarray(reader.get_tensor(key))
        except (tf.errors.OpError, ValueError, TypeError):
            pass
    return found


def by_safetensors(file):
    """{name: array}: the package looks at the whole file; ml_dtypes has what NumPy has not."""
    with open(file, "rb") as f:
        tensors = safetensors.deserialize(f.read())
    return {name: np.frombuffer(bytes(t["data"]), DTYPES[t["dtype"]]).reshape(t["shape"]) for name, t in tensors}


def same(a, b, name):
    assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), (name, a.dtype, b.dtype, a.shape, b.shape)


def name_in(keys, key):
    return key.removesuffix(ATTRIBUTE) if GRAPH in keys else key


def what_export_wrote():
    """Every variable of the fixtures for which safetensors has a type; the others are named."""
    types = {np.dtype(t) for t in DTYPES.values()} - {np.dtype(np.complex64)}
    checked = 0
    for fixture in READ:
        for step in steps_of(f"{FIXTURES}/{fixture}"):
            at, file = f"{FIXTURES}/{fixture}/{step}", f"{FOLDER}/out.safetensors"
            expected = by_tensorflow(at)
            said = run("export", at, file).stderr.decode()
            found = by_safetensors(file)
            with safetensors.safe_open(file, "np") as f:
                names, metadata = set(f.keys()), f.metadata() or {}
            left = json.loads(metadata.get("ckptfs.left_out", "[]"))
            assert names == set(found) and not names & set(left)
            assert all(f"{name} (" in said for name in left) and len(left) == len(said.splitlines()), said
            for key, array in expected.items():
                name = name_in(expected, key)
                if name in found:
                    assert array.dtype in types, (at, key)
                    same(found[name], array.astype(array.dtype.newbyteorder("=")), (at, key))
                    checked += 1
            others = [item["name"] for item in items_of(at) if item["dtype"][3:].split("_")[0].rstrip("0123456789") in
                      ("STRING", "VARIANT", "COMPLEX", "QINT", "QUINT") or item["dtype"] in KEPT_FROM_IT]
            assert sorted(name + ".npy" for name in left) == sorted(others), (at, left, others)
            missing = {name_in(expected, key) for key in expected} - names - set(left)
            assert not missing, (at, missing)
            if all(hasattr(np, array.dtype.name) for array in found.values()):  # others load_file can't make
                for name, array in safetensors.numpy.load_file(file).items():
                    same(array, found[name], name)
    assert checked > 150, checked


def parts_and_places():
    """A scope, a glob, the standard output; a file is replaced when the new one is whole."""
    at, file = f"{FIXTURES}/linear/my-model-2000", f"{FOLDER}/part.safetensors"
    run("export", f"{at}/w/", "-o", file)
    assert set(by_safetensors(file)) == {"w/Adam", "w/Adam_1"}
    run("export", f"{at}/**/Adam", f"{at}/w", f"{at}/w/", file)
    assert set(by_safetensors(file)) == {"w", "w/Adam", "w/Adam_1", "b/Adam"}
    with open(file, "rb") as f:
        before = f.read()
    assert run("export", f"{at}/**/Adam", f"{at}/w", f"{at}/w/", "-").stdout == before
    run("export", f"{FIXTURES}/linear/*/w", file, status=1)
    run("export", f"{FIXTURES}/linear/none", file, status=1)
    run("export", f"{FIXTURES}/linear", file, status=1)
    run("export", at, f"{FOLDER}/none/x", status=1)
    run("export", at, FOLDER, status=1)
    run("export", at, status=2)
    with open(file, "rb") as f:
        assert f.read() == before
    # Data that turn out to be damaged.
    folder = f"{FOLDER}/damaged"
    subprocess.run(["cp", "-r", f"{FIXTURES}/linear", folder], check=True)
    for shard in glob.glob(f"{folder}/my-model-2000.data*"):
        with open(shard, "r+b") as f:
            f.write(b"\xff" * 4)
    run("export", f"{folder}/my-model-2000", f"{FOLDER}/damaged.safetensors", status=1)
    left = [name for name in os.listdir(FOLDER) if "safetensors" in name]
    assert sorted(left) == ["out.safetensors", "part.safetensors"] or left == ["part.safetensors"], left


runner.run([what_export_wrote, parts_and_places], sys.argv[4:])
