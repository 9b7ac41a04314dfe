#!/usr/bin/env python3
"""Commits with options of Saver that choose the files of a step: saver_formats.py BUILDDIR FIXTURES FOLDER [TEST...]

The files have the names that Saver gives them, and TensorFlow restores what was written and all else.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from tensorflow.core.protobuf import saver_pb2
from tensorflow.core.util import saved_tensor_slice_pb2
import runner
from write_mount import BUILD, FOLDER, Mounted, digests, entry_of, table_edit, tf, tf1, turned

V1, V2 = saver_pb2.SaverDef.V1, saver_pb2.SaverDef.V2


def edit(m, step, names):
    """Writes other elements to the variables NAMES of STEP.  What is expected of them."""
    keys, changes = m.steps[step]["keys"], {}
    for name in names:
        array = turned(m.load(step, name))
        m.save(step, name, array)
        changes[name] = entry_of(keys[name], array)
    return changes


class Training:
    """A folder in which a Saver with ARGUMENTS saves the variables that MAKE makes, a dict."""

    def __init__(self, make, **arguments):
        self.folder = tempfile.mkdtemp(dir=FOLDER, prefix="run.")
        with tf.Graph().as_default() as graph:
            self.variables = make()
            self.saver = tf1.train.Saver(max_to_keep=100, **arguments)
        self.session = tf1.Session(config=tf1.ConfigProto(device_count={"CPU": 3}), graph=graph)

    def save(self, number, values):
        """VALUES: of all variables or, once they were saved, of some."""
        with self.session.graph.as_default():
            for name, value in values.items():
                variable = self.variables[name]
                self.session.run(variable.initializer, {variable.initial_value: value})
            self.saver.save(self.session, os.path.join(self.folder, "model"), number)

    def restore(self, path):
        with self.session.graph.as_default():
            self.saver.restore(self.session, path)
            return self.session.run(self.variables)


def state_of(folder):
    with open(os.path.join(folder, "checkpoint")) as file:
        return file.read().replace(folder + "/", "@/")


def remove(training, m, step):
    """STEP, from the directory of TRAINING and from what its Saver knows, and from M."""
    path = os.path.join(training.folder, step)
    tf1.train.remove_checkpoint(path, V1 if os.path.exists(path) else V2)
    left = [item for item in training.saver._last_checkpoints if item[0] != path]
    training.saver.set_last_checkpoints_with_time(left)
    paths = [other for other, _ in left]
    tf1.train.update_checkpoint_state(training.folder, paths[-1], paths)
    shutil.rmtree(os.path.join(m.at, step))


def same_values(a, b):
    return sorted(a) == sorted(b) and all(np.array_equal(a[name], b[name]) for name in a)


# --- sharded ------------------------------------------------------------------------------------------------


def shards_of(m, step):
    """Variable -> the numbers of the shards that hold it, and how many shards there are."""
    found, index = {}, m.index(step)
    for key, entry in index.items():
        if key and entry.size:
            name = key[1:].split(b"\0\1")[0] if key[0] == 0 else key
            found.setdefault(name.decode(), set()).add(entry.shard_id)
    return found, index[b""].num_shards


def have_their_own(m, step, names):
    """Each of NAMES is in one shard, in which nothing else is, and the shard is there."""
    shards, count = shards_of(m, step)
    for name in names:
        (number,) = shards[name]
        others = [other for other, numbers in shards.items() if other != name and number in numbers]
        assert not others, f"{name} is in shard {number}, as {others}"
        assert os.path.exists(os.path.join(m.source, f"{step}.data-{number:05}-of-{count:05}")), number


def on_devices():
    """Three variables, each on another device."""
    made = {}
    for n, name in enumerate("abc"):
        with tf.device(f"/cpu:{n}"):
            made[name] = tf1.get_variable(name, [3], initializer=tf1.zeros_initializer())
    return made


def values_on_devices(number):
    return {name: np.arange(3, dtype=np.float32) * (n + 1) + number for n, name in enumerate("abc")}


def as_sharded():
    """Steps have the files that Saver makes of variables that are on a device each, whatever was changed."""
    training = Training(on_devices, sharded=True)
    training.save(1, values_on_devices(1))
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
    shutil.copytree(training.folder, folder, dirs_exist_ok=True)
    tf1.train.update_checkpoint_state(folder, os.path.join(folder, "model-1"))
    with Mounted(options="commit=sync,sharded", folder=folder) as m:
        for number in range(2, 15):
            values = values_on_devices(number)
            if number % 3 == 0:
                del values["b"]
            training.save(number, values)
            for name, value in values.items():
                m.save("latest", name, value)
            m.sync(os.readlink(os.path.join(m.at, "latest")))
            if number in (6, 10):
                remove(training, m, f"model-{number - 2}")
            shards = shards_of(m, f"model-{number}")[1]
            assert shards == 3, f"{shards} shards"
        files = sorted(os.listdir(training.folder))
        assert files == sorted(os.listdir(folder)) and len(files) == 12 * 5 + 1, os.listdir(folder)
        assert state_of(training.folder) == state_of(folder), state_of(folder)
        for step in (name.removesuffix(".index") for name in files if name.endswith(".index")):
            one, other = os.path.join(training.folder, step), os.path.join(folder, step)
            with open(one + ".meta", "rb") as a, open(other + ".meta", "rb") as b:
                assert a.read() == b.read(), step
            have_their_own(m, step, training.variables)
            assert same_values(training.restore(one), training.restore(other)), step
        subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", folder], check=True, stdout=subprocess.DEVNULL)


def names_of_shards():
    """Of a step that is made anew."""
    training = Training(on_devices, sharded=True)
    training.save(1, values_on_devices(1))
    with Mounted(options="commit=sync,sharded") as m:
        os.mkdir(os.path.join(m.at, "model-1"))
        for name, value in values_on_devices(2).items():
            m.save("model-1", name, value)
        m.sync("model-1")
        made = {name for name in os.listdir(m.source) if name.startswith("model-1.")}
        assert made == {name for name in os.listdir(training.folder) if name != "checkpoint"} - {"model-1.meta"}, made
        have_their_own(m, "model-1", training.variables)
        assert same_values(training.restore(os.path.join(m.source, "model-1")), values_on_devices(2))


def a_shard_for_each():
    """Of each type, and also of what is converted, is in slices, or is still open for writing."""
    for fixture, base, new in (("dtypes", "numeric", "numeric-1"), ("strings", "text", "text-1"), ("bigendian", "numeric", "numeric-1"),
                               ("partitioned", "model-3", "model-4"), ("v1", "types.ckpt", "types.ckpt-1")):  # fmt: skip
        with Mounted(fixture, "commit=sync,sharded") as m:
            changes = {}
            for name in m.steps[base]["keys"]:
                array = turned(m.load(base, name))
                if len(changes) > 60 or array.tobytes() == m.load(base, name).tobytes():
                    continue
                little = array.astype(array.dtype.newbyteorder("<")) if fixture == "bigendian" else array
                m.save(base, name, np.asfortranarray(array) if array.ndim > 1 else array)
                changes[name] = entry_of(m.steps[base]["keys"][name], little)
            m.commit(base, new, changes)
            assert len(changes) > 3, changes
            have_their_own(m, new, changes)


def one_open_for_writing():
    with Mounted("linear", "commit=sync,sharded") as m:
        with open(m.path("my-model-0", "w"), "r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(np.float32(7).tobytes())
            file.flush()
            m.save("my-model-0", "b", np.float32(8))
            m.sync("my-model-0")
            have_their_own(m, "my-model-2001", ["b", "w"])
        m.check("my-model-2001", {**m.steps["my-model-0"]["keys"], **{
            name: entry_of({"dtype": "DT_FLOAT"}, np.float32(value)) for name, value in (("w", 7), ("b", 8))}})  # fmt: skip


def what_it_is_without():
    with Mounted("linear") as m:
        m.save("my-model-0", "w", np.float32(7))
        m.save("my-model-0", "b", np.float32(8))
        m.sync("my-model-0")
        shards, _ = shards_of(m, "my-model-2001")
        assert shards["w"] == shards["b"], shards


def more_than_64():
    """New shards stay, and the older ones, all as small, are packed."""
    with Mounted(options="commit=sync,sharded") as m:
        os.mkdir(os.path.join(m.at, "model-1"))
        arrays = {f"v{n}": np.arange(n, n + 9, dtype=np.float32) for n in range(100)}
        for number, names in (1, [*arrays]), (2, ["v3", "v77"]):
            for name in names:
                arrays[name] = arrays[name] + 1
                m.save("model-1", name, arrays[name])
            m.sync("model-1")
            m.check(f"model-{number}", {name: entry_of({"dtype": "DT_FLOAT"}, array) for name, array in arrays.items()})
            have_their_own(m, f"model-{number}", names)
            assert shards_of(m, f"model-{number}")[1] == (100 if number == 1 else len(names) + 1), shards_of(m, f"model-{number}")


def the_object_graph():
    """A variable that is renamed changes it, and it gets a shard, too."""
    with Mounted("maxshard", "commit=sync,sharded") as m:
        os.rename(os.path.join(m.at, "ckpt-1/kernel.npy"), os.path.join(m.at, "ckpt-1/weight.npy"))
        m.sync("ckpt-1")
        have_their_own(m, "ckpt-2", ["_CHECKPOINTABLE_OBJECT_GRAPH"])


# --- write_version=1 ----------------------------------------------------------------------------------------

HELD = {"FLOAT", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "QINT8", "QUINT8", "QINT32", "STRING", "BOOL", "HALF",
        "COMPLEX64", "COMPLEX128"}  # fmt: skip
VERSION_1 = "commit=sync,write_version=1"


def commit_v1(m, base, new, changes):
    """As Mounted.commit, of a step that has to be a single file."""
    before = set(os.listdir(m.source))
    m.sync(base)
    made = set(os.listdir(m.source)) - before - {".ckptfs"}
    assert made in ({new}, {new, new + ".meta"}), made
    kept = digests(m.source)
    assert all(kept[path] == digest for path, digest in m.files.items())
    m.files = kept
    assert not os.path.exists(os.path.join(m.source, ".ckptfs/drafts"))
    subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", m.source], check=True, stdout=subprocess.DEVNULL)
    want = {**(m.steps[base]["keys"] if base in m.steps else {}), **changes}
    want = {key: entry for key, entry in want.items() if entry}
    m.check(new, want)
    m.steps[new] = {"keys": want}


def table(path):
    """The slices in a V1 file, and what it says of each tensor."""
    with open(path, "rb") as file:
        items = dict(table_edit.read_table(file.read()))
    tensors, meta = {}, items.pop(b"")
    parsed = saved_tensor_slice_pb2.SavedTensorSlices.FromString(meta)
    for tensor in parsed.meta.tensor:
        tensors[tensor.name] = tensor
    assert len(meta) == parsed.ByteSize() and parsed.meta.versions.producer == 1
    return tensors, items


CANT_HOLD = ", which a V1 checkpoint can't hold; mount with write_version=2"


def refuses(m, step, why, path=None):
    """A commit of STEP.  WHY: what is said of it, and if PATH, a written file, is the reason, of that."""
    before = set(os.listdir(m.source))
    fd = os.open(os.path.join(m.at, step), os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        assert error.errno == 22, error
    else:
        raise AssertionError(f"is not refused: {why}")
    finally:
        os.close(fd)
    for at in os.path.join(m.at, step), path:
        said = at and os.fsdecode(os.getxattr(at, "user.ckptfs.error"))
        assert said in (None, why), said
    assert set(os.listdir(m.source)) - before <= {".ckptfs"}


def each_type():
    """All that V1 can hold is restored."""
    with Mounted("dtypes", VERSION_1) as m:
        keys = m.steps["numeric"]["keys"]
        held = [key for key, entry in keys.items() if entry["dtype"][3:] in HELD]
        others = [key for key in keys if key not in held]
        assert {keys[key]["dtype"][3:] for key in held} == HELD and others
        changes = edit(m, "numeric", held)
        for key in others:
            os.unlink(m.path("numeric", key))
            changes[key] = None
        commit_v1(m, "numeric", "numeric-1", changes)
        commit_v1(m, "numeric-1", "numeric-2", edit(m, "numeric-1", held[::2]))


def each_type_it_has_not():
    """It is refused by its name and type, in the base and where it is written; and so is a variant."""
    with Mounted("dtypes", VERSION_1) as m:
        keys = m.steps["numeric"]["keys"]
        others = {}
        for key, entry in keys.items():
            if entry["dtype"][3:] not in HELD:
                others.setdefault(entry["dtype"], []).append(key)
        assert len(others) > 10, others
        for key in (key for all_of_it in others.values() for key in all_of_it[1:]):
            os.unlink(m.path("numeric", key))
        reasons = {key: f"{key}.npy: is {dtype}{CANT_HOLD}" for dtype, (key, *_) in others.items()}
        for key in reasons:
            m.save("numeric", key, turned(m.load("numeric", key)))
        while reasons:
            refuses(m, "numeric", "\n".join(reasons[key] for key in sorted(reasons)))
            for key, why in reasons.items():
                assert os.getxattr(m.path("numeric", key), "user.ckptfs.error").decode() == why
            os.unlink(m.path("numeric", key))
            del reasons[key]
        m.sync("numeric")
        m.save("numeric-1", "new", np.zeros(3, np.uint32))
        refuses(m, "numeric-1", "new.npy: is DT_UINT32" + CANT_HOLD, m.path("numeric-1", "new"))
        os.unlink(m.path("numeric-1", "new"))
        key, *more = (key for key, entry in m.steps["variant"]["keys"].items() if entry["dtype"] == "DT_VARIANT")
        for other in more:
            os.unlink(m.path("variant", other))
        m.save("variant", "new", np.zeros(3, np.float32))
        refuses(m, "variant", f"{key}.npy: is DT_VARIANT{CANT_HOLD}")


def names_it_has_not():
    """Those that are no UTF-8."""
    with Mounted("linear", VERSION_1) as m:
        path = os.path.join(os.fsencode(m.at), b"my-model-0", b"caf\xe9.npy")
        with open(path, "wb") as file:
            np.save(file, np.float32(1))
        refuses(m, "my-model-0", "caf\udce9.npy: its name is no UTF-8" + CANT_HOLD, path)
        os.rename(path, m.path("my-model-0", "caf\xe9"))
        commit_v1(m, "my-model-0", "my-model-2001", {"caf\xe9": entry_of({"dtype": "DT_FLOAT"}, np.float32(1))})


def what_is_too_large():
    """Numbers of any kind that take more than 2 GiB, though most of them are in a hole of the file."""
    with Mounted("linear", VERSION_1) as m:
        for dtype, count in (np.float64, 1 << 28), (np.int8, 1 << 31), (np.bool_, 1 << 31):
            path = m.path("my-model-0", "big")
            with open(path, "wb") as file:
                np.lib.format.write_array_header_1_0(file, {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (count,)})
                file.truncate(file.tell() + count * np.dtype(dtype).itemsize)
            refuses(m, "my-model-0", "big.npy: takes more than 2 GiB in a V1 checkpoint, which can't hold that", path)
            os.unlink(path)
        m.save("my-model-0", "w", np.float32(7))
        commit_v1(m, "my-model-0", "my-model-2001", {"w": entry_of({"dtype": "DT_FLOAT"}, np.float32(7))})


def strings():
    with Mounted("strings", VERSION_1) as m:
        changes = edit(m, "text", m.steps["text"]["keys"])
        changes["added"] = entry_of({"dtype": "DT_STRING"}, np.array([b"a", b"", b"ccc"], object))
        m.save("text", "added", np.array([b"a", b"", b"ccc"]))
        m.save("text", "added/none", np.zeros((0, 2), "S5"))
        changes["added/none"] = {"dtype": "DT_STRING", "shape": [0, 2], "values": []}
        commit_v1(m, "text", "text-1", changes)


def from_each_format():
    """Slices stay; bytes are turned; V1 becomes V1."""
    for fixture, base, new in (("partitioned", "model-3", "model-4"), ("bigendian", "numeric", "numeric-1"), ("sharded", "model-7", "model-8"),
                               ("v1", "types.ckpt", "types.ckpt-1"), ("v1-sharded", "model-2", "model-3")):  # fmt: skip
        with Mounted(fixture, VERSION_1) as m:
            changes = {}
            for name, entry in m.steps[base]["keys"].items():
                if entry["dtype"][3:] not in HELD:
                    os.unlink(m.path(base, name))
                    changes[name] = None
                    continue
                array = turned(m.load(base, name))
                if len(changes) % 2:
                    m.save(base, name, np.asfortranarray(array) if array.ndim > 1 else array)
                    little = array.astype(array.dtype.newbyteorder("<")) if fixture == "bigendian" else array
                    changes[name] = entry_of(entry, little)
                else:
                    changes[name] = entry
            commit_v1(m, base, new, changes)


def bytes_of_saver():
    """A file has the entries that TensorFlow's has."""
    values = {
        "a": tf.constant([[-1, 2], [300, -70000]]), "b": tf.constant([True, False]), "c": tf.constant(["q", "", "long" * 100]),
        "d": tf.constant(1.5), "e": tf.zeros([0, 3]), "f": tf.constant([1, -1], tf.int8), "g": tf.constant([1 + 2j], tf.complex64),
        "h": tf.constant([1.5, -2], tf.float16), "i": tf.constant([-1, 1 << 62], tf.int64), "j": tf.constant([255], tf.uint8),
        "k": tf.constant([1.0, 2.0], tf.float64), "l": tf.constant([65535, 1], tf.uint16)}  # fmt: skip
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="run.")
    tf.raw_ops.Save(filename=os.path.join(folder, "model-1"), tensor_names=[*values], data=[*values.values()])
    with Mounted(options=VERSION_1) as m:
        step = os.path.join(m.at, "model-1")
        os.mkdir(step)
        number = os.stat(step).st_ino
        for name, value in values.items():
            m.save("model-1", name, value.numpy().astype("S400") if value.dtype == tf.string else value.numpy())
        m.sync("model-1")
        assert table(os.path.join(m.source, "model-1")) == table(os.path.join(folder, "model-1"))
        assert os.stat(step).st_ino == number and os.path.exists(m.path("model-1", "a")), "the new step is shown as another"


def with_rows():
    """A variable, and one of which the slices are variables."""
    rows = tf1.get_variable("rows", [5, 2], initializer=tf1.ones_initializer(), partitioner=tf1.fixed_size_partitioner(2))
    return {"v": tf1.get_variable("v", [3], initializer=tf1.zeros_initializer()), **{f"rows/{n}": part for n, part in enumerate(rows)}}


def rows_of(number):
    shapes = {"v": 3, "rows/0": (3, 2), "rows/1": (2, 2)}
    return {name: np.full(shape, number, np.float32) for name, shape in shapes.items()}


def as_version_1():
    """Files have the entries that Saver's have, and Saver restores what it is told is the latest."""
    for before in V1, V2:
        training = Training(with_rows, write_version=V1)
        folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
        first = training if before == V1 else Training(with_rows, write_version=before)
        first.save(1, rows_of(1))
        shutil.copytree(first.folder, folder, dirs_exist_ok=True)
        tf1.train.update_checkpoint_state(folder, os.path.join(folder, "model-1"))
        if before != V1:
            training.save(1, rows_of(1))
        with Mounted(options=VERSION_1, folder=folder) as m:
            for number in range(2, 14):
                training.save(number, rows_of(number))
                m.save("latest", "v", np.full(3, number, np.float32))
                m.save("latest", "rows", np.full((5, 2), number, np.float32))
                m.sync(os.readlink(os.path.join(m.at, "latest")))
                assert os.readlink(os.path.join(m.at, "latest")) == f"model-{number}"
                latest = tf.train.latest_checkpoint(folder)
                assert latest == os.path.join(folder, f"model-{number}") and os.path.isfile(latest), latest
                assert os.path.samefile(latest + ".meta", os.path.join(folder, "model-1.meta"))
                if number in (6, 10):
                    remove(training, m, f"model-{number - 2}")
            assert state_of(training.folder) == state_of(folder), state_of(folder)
            for number in range(1, 14):
                one, other = (os.path.join(where, f"model-{number}") for where in (training.folder, folder))
                if number in (4, 8):
                    assert not any(os.path.exists(path) for path in (one, other, other + ".index", other + ".meta"))
                    continue
                assert same_values(training.restore(one), training.restore(other)), number
                if before == V1:
                    assert table(one) == table(other), number
                    with open(one + ".meta", "rb") as a, open(other + ".meta", "rb") as b:
                        assert a.read() == b.read(), number
            assert before != V1 or sorted(os.listdir(training.folder)) == sorted(os.listdir(folder)), os.listdir(folder)
            subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", folder], check=True, stdout=subprocess.DEVNULL)


def by_the_timer():
    """Each state is published once."""
    with Mounted("linear", "commit=1,write_version=1") as m:
        for number in 2001, 2002:
            m.save("my-model-0", "w", np.float32(number))
            end = time.monotonic() + 60
            while not os.path.exists(os.path.join(m.source, f"my-model-{number}")) or not os.path.exists(
                    os.path.join(m.source, ".ckptfs/drafts/my-model-0/published")):  # fmt: skip
                assert time.monotonic() < end, os.listdir(m.source)
                time.sleep(0.01)
            with open(os.path.join(m.at, "my-model-0/.ckptfs/status")) as file:
                while f"next commit: no step, my-model-{number} has these changes\n" not in file.read():
                    assert time.monotonic() < end
                    time.sleep(0.01)
                    file.seek(0)
        m.sync("my-model-0")
        made = sorted(name for name in os.listdir(m.source) if name.startswith("my-model-2") and not name.endswith(".meta"))
        assert "my-model-2003" not in made and "my-model-2002" in made, made
        m.check("my-model-2002", {**m.steps["my-model-0"]["keys"], "w": entry_of({"dtype": "DT_FLOAT"}, np.float32(2002))})


def a_trainer_takes_the_name():
    """Its V2 step would hide the file, and its V1 file take its place.  What was committed has the next name then."""
    for version in V1, V2:
        folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
        with tf.Graph().as_default(), tf1.Session() as session:
            variable = tf1.get_variable("v", [3], initializer=tf1.zeros_initializer())
            saver = tf1.train.Saver(write_version=version)
            session.run(tf1.global_variables_initializer())
            saver.save(session, os.path.join(folder, "model"), 1)
            with Mounted(options=VERSION_1, folder=folder) as m:
                m.save("model-1", "v", np.full(3, 7, np.float32))
                m.sync("model-1")
                saver.save(session, os.path.join(folder, "model"), 2)
                end = time.monotonic() + 60
                while not os.path.exists(os.path.join(folder, "model-3")):
                    assert time.monotonic() < end, os.listdir(folder)
                    time.sleep(0.01)
                while version == V2 and os.path.exists(os.path.join(folder, "model-2")):
                    assert time.monotonic() < end, os.listdir(folder)
                    time.sleep(0.01)
                for step, value in ("model-2", 0), ("model-3", 7):
                    saver.restore(session, os.path.join(folder, step))
                    assert np.array_equal(session.run(variable), [value] * 3), (version, step)
                    assert np.array_equal(m.load(step, "v"), [value] * 3), (version, step)
                subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", folder], check=True, stdout=subprocess.DEVNULL)


def a_saved_model_stays():
    """Its loaders read no V1."""
    with Mounted("savedmodel", VERSION_1) as m:
        step = os.path.join(m.at, "variables/variables")
        before = np.load(os.path.join(step, "kernel.npy"))
        np.save(os.path.join(step, "kernel.npy"), before + 1)
        fd = os.open(step, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        assert np.array_equal(tf.saved_model.load(m.source).kernel.numpy(), before + 1)


TESTS = (as_sharded, names_of_shards, a_shard_for_each, one_open_for_writing, what_it_is_without, more_than_64, the_object_graph,
         each_type, each_type_it_has_not, names_it_has_not, what_is_too_large, strings, from_each_format, bytes_of_saver, as_version_1, by_the_timer, a_trainer_takes_the_name,
         a_saved_model_stays)  # fmt: skip


runner.run(TESTS, sys.argv[4:])
