#!/usr/bin/env python3
"""Compares ckptfs export and import with the safetensors package and TensorFlow: safetensors_files.py BUILDDIR FIXTURES FOLDER [TEST...]"""

import errno
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


def a_file(name, header, data=b"", length=None):
    """A file with that header, an object or bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    at = f"{FOLDER}/{name}.safetensors"
    with open(at, "wb") as f:
        f.write(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return at


def files_in(folder):
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)


def what_import_reads():
    """What the package saves, TensorFlow restores."""
    rng = np.random.default_rng(3)
    arrays = {"empty": np.zeros((0, 3), np.float32), "a/b/c": rng.standard_normal((300, 1000)).astype(np.float32), "a/b": np.array(3.0),
              "../up": np.ones(3, np.int8), "a//b": np.ones(2, np.uint64), "w.npy/x": np.arange(3, dtype=np.uint16), "k": np.array([1 + 2j], np.complex64),
              "flag": np.array([True, False]), "ä": np.arange(4, dtype=np.int64), "n" * 300: np.ones(1, np.int16), 
              "s/.OPTIMIZER_SLOT/x": np.ones(1, np.int32), "not-whole.tsv/v": np.ones(2, np.float16), "model.layers.0.weight": np.ones((2, 2), np.uint8), "100%": np.ones(1, np.uint32),
              "x/.ATTRIBUTES/VARIABLE_VALUE": np.ones(5, np.float32)}
    file = f"{FOLDER}/in.safetensors"
    safetensors.numpy.save_file(arrays, file, metadata={"format": "np"})
    run("import", file, f"{FOLDER}/made/model-7")
    found = by_tensorflow(f"{FOLDER}/made/model-7")
    assert set(found) == {*arrays, "__metadata__"}, set(arrays) ^ set(found)
    for name, array in arrays.items():
        same(found[name], np.asarray(array), name)
    assert "is there already" in run("import", file, f"{FOLDER}/made/model-7", status=1).stderr.decode()
    run("import", file, f"{FOLDER}/made/model-8")
    assert len(files_in(f"{FOLDER}/made")) == 6, files_in(f"{FOLDER}/made")
    # Through a session of TensorFlow 1.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        v = tf.compat.v1.get_variable("a/b/c", shape=(300, 1000))
        tf.compat.v1.train.Saver([v]).restore(session, f"{FOLDER}/made/model-8")
        same(session.run(v), arrays["a/b/c"], "a/b/c")
    # There and back: the same bytes.
    for dtype in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        codes = np.arange(256 if "8_" in dtype else 65536).astype("u1" if "8_" in dtype else "u2")
        name = {"bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}[dtype]
        at = a_file("small", {"x": {"dtype": name, "shape": [len(codes)], "data_offsets": [0, codes.nbytes]}}, codes.tobytes())
        run("import", at, f"{FOLDER}/made/{dtype}")
        same(by_tensorflow(f"{FOLDER}/made/{dtype}")["x"], codes.view(getattr(ml_dtypes, dtype)), dtype)
        back = f"{FOLDER}/back.safetensors"
        run("export", f"{FOLDER}/made/{dtype}", back)
        same(by_safetensors(back)["x"], codes.view(getattr(ml_dtypes, dtype)), dtype)


def hostile_files():
    """Each gives an error that names the file, and leaves nothing."""
    def one(**changes):
        return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}
    data, two = bytes(8), {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    cases = {
        "length_beyond": (one(), data, 1 << 20), "length_huge": (one(), data, 1 << 63), "length_most": (one(), data, (1 << 64) - 1),
        "length_zero": (one(), data, 0), "no_header": (b"", b""), "no_json": (b"{\"x\": ", data), "no_object": (b"[1, 2]", data), "a_number": (b"7", data),
        "rest": (json.dumps(one()).encode() + b" x", data), "nul": (json.dumps(one()).encode() + b"\0", data),
        "deep": (b'{"x":' * 100000 + b"1" + b"}" * 100000, data), "deep_array": (b'{"x":' + b"[" * 100000 + b"]" * 100000 + b"}", data),
        "twice": (b'{"x":%b,"x":%b}' % ((json.dumps(one()["x"]).encode(),) * 2), data),
        "twice_empty": (b'{"x":%b,"x":%b}' % ((b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}',) * 2), b""),
        "twice_inside": (b'{"x":{"dtype":"F64","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', data),
        "nul_in_name": (b'{"x\\u0000y":%b}' % json.dumps(one()["x"]).encode(), data), "not_utf8": (b'{"\xff":%b}' % json.dumps(one()["x"]).encode(), data),
        "beyond": (one(data_offsets=[0, 12], shape=[3]), data), "backwards": (one(data_offsets=[8, 0]), data), "negative": (one(data_offsets=[-8, 0]), data),
        "huge_offset": (one(data_offsets=[0, 1 << 64]), data), "float_offset": (one(data_offsets=[0.0, 8.0]), data), "one_offset": (one(data_offsets=[8]), data),
        "no_offsets": ({"x": {"dtype": "F32", "shape": [2]}}, data), "gap": (one(data_offsets=[4, 12]), bytes(12)), "rest_of_data": (one(), bytes(9)),
        "overlap": ({"a": two, "b": {**two, "data_offsets": [2, 6]}}, bytes(6)), "same_bytes": ({"a": two, "b": two}, bytes(4)),
        "wrong_size": (one(shape=[3]), data), "wrong_dtype": (one(dtype="F64"), data), "no_dtype": (one(dtype="F77"), data), "dtype_number": (one(dtype=3), data),
        "no_type_of_ours": (one(dtype="F8_E8M0", shape=[8]), data),
        "negative_shape": (one(shape=[-2]), data), "huge_shape": (one(shape=[1 << 62, 1 << 62]), data), "many_dimensions": (one(shape=[1] * 300 + [2]), data),
        "shape_of_texts": (one(shape=["2"]), data), "no_shape": ({"x": {"dtype": "F32", "data_offsets": [0, 8]}}, data), "no_tensor": ({"x": 3}, data),
        "dot": ({".x": one()["x"]}, data), "dot_inside": ({"a/.b/x": one()["x"]}, data),
        "empty_name": ({"": one()["x"]}, data), "object_graph": ({GRAPH: one()["x"]}, data), "nothing": ({}, b""),
        "metadata_list": ({**one(), "__metadata__": ["a"]}, data), "metadata_number": ({**one(), "__metadata__": {"a": 1}}, data),
        "only_metadata": ({"__metadata__": {"a": "b"}}, b""),
    }
    for name, case in cases.items():
        at = a_file("bad", *case)
        said = run("import", at, f"{FOLDER}/bad/model", status=1).stderr.decode()
        assert at in said and len(said) < 700 and len(said.splitlines()) == 1, (name, said)
        assert not os.path.exists(f"{FOLDER}/bad"), (name, said)
    for at in (f"{FOLDER}/not there", FOLDER, "/dev/null"):
        run("import", at, f"{FOLDER}/bad/model", status=1)
    good = a_file("bad", one(), data)
    for to in (f"{FOLDER}/bad/deeper/model", f"{FOLDER}/bad/", f"{FOLDER}/bad/..", "/proc/x/y"):
        run("import", good, to, status=1)
        assert not os.path.exists(f"{FOLDER}/bad"), to
    run("import", good, status=2)
    run("import", good, f"{FOLDER}/good/model")


def who_is_interrupted():
    """A signal undoes it. What a killed import has left is discarded by whoever comes next: a mount, or the same import."""
    array = np.zeros(100 << 20, np.uint8)
    file = f"{FOLDER}/large.safetensors"
    safetensors.numpy.save_file({"first": array[:10], "x": array}, file)
    for number, mounts in [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGKILL, True), (signal.SIGKILL, False)]:
        folder = f"{FOLDER}/signal.{number}.{mounts}"
        p = subprocess.Popen([f"{BUILD}/ckptfs", "import", file, f"{folder}/model"], stderr=subprocess.PIPE)
        while p.poll() is None and not glob.glob(f"{folder}/.ckptfs/drafts/*/tree/x.npy"):
            pass
        p.send_signal(number)
        said = p.communicate()[1].decode()
        if number != signal.SIGKILL:
            assert p.returncode == 1 and "interrupted" in said and not os.path.exists(folder), (p.returncode, said)
            continue
        if mounts:
            with runner.Mount(BUILD, folder, "rw", FOLDER) as mount:
                assert os.listdir(mount.at) == []
            assert os.listdir(folder) == [], files_in(folder)
        said = run("import", file, f"{folder}/model").stderr.decode()
        assert mounts or "model: what a killed program had begun is discarded" in said, said
        assert not os.path.exists(f"{folder}/.ckptfs")
        subprocess.run([f"{BUILD}/fsck.ckptfs", folder], check=True, stdout=subprocess.DEVNULL)
    os.unlink(file)


def cp_takes_them():
    """Out as export does; into a step, a scope, a new step, in one commit; and in a script."""
    net, file = f"{FOLDER}/copied", f"{FOLDER}/copied.safetensors"
    arrays = {"w": np.ones((2, 3), np.float32), "a/b": np.arange(4)}
    safetensors.numpy.save_file(arrays, file)
    run("import", file, f"{net}/model-1")
    run("cp", f"{net}/model-1", f"{FOLDER}/out.safetensors")
    run("export", f"{net}/model-1", f"{FOLDER}/exported.safetensors")
    with open(f"{FOLDER}/out.safetensors", "rb") as a, open(f"{FOLDER}/exported.safetensors", "rb") as b:
        assert a.read() == b.read()
    changed = {"w": np.zeros((2, 3), np.float32), "new": np.ones(1)}
    safetensors.numpy.save_file(changed, file)
    assert run("cp", file, f"{net}/model-1").stdout == b"model-2: committed, changes: 2\n"
    run("cp", file, f"{net}/model-2/scope")
    run("cp", file, f"{net}/made")
    run("edit", "-o", "edited", f"{net}/model-1", f"cp {file} s", "mv s/new n")
    inside = {f"scope/{name}": array for name, array in changed.items()}
    for step, wanted in {"model-2": {**arrays, **changed}, "model-3": {**arrays, **changed, **inside}, "made": changed,
                         "edited": {**arrays, "s/w": changed["w"], "n": changed["new"]}}.items():
        found = by_tensorflow(f"{net}/{step}")
        assert set(found) == set(wanted), (step, set(found))
        for name, array in wanted.items():
            same(found[name], array, name)
    before = {name: os.stat(name).st_mtime_ns for name in files_in(net)}
    with open(file, "ab") as f:
        f.write(b"more")
    assert file in run("cp", file, f"{net}/model-1", status=1).stderr.decode()
    assert {name: os.stat(name).st_mtime_ns for name in files_in(net)} == before


def metadata_of(file):
    with safetensors.safe_open(file, "np") as f:
        return f.metadata()


def metadata_is_carried():
    """As a scalar string, which TensorFlow keeps; and back, with what is left out."""
    arrays, file, back = {"w": np.ones((2, 3), np.float32), "c": np.ones(1, np.complex64)}, f"{FOLDER}/meta.safetensors", f"{FOLDER}/meta-back.safetensors"
    net = f"{FOLDER}/meta"
    for i, texts in enumerate([{"format": "pt", "": "", "ä\n\"/": "\u2028 😀 \\"}, {"n": "x" * 900000}, {}, None, {"ckptfs.left_out": "[]"}]):
        safetensors.numpy.save_file(arrays, file, metadata=texts)
        run("import", file, f"{net}/model-{i}")
        found, kept = by_tensorflow(f"{net}/model-{i}"), {k: v for k, v in (texts or {}).items() if not k.startswith("ckptfs")}
        assert set(found) == set(arrays) | ({"__metadata__"} if kept else set()), (i, set(found))
        assert not kept or json.loads(found["__metadata__"].item()) == kept
        for name, array in arrays.items():
            same(found[name], array, name)
        said = run("export", f"{net}/model-{i}", back).stderr.decode()
        assert metadata_of(back) == {**kept, "ckptfs.left_out": '["c"]'} and len(said.splitlines()) == 1, (i, said)
        run("export", f"{net}/model-{i}/w", back)
        assert metadata_of(back) is None
    # A step takes it, a scope does not.
    safetensors.numpy.save_file({"w": arrays["w"]}, file, metadata={"a": "b"})
    run("cp", file, f"{net}/made")
    run("cp", file, f"{net}/model-3/scope")
    assert by_tensorflow(f"{net}/made")["__metadata__"].item() == b'{"a":"b"}'
    assert set(by_tensorflow(f"{net}/model-5")) == {"w", "c", "scope/w"}
    run("cp", f"{net}/made", back)
    assert metadata_of(back) == {"a": "b"}
    # What is none, is a string as others are.
    others = [b"", b"{", b"[]", b'{"a": 1}', b'{"a":"b","a":"c"}', b'{"a":"\\u0000"}', b'{"a":"\xff"}', b'{"a":"b"}\0', b"[" * 100000,
              json.dumps({"a": "x" * (1 << 20)}).encode()]
    for i, value in enumerate([*others, [b'{"a":"b"}']]):
        at = f"{FOLDER}/meta-none-{i}/model"
        tf.raw_ops.SaveV2(prefix=at, tensor_names=["__metadata__", "w"], shape_and_slices=["", ""], tensors=[tf.constant(value), tf.ones(2)])
        assert "__metadata__ (DT_STRING) is left out" in run("export", at, back).stderr.decode(), value[:20]
        assert metadata_of(back) == {"ckptfs.left_out": '["__metadata__"]'}
    # Damage is no other text.
    shard, = glob.glob(f"{net}/made.data*")
    with open(shard, "r+b") as f:
        data = f.read()
        f.seek(data.index(b'{"a"') + 2)
        f.write(b"z")
    assert "__metadata__" in run("export", f"{net}/made", f"{FOLDER}/meta-damaged.safetensors", status=1).stderr.decode()
    assert not os.path.exists(f"{FOLDER}/meta-damaged.safetensors")
    os.unlink(file)
    os.unlink(back)
    with runner.Mount(BUILD, net, "safetensors", FOLDER) as mount:
        assert metadata_of(f"{mount.at}/model-0.safetensors")["format"] == "pt"
        try:
            open(f"{mount.at}/made.safetensors", "rb").close()
        except OSError as e:
            assert e.errno == errno.EIO, e
        else:
            raise AssertionError("damaged metadata")


def two_at_once():
    """While a mount may write there, an import may not."""
    file, folder = f"{FOLDER}/once.safetensors", f"{FOLDER}/once"
    safetensors.numpy.save_file({"x": np.ones(3)}, file)
    run("import", file, f"{folder}/a")
    with runner.Mount(BUILD, folder, "rw", FOLDER):
        said = run("import", file, f"{folder}/b", status=1).stderr.decode()
    assert "mounted" in said or "writ" in said, said
    run("import", file, f"{folder}/b")


runner.run([what_export_wrote, parts_and_places, what_import_reads, hostile_files, who_is_interrupted, cp_takes_them, metadata_is_carried, two_at_once], sys.argv[4:])
