#!/usr/bin/env python3
"""Compares what ckptfs says with TensorFlow and NumPy: ckptfs.py BUILDDIR FIXTURES FOLDER [TEST...]"""

import glob
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys

import ml_dtypes
import numpy as np
import runner
import tensorflow as tf
from arrays import same_numbers

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
# What TensorFlow reads by itself, V2 and V1.
READ = ["linear", "net", "sharded", "bigendian", "keras", "snappy", "v1", "v1-sharded", "partitioned", "strings", "maxshard", "dtypes"]


def ckptfs(*args, status=0):
    p = subprocess.run([f"{BUILD}/ckptfs", *args], capture_output=True)
    assert p.returncode == status, (args, p.returncode, p.stderr)
    return p.stdout if status == 0 else p.stderr.decode()


def say(*args):
    return json.loads(ckptfs(*args).decode("utf-8", "surrogateescape"))


def steps_of(fixture):
    items = say("ls", "--json", f"{FIXTURES}/{fixture}")["paths"][0]["items"]
    return [item for item in items if item["kind"] == "step"]


def prefix_of(fixture, step):
    """As TensorFlow wants it: of a V1 set a pattern."""
    shards = glob.glob(glob.escape(f"{FIXTURES}/{fixture}/{step}") + "-00000-of-*")
    return shards[0].replace("-00000-of-", "-?????-of-") if shards else f"{FIXTURES}/{fixture}/{step}"


def by_tensorflow(fixture, step):
    """{key: array} of what TensorFlow can read."""
    reader = tf.compat.v1.train.NewCheckpointReader(prefix_of(fixture, step))
    found = {}
    for key in reader.get_variable_to_shape_map():
        try:
            found[key] = reader.get_tensor(key)
        except (tf.errors.OpError, ValueError, TypeError):
            pass
    return found


def nested(values, like):
    """What `cat --format json` prints, as an array like LIKE."""
    def back(x):
        return [back(y) for y in x] if isinstance(x, list) else np.nan if x is None else x
    return np.array(back(values), dtype=np.float64).reshape(like.shape)


def check_bytes(path, array):
    """cat as npy, raw and JSON."""
    npy = np.load(io.BytesIO(ckptfs("cat", "--format", "npy", path)))
    if npy.dtype.names and npy.dtype.names != ("length", "bytes"):
        codes = npy[npy.dtype.names[0]]
        npy = codes.astype(codes.dtype.newbyteorder("=")).view(array.dtype)
    assert npy.shape == array.shape, path
    if array.dtype == object:
        assert (npy["bytes"] if npy.dtype.names else npy).tolist() == array.tolist() or npy.dtype.names, path
        said = say("cat", "--format", "json", path)["values"]
        flat = [x.encode("utf-8", "surrogateescape") for x in np.array(said, dtype=object).ravel().tolist()]
        assert flat == array.ravel().tolist(), path
        return
    assert npy.astype(array.dtype).tobytes() == array.tobytes(), path
    raw = ckptfs("cat", "--format", "raw", path)
    assert raw == ckptfs("cat", "--format", "npy", path)[-array.nbytes or None:][:array.nbytes], path
    if np.issubdtype(array.dtype, np.complexfloating):
        return
    said = nested(say("cat", "--format", "json", path)["values"], array)
    as_float = array.astype(np.float64)
    as_float[~np.isfinite(as_float)] = np.nan
    # The text is the shortest that leads back to the same element.
    back = said.astype(array.dtype).astype(np.float64)
    np.testing.assert_array_equal(np.where(np.isnan(as_float), np.nan, back), as_float, err_msg=path)


def each_variable():
    """ls, cat and stat of every variable that TensorFlow reads."""
    checked = 0
    for fixture in READ:
        for step in steps_of(fixture):
            expected = by_tensorflow(fixture, step["name"])
            at = f"{FIXTURES}/{fixture}/{step['name']}"
            listed = say("ls", "-R", "--json", at)["paths"][0]["items"]
            keys = {item["key"]: item for item in listed}
            assert set(expected) <= set(keys), (at, set(expected) - set(keys))
            assert len(listed) == step["variables"], at
            stats = {v["key"]: v for v in say("stat", "--json", at)["variables"]}
            for key, value in expected.items():
                array = np.asarray(value, dtype=object if isinstance(value, bytes) else None)
                item = keys[key]
                assert tuple(item["shape"]) == array.shape, (at, key)
                if len(expected) < 300:
                    check_bytes(f"{at}/{item['name']}", array)
                if "numbers" in stats[key]:
                    same_numbers(stats[key]["numbers"], array)
                checked += 1
    assert checked > 200, checked


def names_of_all_kinds():
    """Also names that are not UTF-8, which TensorFlow's reader can't list: what it had read is in the fixture."""
    with open(f"{FIXTURES}/names.expected.json", encoding="utf-8") as f:
        steps = json.load(f)["steps"].values()
    checked = 0
    for step in steps:
        at = f"{FIXTURES}/names/{step['prefix']}"
        items = {item["key"]: item for item in say("ls", "-R", "--json", at)["paths"][0]["items"]}
        for key, value in step["keys"].items():
            assert items[key]["dtype"] == value["dtype"] and items[key]["shape"] == value["shape"], (at, key)
            name = items[key]["name"].encode("utf-8", "surrogateescape")
            raw = ckptfs("cat", "--format", "raw", at.encode() + b"/" + name)
            if "sha256" in value:
                assert hashlib.sha256(raw).hexdigest() == value["sha256"], (at, key)
            checked += 1
    assert checked > 20, checked


def every_value_of_small_types():
    """Each value of a type of one byte is printed so that it leads back to it, and no shorter text does."""
    at = f"{FOLDER}/small"
    names = ["float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz", "bfloat16", "float16"]
    lines = ["bundle 1 0"]
    for name in names:
        dtype = np.dtype(getattr(ml_dtypes, name, name))
        codes = np.arange(256 ** dtype.itemsize).astype(f"<u{dtype.itemsize}")
        stored = codes.view(dtype) if name == "float16" else codes.view([(name, codes.dtype.str)])
        np.save(f"{FOLDER}/{name}.npy", stored)
        lines.append(f"tensor {name.encode().hex()} 0 {FOLDER}/{name}.npy")
    subprocess.run([f"{BUILD}/write_bundle", at], input="\n".join(lines).encode(), check=True)
    for name in names:
        dtype = np.dtype(getattr(ml_dtypes, name, name))
        codes = np.arange(256 ** dtype.itemsize).astype(f"<u{dtype.itemsize}")
        values = codes.view(dtype).astype(np.float64)
        texts = ckptfs("cat", "--format", "csv", f"{at}/{name}").decode().split()
        back = np.array([float(text) for text in texts])
        with np.errstate(over="ignore", invalid="ignore"):
            np.testing.assert_array_equal(back.astype(np.float32).astype(dtype).astype(np.float64), values, err_msg=name)


def what_is_not_there():
    assert "no such step" in ckptfs("ls", f"{FIXTURES}/linear/my-model-7", status=1)
    assert "is a step" in ckptfs("cat", f"{FIXTURES}/linear/my-model-0", status=1)
    assert "belongs to no checkpoint" in ckptfs("cat", f"{FIXTURES}/README.md", status=1)
    ckptfs("ls", status=2)
    ckptfs("nonsense", status=2)


def a_variable_beside_a_scope():
    """w and w/Adam: cat takes the variable, ls the scope."""
    at = f"{FIXTURES}/linear/my-model-2000"
    assert ckptfs("cat", f"{at}/w") == ckptfs("cat", f"{at}/w.npy")
    assert ckptfs("ls", f"{at}/w").split() == [b"Adam.npy", b"Adam_1.npy"]
    assert ckptfs("ls", f"{FIXTURES}/linear/latest") == ckptfs("ls", f"{at}.index")


def make_step(prefix, arrays):
    """A step that has ARRAYS, by their keys."""
    lines = ["bundle 1 0"]
    for i, (key, array) in enumerate(arrays.items()):
        np.save(f"{prefix}.{i}.npy", array)
        lines.append(f"tensor {key.encode().hex()} 0 {prefix}.{i}.npy")
    subprocess.run([f"{BUILD}/write_bundle", prefix], input="\n".join(lines).encode(), check=True)
    for file in glob.glob(f"{glob.escape(prefix)}.*.npy"):
        os.unlink(file)


def diff_is_numpys():
    """How far two steps are apart, for each dtype that has numbers; NaN and infinities; what is only in one."""
    rng = np.random.default_rng(1)
    a, b = {"only_a": np.zeros(3, np.float32), "retyped": np.zeros(3, np.float32)}, {"retyped": np.zeros((3, 1), np.float32)}
    for name in ["float32", "float64", "float16", "int8", "int64", "uint16", "bool"]:
        numbers = rng.standard_normal((2, 70, 30)) * 9
        x, y = (numbers > 0 if name == "bool" else np.abs(numbers) if name == "uint16" else numbers).astype(name)
        y[1::7] = x[1::7]
        a[f"in/{name}"], b[f"in/{name}"] = x, y
    x = np.array([1, np.nan, np.inf, -np.inf, 5, 0], np.float32)
    y = np.array([1, np.nan, np.inf, np.inf, np.nan, 2], np.float32)
    a["special"], b["special"], a["same"], b["same"] = x, y, x, x
    make_step(f"{FOLDER}/a", a)
    make_step(f"{FOLDER}/b", b)
    p = subprocess.run([f"{BUILD}/ckptfs", "diff", "--json", f"{FOLDER}/a", f"{FOLDER}/b"], capture_output=True)
    assert p.returncode == 1, p.stderr
    said = json.loads(p.stdout)["diff"]
    assert said["same"] == 1
    found = {d["name"]: d for d in said["differences"]}
    assert [d["kind"] for d in said["differences"][:2]] == ["removed", "retyped"]
    assert found["retyped"]["b"] == {"dtype": "DT_FLOAT", "shape": [3, 1]}
    assert found["special"]["differ"] == 3 and found["special"]["max"] == 2.0
    moves = []
    for name, d in found.items():
        if d["kind"] != "changed" or name == "special":
            continue
        x, y = a[name].astype(np.float64), b[name].astype(np.float64)
        away = np.abs(x - y)
        assert (d["differ"], d["elements"]) == ((away > 0).sum(), away.size), name
        for said_of, value in ("max", away.max()), ("mean", away.mean()), ("relative", np.linalg.norm(x - y) / np.linalg.norm(x)), \
                ("cosine", (x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y)):
            np.testing.assert_allclose(d[said_of], value, rtol=1e-9, err_msg=f"{name} {said_of}")
        moves.append(d["relative"])
    assert len(moves) == 7
    everything = [d["relative"] for d in said["differences"] if d["kind"] == "changed"]
    assert everything == sorted(everything, reverse=True)
    only = ckptfs("diff", "--names-only", f"{FOLDER}/a/in/int8", f"{FOLDER}/b/in/int8", status=1)
    assert only == "", only
    assert ckptfs("diff", "--tolerance", "1e9", f"{FOLDER}/a/in", f"{FOLDER}/b/in") == b""
    assert ckptfs("diff", f"{FOLDER}/a/in", f"{FOLDER}/a/in") == b""
    ckptfs("diff", f"{FOLDER}/a/in", f"{FOLDER}/nowhere", status=2)


def shared_bytes_are_not_read():
    """A step that a commit has made of another shares its shards: these are not opened."""
    folder = f"{FOLDER}/shared"
    os.mkdir(folder)
    make_step(f"{folder}/m-1", {"large": np.zeros(100000, np.float32), "small": np.zeros(3, np.float32)})
    with runner.Mount(BUILD, folder, "rw", FOLDER) as mount:
        np.save(f"{mount.at}/m-1/small.npy", np.ones(3, np.float32))
        mount.sync("m-1")
    log = f"{FOLDER}/strace"
    p = subprocess.run(["strace", "-f", "-y", "-e", "trace=pread64", "-o", log, f"{BUILD}/ckptfs", "diff", "--names-only",
                        f"{folder}/m-1", f"{folder}/m-2"], capture_output=True)
    assert p.stdout.split() == [b"changed", b"small"], (p.stdout, p.stderr)
    with open(log, encoding="utf-8") as f:
        read = [line for line in f if ".data-" in line]
    assert read and all(int(line.rsplit("=", 1)[1]) < 1000 for line in read), read


def a_missing_shard_is_told_once():
    """With how many variables it has; and one that alone can't be read is named."""
    folder = f"{FOLDER}/missing"
    shutil.copytree(f"{FIXTURES}/sharded", folder)
    os.unlink(f"{folder}/model-7.data-00001-of-00003")
    damaged = f"{FIXTURES}/corrupt/flipped-tensor-bit/my-model-2000"
    for how in (), ("--json",):
        p = subprocess.run([f"{BUILD}/ckptfs", "stat", *how, f"{folder}/model-7"], capture_output=True, text=True)
        assert p.returncode == 1 and p.stderr == ("ckptfs stat: model-7: model-7.data-00001-of-00003: No such file or directory: "
                                                  "so 3 variables can't be read, from count.npy to second.npy\n"), p.stderr
        p = subprocess.run([f"{BUILD}/ckptfs", "diff", *how, f"{FIXTURES}/sharded/model-7", f"{folder}/model-7"], capture_output=True, text=True)
        assert p.returncode == 2 and p.stderr.count("\n") == 1 and "so 4 variables can't be read, from count to words" in p.stderr, p
        p = subprocess.run([f"{BUILD}/ckptfs", "stat", *how, f"{damaged}/w"], capture_output=True, text=True)
        assert p.returncode == 1 and p.stderr.startswith("ckptfs stat: w: my-model-2000: "), p.stderr
        p = subprocess.run([f"{BUILD}/ckptfs", "stat", *how, damaged], capture_output=True, text=True)
        assert p.returncode == 1 and p.stderr.count("\n") == 1 and p.stderr.startswith("ckptfs stat: w.npy: "), p.stderr


def a_step_is_parsed_once():
    """Not again for each of its variables that is named."""
    step = f"{FIXTURES}/partitioned/model-3"
    log = f"{FOLDER}/strace-index"
    subprocess.run(["strace", "-f", "-e", "trace=openat", "-o", log, f"{BUILD}/ckptfs", "cat", f"{step}/model/rows",
                    f"{step}/model/vector", f"{step}/model/rows/Adam"], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # which can't be traced
    with open(log, encoding="utf-8") as f:
        opened = [line for line in f if "model-3.index" in line]
    assert len(opened) == 1, opened


def the_log_counts_what_changed():
    """Against the step of its family before it, by the index alone."""
    folder = f"{FOLDER}/log"
    os.mkdir(folder)
    first = {"a": np.zeros(3, np.float32), "b": np.zeros(3, np.float32), "gone": np.zeros(3, np.float32)}
    second = {"a": first["a"], "b": np.ones(3, np.float32), "new": np.zeros((3, 1), np.float32)}
    for n, arrays in enumerate([first, second, {"other": first["a"]}, {**second, "a": np.zeros(4, np.float32)}]):
        prefix = f"{folder}/{'other' if n == 2 else 'm'}-{n}"
        make_step(prefix, arrays)
        os.utime(f"{prefix}.index", (9 - n, 9 - n))
    steps = {s["name"]: s for s in say("log", "--json", folder)["steps"]}
    assert list(steps) == ["m-0", "m-1", "other-2", "m-3"]
    assert "against" not in steps["m-0"] and "against" not in steps["other-2"]
    assert (steps["m-1"]["against"], steps["m-1"]["changed"], steps["m-1"]["added"], steps["m-1"]["removed"]) == ("m-0", ["b"], ["new"], ["gone"])
    assert (steps["m-3"]["against"], steps["m-3"]["changed"], steps["m-3"]["added"], steps["m-3"]["removed"]) == ("m-1", ["a"], [], [])
    rows = {row[0]: row[-4:] for row in (line.split() for line in ckptfs("log", folder).decode().splitlines())}
    assert list(rows) == ["step", *steps] and rows["m-1"] == ["1", "1", "1", "m-0"] and rows["m-0"] == ["-"] * 4, rows


def globs():
    """net/model-*/w: each step that matches, and each variable in it."""
    at = f"{FIXTURES}/linear"
    assert ckptfs("ls", f"{at}/my-model-*/w*").decode().split() == [f"{at}/my-model-{n}/w.npy" for n in (0, 1000, 2000)]
    assert ckptfs("ls", f"{at}/my-model-0/**/Adam").decode().split() == [f"{at}/my-model-0/{v}/Adam.npy" for v in "bw"]
    assert "no step or variable matches" in ckptfs("ls", f"{at}/my-model-*/nothing*", status=1)
    assert len(ckptfs("cat", f"{at}/*/global_step").split()) == 3
    assert ckptfs("ls", f"{at}/my-model-0", f"{at}/my-model-0/w.npy").decode().count(":\n") == 1


def scopes_add_up():
    """tree: what is in a scope is the sum of what is in it."""
    at = f"{FIXTURES}/net/latest"
    rows = [line.split(None, 2) for line in ckptfs("tree", "-L", "1000", at).decode().splitlines()]
    items = say("ls", "-R", "--json", at)["paths"][0]["items"]
    assert int(rows[0][0]) == sum(item["bytes"] for item in items) and int(rows[0][1]) == len(items)
    scopes = {name.rsplit("/", 1)[0] for name in (item["name"] for item in items) if "/" in name}
    scopes |= {scope[:i] for scope in scopes for i, c in enumerate(scope) if c == "/"}
    assert len(rows) == 1 + len(scopes), (len(rows), scopes)
    assert len(ckptfs("tree", "-L", "0", at).splitlines()) == 1


def a_terminal_has_columns():
    """On a terminal of 40 columns names stand side by side; piped one a line."""
    at = f"{FIXTURES}/linear/latest"
    p = subprocess.run(["script", "-qec", f"stty cols 40; {BUILD}/ckptfs ls {at}", "/dev/null"], capture_output=True, env={**os.environ, "COLUMNS": "", "NO_COLOR": "1"})
    lines = p.stdout.decode().replace("\r", "").splitlines()
    assert 1 < len(lines) < len(ckptfs("ls", at).splitlines()) and max(map(len, lines)) <= 40, lines


runner.run([each_variable, names_of_all_kinds, every_value_of_small_types, what_is_not_there, a_variable_beside_a_scope, diff_is_numpys,
            shared_bytes_are_not_read, a_missing_shard_is_told_once, a_step_is_parsed_once, the_log_counts_what_changed, globs,
            scopes_add_up, a_terminal_has_columns], sys.argv[4:])
