#!/usr/bin/env python3
"""Compares ckptfs average, cast and merge with NumPy, ml_dtypes and TensorFlow: average.py BUILDDIR FIXTURES FOLDER [TEST...]"""

import glob
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import runner
import tensorflow as tf
from arrays import FLOATS, SMALL, dtype_of, rounded, same

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def run(*args, status=0):
    p = subprocess.run([f"{BUILD}/ckptfs", *args], capture_output=True)
    assert p.returncode == status, (args, p.returncode, p.stderr)
    return p.stderr.decode()


def by_tensorflow(at):
    """{key: array} of what TensorFlow can read; of a V1 set AT is its first shard."""
    reader = tf.compat.v1.train.NewCheckpointReader(at.replace("-00000-of-", "-?????-of-") if ".data" not in at else at)
    found = {}
    for key in reader.get_variable_to_shape_map():
        try:
            found[key] = np.asarray(reader.get_tensor(key))
        except (ValueError, tf.errors.OpError):
            pass
    return found


def steps_of(folder):
    p = subprocess.run([f"{BUILD}/ckptfs", "ls", "--json", folder], capture_output=True, check=True)
    return sorted(item["name"] for item in json.loads(p.stdout)["paths"][0]["items"] if item["kind"] == "step")


def make_step(prefix, arrays):
    """A step that has ARRAYS, by their keys."""
    lines = ["bundle 1 0"]
    for i, (key, array) in enumerate(arrays.items()):
        name = array.dtype.name
        stored = array.view([(name, f"<u{array.dtype.itemsize}")]) if name in SMALL else array
        np.save(f"{prefix}.{i}.npy", stored)
        lines.append(f"tensor {key.encode().hex()} 0 {prefix}.{i}.npy")
    subprocess.run([f"{BUILD}/write_bundle", prefix], input="\n".join(lines).encode(), check=True)
    for file in glob.glob(f"{glob.escape(prefix)}.*.npy"):
        os.unlink(file)


def folder_of(name):
    os.mkdir(f"{FOLDER}/{name}")
    return f"{FOLDER}/{name}"


def fixture(name):
    """A copy that may be written to."""
    at = f"{FOLDER}/{name}.copy"
    shutil.rmtree(at, ignore_errors=True)
    shutil.copytree(f"{FIXTURES}/{name}", at, symlinks=True)
    return at


def numbers(rng, name, shape=(70, 500)):
    """Of all sizes, with zeros, infinities and NaN."""
    dtype = dtype_of(name)
    values = rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 6, shape)
    values.ravel()[:6] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40]
    with np.errstate(all="ignore"):
        return values.astype(np.float32).astype(dtype) if dtype.itemsize < 4 else values.astype(dtype)


def average_is_numpys():
    rng = np.random.default_rng(4)
    folder, steps = folder_of("average"), []
    for n in range(3):
        arrays = {f"in/{name}": numbers(rng, name) for name in FLOATS}
        arrays |= {f"z/{name}": numbers(rng, "float64").astype(name) for name in ("complex64", "complex128")}
        arrays |= {"step": np.array(n, np.int64), "flag": np.array([n == 1]), "scalar": np.array(n / 7, np.float32), "empty": np.zeros((0, 2), np.float32),
                   "shared": np.arange(5, dtype=np.float64), ".dot": np.ones(3, np.float32)}
        make_step(f"{folder}/m-{n}", arrays)
        steps.append(arrays)
    del steps[0][".dot"]
    run("average", *(f"{folder}/m-{n}" for n in range(3)), "-o", "mean", status=1)  # a new file .dot.npy would be no variable
    for n, arrays in enumerate(steps):
        arrays.pop(".dot", None)
        make_step(f"{folder}/m-{n}", arrays)
    before = sorted(os.listdir(folder))
    run("average", *(f"{folder}/m-{n}" for n in range(3)), "-o", "mean")
    found = by_tensorflow(f"{folder}/mean")
    assert set(found) == set(steps[0])
    for key, first in steps[0].items():
        all_three = [arrays[key] for arrays in steps]
        if first.dtype.kind in "ib":
            same(found[key], first, key)
            continue
        wide = np.complex128 if first.dtype.kind == "c" else np.float64
        with np.errstate(all="ignore"):
            total = all_three[0].astype(wide) + all_three[1].astype(wide) + all_three[2].astype(wide)
            if first.dtype.kind == "c":
                mean = (total.view(np.float64) / 3).view(wide).astype(first.dtype)
            else:
                mean = rounded(total / 3, first.dtype)
        same(found[key], mean, key)
    assert set(os.listdir(folder)) - set(before) == {name for name in os.listdir(folder) if name.startswith("mean.")}, os.listdir(folder)
    run("average", f"{folder}/m-1", "-o", "one")
    for key, value in by_tensorflow(f"{folder}/one").items():
        same(value, steps[1][key], key)


def steps_that_do_not_match():
    folder = folder_of("unlike")
    x = np.ones(3, np.float32)
    make_step(f"{folder}/a", {"x": x, "y": x})
    make_step(f"{folder}/more", {"x": x, "y": x, "z": x})
    make_step(f"{folder}/shape", {"x": x, "y": np.ones((3, 1), np.float32)})
    make_step(f"{folder}/dtype", {"x": x, "y": np.ones(3)})
    for other, word in ("more", "z: is in"), ("shape", "y: has another"), ("dtype", "y: has another"):
        assert word in run("average", f"{folder}/a", f"{folder}/{other}", "-o", "new", status=1)
        run("average", f"{folder}/{other}", f"{folder}/a", "-o", "new", status=1)
    assert "is there already" in run("average", f"{folder}/a", "-o", "more", status=1)
    run("average", f"{folder}/a", "-o", "a/b", status=1)
    run("average", f"{folder}/a", "-o", "", status=1)
    run("average", f"{folder}/a/x", "-o", "new", status=1)
    run("average", f"{folder}/none", "-o", "new", status=1)
    run("average", f"{folder}/a", status=2)
    run("cast", f"{folder}/a", "-o", "new", status=2)
    run("cast", "--to", "int8", f"{folder}/a", "-o", "new", status=2)
    run("cast", "--to", "float16", "none*", f"{folder}/a", "-o", "new", status=1)
    run("merge", f"{folder}/a", "-o", "new", status=2)
    run("merge", "--prefer", "c", f"{folder}/a", f"{folder}/a", "-o", "new", status=2)
    assert sorted(os.listdir(folder)) == sorted(f"{n}.{e}" for n in ("a", "more", "shape", "dtype") for e in ("index", "data-00000-of-00001")), os.listdir(folder)


def cast_is_ml_dtypes():
    """Every pair of float types; what is no float stays."""
    rng = np.random.default_rng(5)
    folder = folder_of("cast")
    arrays = {f"in/{name}": numbers(rng, name) for name in FLOATS}
    for name in SMALL[1:]:
        arrays[f"all/{name}"] = np.arange(256, dtype=np.uint8).view(dtype_of(name))
    for name in ("bfloat16", "float16"):
        arrays[f"all/{name}"] = np.arange(65536, dtype=np.uint16).view(dtype_of(name))
    # Just beside the middle of two bfloat16, nearer than a float tells.
    arrays["beside"] = np.array([1 + 2.0 ** -8 + s * 2.0 ** -40 for s in (-1, 0, 1)] + [-1 - 2.0 ** -8 - 2.0 ** -40, 3.4e38, 3.3961e38, 1e300, 1e-300])
    arrays |= {"int": np.arange(5), "flag": np.array([True]), "c": np.array([1 + 2j], np.complex64)}
    make_step(f"{folder}/m", arrays)
    for name in FLOATS:
        run("cast", "--to", name, f"{folder}/m", "-o", name)
        found = by_tensorflow(f"{folder}/{name}")
        assert set(found) == set(arrays)
        for key, array in arrays.items():
            with np.errstate(all="ignore"):
                is_float = array.dtype.name in FLOATS
                expected = rounded(array.astype(np.float64), dtype_of(name)) if is_float else array
            same(found[key], expected, (key, name))
    run("cast", "--to", "float16", "in/*32", "in/float64.npy", f"{folder}/m", "-o", "some")
    for key, value in by_tensorflow(f"{folder}/some").items():
        is_chosen = key in ("in/float32", "in/float64")
        assert value.dtype == (np.float16 if is_chosen else arrays[key].dtype), key


def steps_of_all_kinds():
    """Partitioned, big-endian, V1, object-based, with meta graphs: the mean of two steps, and of one."""
    checked = mixed = 0
    for name, first, second in ("linear", "my-model-1000", "my-model-2000"), ("net", None, None), ("partitioned", None, None), ("keras", None, None), \
            ("bigendian", None, None), ("v1", None, None), ("snappy", None, None), ("sharded", None, None), ("strings", None, None):
        folder = fixture(name)
        steps = steps_of(folder)
        first, second = first or steps[0], second or steps[-1]
        a, b = by_tensorflow(f"{folder}/{first}"), by_tensorflow(f"{folder}/{second}")
        if set(a) != set(b):
            second, b = first, a
        run("average", f"{folder}/{first}", f"{folder}/{second}", "-o", "mean")
        run("cast", "--to", "bfloat16", f"{folder}/{first}", "-o", "cast")
        run("merge", f"{folder}/{first}", f"{folder}/{first}", "-o", "both")
        mean, cast, both = (by_tensorflow(f"{folder}/{n}") for n in ("mean", "cast", "both"))
        assert set(mean) == set(cast) == set(both) >= set(a), (name, set(a) ^ set(mean))
        for key, x in a.items():
            native = x.astype(x.dtype.newbyteorder("="))
            is_float = native.dtype.name in FLOATS
            same(both[key], native, (name, key))
            same(mean[key], ((x.astype(np.float64) + b[key].astype(np.float64)) / 2).astype(native.dtype) if is_float else native, (name, key))
            same(cast[key], rounded(x.astype(np.float64), dtype_of("bfloat16")) if is_float else native, (name, key))
            checked += 1
        if all(x.dtype.name == "float32" for x in a.values() if x.dtype.name in FLOATS):  # the mean of what is not shared
            run("cast", "--to", "float32", f"{folder}/cast", "-o", "back")
            run("average", f"{folder}/{first}", f"{folder}/back", f"{folder}/{first}", "-o", "mix")
            back, mix = by_tensorflow(f"{folder}/back"), by_tensorflow(f"{folder}/mix")
            for key, x in a.items():
                if x.dtype.name == "float32":
                    same(mix[key], ((2 * x.astype(np.float64) + back[key]) / 3).astype(np.float32), (name, key))
                    mixed += 1
        had_meta = os.path.exists(f"{folder}/{first}.meta")
        assert os.path.exists(f"{folder}/mean.meta") == had_meta and not (os.path.exists(f"{folder}/cast.meta") and any(x.dtype.name in FLOATS for x in a.values()))
        p = subprocess.run([f"{BUILD}/fsck.ckptfs", folder], capture_output=True)
        assert p.returncode in (0, 1) and b"mean" not in p.stdout + p.stderr, (name, p.stdout, p.stderr)
    assert checked > 50 and mixed > 20, (checked, mixed)


def the_saver_restores_the_mean():
    """By the meta graph that the new step has."""
    folder = fixture("linear")
    run("average", f"{folder}/my-model-1000", f"{folder}/my-model-2000", "-o", "mean-1")
    expected = by_tensorflow(f"{folder}/mean-1")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver = tf.compat.v1.train.import_meta_graph(f"{folder}/mean-1.meta")
        saver.restore(session, f"{folder}/mean-1")
        for v in tf.compat.v1.global_variables():
            same(np.asarray(session.run(v)), expected[v.op.name], v.op.name)


def merges():
    """What both have must be the same; what is taken is shared with where it is from."""
    folder, other = folder_of("merge"), folder_of("merge.other")
    large = np.random.default_rng(6).standard_normal(1 << 18).astype(np.float32)
    a = {"a/x": large, "both": np.ones(3, np.float32), "same/large": large * 2}
    b = {"b/y": large * 3, "both": np.zeros(3, np.float32), "same/large": large * 2, "a/w": np.arange(4)}
    make_step(f"{folder}/a", a)
    make_step(f"{other}/b", b)
    before = sorted(os.listdir(folder))
    said = run("merge", f"{folder}/a", f"{other}/b", "-o", "new", status=1)
    assert "both" in said and "--prefer" in said and sorted(os.listdir(folder)) == before, said
    for prefer, chosen in ("a", a), ("b", b):
        run("merge", "--prefer", prefer, f"{folder}/a", f"{other}/b", "-o", f"by-{prefer}")
        found = by_tensorflow(f"{folder}/by-{prefer}")
        assert set(found) == set(a) | set(b)
        for key, value in found.items():
            same(value, (chosen if key in chosen else a if key in a else b)[key], key)
        kept = {os.stat(f).st_ino for f in glob.glob(f"{folder}/by-{prefer}.data*")}
        assert {os.stat(f).st_ino for f in glob.glob(f"{folder}/a.data*") + glob.glob(f"{other}/b.data*")} & kept, prefer
    for name, value in ("p", 1), ("q", 2):
        make_step(f"{other}/{name}", {"first": np.full(1 << 21, value, np.float32), "second": np.int32(value)})
    # `second`, which is small, is compared before it.
    assert "first: both have it" in run("merge", f"{other}/p", f"{other}/q", "-o", "new", status=1)
    c = {**b, "both": a["both"]}
    make_step(f"{other}/c", c)
    run("merge", f"{folder}/a", f"{other}/c", "-o", "agreed")
    for key, value in by_tensorflow(f"{folder}/agreed").items():
        same(value, {**a, **c}[key], key)
    keras = fixture("keras")
    step = os.path.basename(glob.glob(f"{keras}/*.index")[0])[:-6]
    assert "object graph" in run("merge", f"{folder}/a", f"{keras}/{step}", "-o", "mixed", status=1)


def as_through_a_mount():
    """cp -r of a step, and ckptfs merge of it with itself, are the same bytes on disk."""
    for name in ("linear", "keras", "partitioned"):
        mounted, plain = fixture(name), f"{FOLDER}/{name}.plain"
        shutil.copytree(mounted, plain, symlinks=True)
        step = sorted(os.path.basename(i)[:-6] for i in glob.glob(f"{mounted}/*.index"))[0]
        with runner.Mount(BUILD, mounted, "rw", FOLDER) as mount:
            subprocess.run(["cp", "-r", f"{mount.at}/{step}", f"{mount.at}/new"], check=True)
            mount.sync("new")
        run("merge", f"{plain}/{step}", f"{plain}/{step}", "-o", "new")
        p = subprocess.run(["diff", "-r", mounted, plain], capture_output=True)
        assert p.returncode == 0, (name, p.stdout)


runner.run([average_is_numpys, steps_that_do_not_match, cast_is_ml_dtypes, steps_of_all_kinds, the_saver_restores_the_mean, merges,
            as_through_a_mount], sys.argv[4:])
