#!/usr/bin/env python3
"""Edits copies of the fixtures through a mount: write_mount.py BUILDDIR FIXTURES FOLDER [TEST...]

Each edit is committed by fsync of the step's folder.  TensorFlow then has to restore the new step: what was written, and
every other tensor bit for bit as expected.json says; and the files of the old step have to be what they were.
"""

import contextlib
import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import ml_dtypes
import numpy as np

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
sys.path.insert(0, FIXTURES)
import table_edit  # noqa: E402
import runner  # noqa: E402
import tf_expected  # noqa: E402
from tf_expected import tf, tf1  # noqa: E402
from tensorflow.core.protobuf import tensor_bundle_pb2  # noqa: E402
from tensorflow.core.protobuf import trackable_object_graph_pb2  # noqa: E402

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def digests(folder):
    found = {}
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".ckptfs"]
        for name in names:
            if name != "checkpoint":
                with open(os.path.join(path, name), "rb") as file:
                    found[os.path.join(path, name)] = hashlib.file_digest(file, "sha256").digest()
    return found


class Mounted:
    """A copy of a fixture, mounted."""

    def __init__(self, fixture=None, options="commit=sync", folder=None):
        self.source = folder or tempfile.mkdtemp(dir=FOLDER, prefix="source.")
        self.at = tempfile.mkdtemp(dir=FOLDER, prefix="at.")
        self.steps = {}
        if fixture:
            shutil.copytree(os.path.join(FIXTURES, fixture), self.source, dirs_exist_ok=True, copy_function=shutil.copyfile)
            with open(os.path.join(FIXTURES, fixture + ".expected.json")) as file:
                self.steps = json.load(file)["steps"]
        self.files = digests(self.source)
        self.mount(options)

    def mount(self, options):
        self.daemon = subprocess.Popen([f"{BUILD}/mount.ckptfs", self.source, self.at, "--foreground", "-o", options])
        while not os.path.ismount(self.at):
            assert self.daemon.poll() is None, "did not mount"
            time.sleep(0.01)

    def unmount(self):
        subprocess.run(["umount", self.at], check=True)
        assert self.daemon.wait() == 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.unmount()
        if not error[0]:
            shutil.rmtree(self.source)

    def path(self, step, key):
        return os.path.join(self.at, step, key.removesuffix(SUFFIX) + ".npy")

    def load(self, step, key):
        return np.load(self.path(step, key))

    def save(self, step, key, array):
        path = self.path(step, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            np.save(path, array)
        except OSError as error:
            raise AssertionError(os.getxattr(path, "user.ckptfs.error").decode()) from error

    def sync(self, step):
        fd = os.open(os.path.join(self.at, step), os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError as error:
            raise AssertionError(os.getxattr(os.path.join(self.at, step), "user.ckptfs.error").decode()) from error
        finally:
            os.close(fd)

    def commit(self, base, new, changes):
        """CHANGES: key -> entry; None: not there any more.  What the new step has becomes what is expected of it."""
        before = set(os.listdir(self.at))
        self.sync(base)
        appeared = set(os.listdir(self.at)) - before - {"latest", "checkpoint"}
        assert appeared == {new}, appeared
        assert os.path.exists(os.path.join(self.source, new + ".index")), os.listdir(self.source)
        for path, digest in self.files.items():
            with open(path, "rb") as file:
                assert hashlib.file_digest(file, "sha256").digest() == digest, path
        self.files = digests(self.source)
        assert not os.path.exists(os.path.join(self.source, ".ckptfs/drafts"))
        subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", self.source], check=True, stdout=subprocess.DEVNULL)
        want = copy.deepcopy(self.steps[base]["keys"]) if base in self.steps else {}
        for key, entry in changes.items():
            if entry is None:
                del want[key]
            else:
                want[key] = entry
        self.check(new, want)
        self.steps[new] = {"keys": want}

    def check(self, step, want):
        specs = {key: [part["spec"] for part in entry["slices"]] for key, entry in want.items() if "slices" in entry}
        have = tf_expected.describe_step(os.path.join(self.source, step), specs)["keys"]
        assert sorted(have) == sorted(want), set(have) ^ set(want)
        for key in want:
            if key != GRAPH and not want[key].get("opaque"):
                a, b = plain(want[key]), plain(have[key])
                assert a == b, f"{step}: {key}: expected {a}, restored {b}"

    def index(self, step):
        """key -> entry, and the header under b''."""
        with open(os.path.join(self.source, step + ".index"), "rb") as file:
            items = dict(table_edit.read_table(file.read()))
        header = tensor_bundle_pb2.BundleHeaderProto.FromString(items.pop(b""))
        found = {key: tensor_bundle_pb2.BundleEntryProto.FromString(value) for key, value in items.items()}
        found[b""] = header
        return found


def plain(entry):
    """Less what depends on the format: how TensorFlow refuses to read it."""
    return {name: value for name, value in entry.items() if name not in ("get_tensor", "restore_error")}


def entry_of(old, array):
    """What is expected of ARRAY, of stored bytes, in place of what OLD says."""
    entry = {"dtype": old["dtype"], "shape": list(array.shape)}
    if old["dtype"] == "DT_STRING":
        entry.update(tf_expected.describe_value(tf.string, words(array)))
    else:
        raw = np.ascontiguousarray(array).tobytes()
        entry.update(nbytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    if "slices" in old:
        entry["slices"] = []
        for part in old["slices"]:
            piece = array[tf_expected.spec_index(part["spec"])]
            inner = entry_of({"dtype": old["dtype"]}, piece)
            entry["slices"].append({"spec": part["spec"], **{k: v for k, v in inner.items() if k != "dtype"}})
    return entry


def words(array):
    """Strings as objects, whichever way they are stored."""
    if array.dtype.names:
        wide = array.dtype["bytes"].itemsize
        values = [item["bytes"].ljust(wide, b"\0")[: int(item["length"])] for item in array.reshape(-1)]
    else:
        values = array.reshape(-1).tolist()
    return np.array([*values, None], object)[:-1].reshape(array.shape)


def turned(array):
    """Other elements of the same kind: these in reverse."""
    return array.reshape(-1)[::-1].reshape(array.shape).copy()


def refused(call, words, path):
    """CALL fails with EINVAL, and the file says why."""
    try:
        call()
    except OSError as error:
        assert error.errno == 22, error
    else:
        raise AssertionError(f"is not refused: {path}")
    why = os.getxattr(path, "user.ckptfs.error").decode()
    assert words in why, why


def hidden():
    """TensorFlow also restores what a mount does not show."""
    for fixture, step, new, option, key in (
        ("linear", "my-model-2000", "my-model-2001", "var_list=w:b/*", "w"),
        ("linear", "my-model-2000", "my-model-2001", "collection=trainable_variables", "w"),
        ("partitioned", "model-3", "model-4", "var_list=**/rows", "model/rows"),
        ("keras", "ckpt-3", "ckpt-4", "var_list=optimizer/_trainable*/*", "optimizer/_trainable_variables/0" + SUFFIX),
    ):
        with Mounted(fixture, f"commit=sync,{option}") as m:
            keys = m.steps[step]["keys"]
            assert 0 < sum(os.path.exists(m.path(step, k)) for k in keys) < len(keys)
            array = turned(m.load(step, key)) + 1
            m.save(step, key, array)
            m.commit(step, new, {key: entry_of(keys[key], array)})


# --- by NumPy -----------------------------------------------------------------------------------------------


def numpy_saves():
    with Mounted("linear") as m:
        keys = m.steps["my-model-0"]["keys"]
        value = np.float32(41)
        m.save("my-model-0", "w", value)
        m.commit("my-model-0", "my-model-2001", {"w": entry_of(keys["w"], value)})
        large = np.random.default_rng(1).random((300, 400), np.float32)
        m.save("my-model-2001", "large", large)
        m.commit("my-model-2001", "my-model-2002", {"large": entry_of({"dtype": "DT_FLOAT"}, large)})
        mapped = np.lib.format.open_memmap(m.path("my-model-2002", "large"), "r+")
        mapped[7, 7:9] = mapped[0, 0] = 17
        mapped.flush()
        del mapped
        large[7, 7:9] = large[0, 0] = 17
        m.commit("my-model-2002", "my-model-2003", {"large": entry_of({"dtype": "DT_FLOAT"}, large)})
        mapped = np.lib.format.open_memmap(m.path("my-model-2003", "made"), "w+", np.int16, (5, 1000))
        mapped[2] = np.arange(1000)
        del mapped
        made = np.zeros((5, 1000), np.int16)
        made[2] = np.arange(1000)
        m.commit("my-model-2003", "my-model-2004", {"made": entry_of({"dtype": "DT_INT16"}, made)})
        m.save("my-model-2004", "large", np.asfortranarray(large + 1))
        m.save("my-model-2004", "made", (made + 1).astype(">i2"))
        m.save("my-model-2004", "both", np.asfortranarray(large.astype(">c16")))
        m.commit("my-model-2004", "my-model-2005", {
            "large": entry_of({"dtype": "DT_FLOAT"}, large + 1),
            "made": entry_of({"dtype": "DT_INT16"}, made + 1),
            "both": entry_of({"dtype": "DT_COMPLEX128"}, large.astype("<c16")),
        })  # fmt: skip


def all_dtypes():
    with Mounted("dtypes") as m:
        keys = m.steps["numeric"]["keys"]
        changes, new = {}, {}
        for key, old in keys.items():
            array = turned(m.load("numeric", key))
            m.save("numeric", key, array)
            changes[key] = entry_of(old, array)
            m.save("numeric", "new/" + key, array)
            new["new/" + key] = entry_of(old, array)
        m.commit("numeric", "numeric-1", {**changes, **new})
        plainly_saved(m)


def plainly_saved(m):
    """ml_dtypes arrays, which np.save calls |V1 or <V2."""
    keys, changes = m.steps["numeric-1"]["keys"], {}
    for key, old in keys.items():
        array = m.load("numeric-1", key)
        name = array.dtype.names[0] if array.dtype.names else ""
        if key.startswith("new/") or not hasattr(ml_dtypes, name):
            continue
        array = turned(array)
        m.save("numeric-1", key, array.view(array.dtype[0]).view(getattr(ml_dtypes, name)))
        changes[key] = entry_of(old, array)
    assert len(changes) > 20, len(changes)
    m.commit("numeric-1", "numeric-2", changes)
    path = m.path("numeric-2", "plain")
    refused(lambda: np.save(path, np.zeros(3, ml_dtypes.bfloat16)), "plain.npy: ", path)
    os.unlink(path)


def strings():
    with Mounted("strings") as m:
        keys, changes = m.steps["text"]["keys"], {}
        for key, old in keys.items():
            array = m.load("text", key)
            m.save("text", key, turned(array))
            changes[key] = entry_of(old, turned(array))
        changes["added"] = entry_of({"dtype": "DT_STRING"}, np.array([b"a", b"", b"ccc"], object))
        m.save("text", "added", np.array([b"a", b"", b"ccc"]))
        m.save("text", "added/none", np.zeros((0, 2), "S5"))
        changes["added/none"] = {"dtype": "DT_STRING", "shape": [0, 2], "values": []}
        m.save("text", "added/one", np.array(b"one"))
        changes["added/one"] = entry_of({"dtype": "DT_STRING"}, np.array(b"one", object))
        m.commit("text", "text-1", changes)


# --- slices -------------------------------------------------------------------------------------------------


def partitioned():
    """Each variable keeps its slices, also those that TensorFlow can't put together."""
    with Mounted("partitioned") as m:
        for base, new in ("model-3", "model-4"), ("refused", "refused-1"):
            keys, changes = m.steps[base]["keys"], {}
            sliced = [key for key, old in keys.items() if "slices" in old]
            for key in sliced:
                array = turned(m.load(base, key))
                m.save(base, key, np.asfortranarray(array) if len(changes) % 2 else array)
                changes[key] = entry_of(keys[key], array)
            assert len(changes) >= 5, changes
            m.commit(base, new, changes)
            same_slices(m.index(base), m.index(new))
        os.rename(os.path.join(m.at, "model-4/model"), os.path.join(m.at, "model-4/net"))
        keys = m.steps["model-4"]["keys"]
        moved = [key for key in keys if key.startswith("model/")]
        m.commit("model-4", "model-5", {**{key: None for key in moved}, **{"net" + key[5:]: keys[key] for key in moved}})
        # a whole variable over a sliced one takes its slices; a copy of one keeps them
        shutil.copyfile(m.path("model-5", "net/columns"), m.path("model-5", "copy"))
        m.commit("model-5", "model-6", {"copy": m.steps["model-5"]["keys"]["net/columns"]})


def same_slices(old, new):
    assert sorted(old) == sorted(new), set(old) ^ set(new)
    for key in old:
        if key:
            same_entry(key, old[key], new[key], old[key].slices)


def same_entry(key, old, new, content=True):
    a, b = copy.deepcopy(old), copy.deepcopy(new)
    for entry in a, b:
        entry.ClearField("offset")
        entry.ClearField("shard_id")
        if not content:
            entry.ClearField("crc32c")
            if entry.dtype == 7:
                entry.ClearField("size")
    assert a == b, f"{key}: {a} became {b}"


def same_index():
    """The entries that are kept are the same, but for where the bytes are."""
    for fixture, base, new, key in (("many", "model-1", "model-2", None), ("partitioned", "model-3", "model-4", "beta1_power"),
                                    ("sharded", "model-7", "model-8", None), ("names", "odd", "odd-1", "plain")):  # fmt: skip
        with Mounted(fixture) as m:
            if not key:
                key = next(k for k, v in m.steps[base]["keys"].items() if v["dtype"] == "DT_FLOAT" and "slices" not in v)
            array = m.load(base, key) + np.ones((), m.load(base, key).dtype)
            m.save(base, key, array)
            m.sync(base)
            old, kept = m.index(base), m.index(new)
            assert sorted(old) == sorted(kept)
            assert old[b""].version == kept[b""].version and kept[b""].endianness == old[b""].endianness
            for name in old:
                if name:
                    same_entry(name, old[name], kept[name], name != key.encode())


# --- byte order and V1 --------------------------------------------------------------------------------------


def big_endian():
    with Mounted("bigendian") as m:
        keys, changes = m.steps["numeric"]["keys"], {}
        for key in list(keys)[::3]:
            array = turned(m.load("numeric", key))
            m.save("numeric", key, array)
            little = array if not array.dtype.newbyteorder("<") != array.dtype else array.astype(array.dtype.newbyteorder("<"))
            changes[key] = entry_of(keys[key], little)
        m.commit("numeric", "numeric-1", changes)
        assert m.index("numeric-1")[b""].endianness == tensor_bundle_pb2.BundleHeaderProto.BIG


def from_v1():
    for fixture, base, new in ("v1", "model.ckpt-10", "model.ckpt-11"), ("v1", "types.ckpt", "types.ckpt-1"), ("v1-sharded", "model-2", "model-3"):
        with Mounted(fixture) as m:
            keys = m.steps[base]["keys"]
            key = next(k for k, v in keys.items() if v["dtype"] == "DT_FLOAT" and v["nbytes"])
            array = turned(m.load(base, key))
            m.save(base, key, array)
            m.commit(base, new, {key: entry_of(keys[key], array)})
            assert m.index(new)[b""].version.producer == 1
            shutil.copytree(os.path.join(m.at, base), os.path.join(m.at, "copy"), copy_function=shutil.copyfile)
            m.sync("copy")
            m.check("copy", keys)
            for path, digest in m.files.items():
                with open(path, "rb") as file:
                    assert hashlib.file_digest(file, "sha256").digest() == digest, path


# --- Saver --------------------------------------------------------------------------------------------------


def saver_restores():
    """The graph comes from the new step's own .meta."""
    for fixture, base, new in ("linear", "my-model-2000", "my-model-2001"), ("partitioned", "model-3", "model-4"), ("v1", "model.ckpt-10", "model.ckpt-11"), ("net", "my_net.ckpt", "my_net.ckpt-1"), ("sharded", "model-7", "model-8"):
        with Mounted(fixture) as m:
            keys = m.steps[base]["keys"]
            key = next(k for k, v in keys.items() if v["dtype"] == "DT_FLOAT")
            array = m.load(base, key) + np.float32(3)
            m.save(base, key, array)
            m.commit(base, new, {key: entry_of(keys[key], array)})
            assert tf.train.latest_checkpoint(m.source) == os.path.join(m.source, new)
            with tf.Graph().as_default(), tf1.Session(config=tf1.ConfigProto(device_count={"CPU": 3}, allow_soft_placement=True)) as session:
                saver = tf1.train.import_meta_graph(os.path.join(m.source, new + ".meta"))
                saver.restore(session, os.path.join(m.source, new))
                found = {}
                for v in tf1.global_variables():
                    info = v._get_save_slice_info() if hasattr(v, "_get_save_slice_info") else None
                    value = session.run(v)
                    name = info.full_name if info else v.op.name
                    if info:
                        whole = found.setdefault(name, np.zeros(info.full_shape, value.dtype))
                        whole[tuple(slice(o, o + n) for o, n in zip(info.var_offset, info.var_shape))] = value
                    else:
                        found[name] = value
                assert found.keys() == keys.keys(), found.keys() ^ keys.keys()
                for name, value in found.items():
                    want = m.load(new, name)
                    want = words(want) if want.dtype.kind in "SV" and value.dtype == object else want
                    assert np.array_equal(np.asarray(value).astype(want.dtype), want), name


def training():
    x = tf1.get_variable("x", initializer=tf1.constant([1.0, 2.0]))
    step = tf1.train.get_or_create_global_step()
    train = tf1.train.MomentumOptimizer(0.1, 0.9).minimize(tf1.reduce_sum(x * x), global_step=step)
    return step, train, tf1.train.Saver(max_to_keep=3)


def train_on(folder, count):
    """As a script that is begun again: from the latest step, if there is one. COUNT steps are saved."""
    with tf.Graph().as_default(), tf1.Session() as session:
        step, train, saver = training()
        state = tf1.train.get_checkpoint_state(folder)
        if state:
            saver.restore(session, state.model_checkpoint_path)
            saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        else:
            session.run(tf1.global_variables_initializer())
        for _ in range(count):
            session.run(train)
            saver.save(session, os.path.join(folder, "m"), global_step=step)
        return session.run(step)


def a_trainer_goes_on_beside_a_copy():
    """It neither restores from a copy without the optimizer's slots nor removes that one."""
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
    assert train_on(folder, 3) == 3
    with Mounted(folder=folder) as m:
        shutil.copytree(os.path.join(m.at, "m-3"), os.path.join(m.at, "slim"))
        os.unlink(m.path("slim", "x/Momentum"))
        m.sync("slim")
        kept = digests(folder)
        assert train_on(folder, 5) == 8
        assert sorted(name for name in os.listdir(folder) if name.endswith(".index")) == ["m-6.index", "m-7.index", "m-8.index", "slim.index"]
        for path in kept:
            assert "slim" not in path or digests(folder)[path] == kept[path], path
        (x,) = tf_expected.restore(os.path.join(folder, "slim"), ["x"], [tf.float32])
        assert np.array_equal(x, m.load("slim", "x"))


# --- object-based -------------------------------------------------------------------------------------------


def graph_of(m, step):
    (value,) = tf_expected.restore(os.path.join(m.source, step), [GRAPH], [tf.string])
    return trackable_object_graph_pb2.TrackableObjectGraph.FromString(value.item() if hasattr(value, "item") else value)


def keys_of_graph(graph):
    return {a.checkpoint_key for node in graph.nodes for a in node.attributes}


def object_based():
    with Mounted("keras") as m:
        keys = m.steps["ckpt-3"]["keys"]
        model = tf.keras.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(4, name="hidden"), tf.keras.layers.Dense(1, name="output")])
        optimizer = tf.keras.optimizers.Adam(0.05)
        optimizer.build(model.trainable_variables)
        step = tf.Variable(0, dtype=tf.int64)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, step=step)
        kernel = "optimizer/_trainable_variables/0" + SUFFIX
        array = turned(m.load("ckpt-3", kernel))
        m.save("ckpt-3", kernel, array)
        m.save("ckpt-3", "step" + SUFFIX, np.int64(77))
        m.commit("ckpt-3", "ckpt-4", {kernel: entry_of(keys[kernel], array), "step" + SUFFIX: entry_of(keys["step" + SUFFIX], np.int64(77))})
        assert graph_of(m, "ckpt-3") == graph_of(m, "ckpt-4")
        checkpoint.restore(os.path.join(m.source, "ckpt-4")).assert_existing_objects_matched()
        assert np.array_equal(model.layers[0].kernel.numpy(), array) and step.numpy() == 77

        os.rename(os.path.join(m.at, "ckpt-4/step.npy"), os.path.join(m.at, "ckpt-4/moved.npy"))
        os.rename(os.path.join(m.at, "ckpt-4/optimizer"), os.path.join(m.at, "ckpt-4/opt"))
        keys = m.steps["ckpt-4"]["keys"]
        moved = {key: "opt" + key[len("optimizer"):] for key in keys if key.startswith("optimizer/")}
        moved["step" + SUFFIX] = "moved" + SUFFIX
        m.commit("ckpt-4", "ckpt-5", {**{key: None for key in moved}, **{to: keys[key] for key, to in moved.items()}})
        assert keys_of_graph(graph_of(m, "ckpt-5")) == set(m.steps["ckpt-5"]["keys"]) - {GRAPH}
        step.assign(0)
        model.layers[0].kernel.assign(np.zeros((3, 4)))
        checkpoint.restore(os.path.join(m.source, "ckpt-5")).assert_existing_objects_matched()
        assert np.array_equal(model.layers[0].kernel.numpy(), array) and step.numpy() == 77

        os.unlink(os.path.join(m.at, "ckpt-5/moved.npy"))
        m.commit("ckpt-5", "ckpt-6", {"moved" + SUFFIX: None})
        assert keys_of_graph(graph_of(m, "ckpt-6")) == set(m.steps["ckpt-6"]["keys"]) - {GRAPH}
        step.assign(5)
        model.layers[0].kernel.assign(np.zeros((3, 4)))
        checkpoint.restore(os.path.join(m.source, "ckpt-6")).expect_partial()
        assert np.array_equal(model.layers[0].kernel.numpy(), array) and step.numpy() == 5
        shutil.copytree(os.path.join(m.at, "ckpt-5"), os.path.join(m.at, "best"), copy_function=shutil.copyfile)
        m.sync("best")
        m.check("best", m.steps["ckpt-5"]["keys"])
        checkpoint.restore(os.path.join(m.source, "best")).assert_existing_objects_matched()
        assert step.numpy() == 77


def a_written_graph_and_renamed_keys():
    """A graph that is written names the base's keys, while variables are renamed and removed in the same draft."""
    with Mounted("keras") as m:
        file = os.path.join(m.at, "ckpt-3", GRAPH + ".npy")
        graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(np.load(file).item())
        for child in graph.nodes[0].children:
            child.local_name = {"step": "counter"}.get(child.local_name, child.local_name)
        np.save(file, graph.SerializeToString())
        os.rename(os.path.join(m.at, "ckpt-3/step.npy"), os.path.join(m.at, "ckpt-3/counter.npy"))
        shutil.rmtree(os.path.join(m.at, "ckpt-3/optimizer"))
        m.sync("ckpt-3")
        saved = tf.train.load_checkpoint(os.path.join(m.source, "ckpt-4")).get_variable_to_dtype_map()
        assert keys_of_graph(graph_of(m, "ckpt-4")) == set(saved) - {GRAPH}, keys_of_graph(graph_of(m, "ckpt-4")) ^ set(saved)
        counter = tf.Variable(-1, dtype=tf.int64)
        tf.train.Checkpoint(counter=counter).restore(os.path.join(m.source, "ckpt-4")).assert_existing_objects_matched()
        assert counter.numpy() == m.load("ckpt-3", "step" + SUFFIX)


def keras3_net():
    """The model of tests/assets/cases/keras3, with other values."""
    layers = tf.keras.layers
    parts = [layers.Input((6,)), layers.Dense(4, name="enc"), layers.BatchNormalization(name="bn"), layers.Dense(2, name="head")]
    return tf.keras.Sequential(parts, name="net")


def keras3_names():
    """Without the optimizer's slots the model is restored; without the optimizer it is not, and that is said."""
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
    shutil.copytree(os.path.join(FIXTURES, "../cases/keras3"), folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    with Mounted(folder=folder) as m:
        with open(os.path.join(m.at, "ckpt-2/variables.tsv")) as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
        keys = {row[6]: row[0] for row in rows[1:] if row[6] != "-"}
        reader = tf.train.load_checkpoint(os.path.join(folder, "ckpt-2"))
        shutil.rmtree(os.path.join(m.at, "ckpt-2/optimizer/_variables"))
        m.sync("ckpt-2")
        model = keras3_net()
        tf.train.Checkpoint(model=model).restore(os.path.join(folder, "ckpt-3")).assert_existing_objects_matched()
        assert len(model.weights) == 8
        for weight in model.weights:
            path = "net/" + weight.path.removeprefix("net/")
            assert np.array_equal(weight.numpy(), reader.get_tensor(keys[path])), path
        assert os.getxattr(m.at, "user.ckptfs.commits") == b"ckpt-3: committed, changes: 12\n"

        shutil.rmtree(os.path.join(m.at, "ckpt-2/optimizer"))
        m.sync("ckpt-2")
        try:
            tf.train.Checkpoint(model=keras3_net()).restore(os.path.join(folder, "ckpt-4")).assert_existing_objects_matched()
        except AssertionError:
            pass
        else:
            raise RuntimeError("the weights are there")
        said = os.getxattr(m.at, "user.ckptfs.commits").decode().splitlines()
        assert "ckpt-4: removed variables that other objects have, too: optimizer/_trainable_variables/0.npy, which is also net/enc/kernel" in said[2], said
        assert said[2].endswith(", and 5 more"), said


def weights_of(model):
    return {"net/" + w.path.removeprefix("net/"): w.numpy() for w in model.weights}


def restored_net(prefix):
    model = keras3_net()
    tf.train.Checkpoint(model=model).restore(prefix).assert_existing_objects_matched()
    return weights_of(model)


def keras3_full_names():
    """Read, edited, pruned and copied by the names of Keras; TensorFlow restores each."""
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
    shutil.copytree(os.path.join(FIXTURES, "../cases/keras3"), folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    with Mounted(folder=folder, options="commit=sync,names=full") as m:
        want = restored_net(os.path.join(folder, "ckpt-2"))
        for name, array in want.items():
            assert np.array_equal(np.load(os.path.join(m.at, "ckpt-2", name + ".npy")), array), name
        want["net/enc/kernel"] = want["net/enc/kernel"] + 1
        np.save(os.path.join(m.at, "ckpt-2/net/enc/kernel.npy"), want["net/enc/kernel"])
        shutil.rmtree(os.path.join(m.at, "ckpt-2/adam"))
        m.sync("ckpt-2")
        shutil.copytree(os.path.join(m.at, "ckpt-3"), os.path.join(m.at, "own-1"))
        m.sync("own-1")
        for prefix in "ckpt-3", "own-1":
            got = restored_net(os.path.join(folder, prefix))
            assert got.keys() == want.keys() and all(np.array_equal(got[n], want[n]) for n in want), prefix
        slots = [key for key, _ in tf.train.list_variables(os.path.join(folder, "ckpt-3")) if "optimizer/_variables" in key]
        assert not slots, slots


def wait_for(is_true, folder):
    end = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < end, os.listdir(folder)
        time.sleep(0.01)


def status_of(m, step):
    with open(os.path.join(m.at, step, ".ckptfs/status")) as file:
        return file.read()


def a_checkpoint_is_saved_over_a_commit():
    """tf.train.Checkpoint writes the index in place. What was committed has the next name then."""
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
    checkpoint = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0]))
    checkpoint.save(os.path.join(folder, "ckpt"))
    with Mounted(folder=folder) as m:
        m.save("ckpt-1", "v", np.array([5, 6], np.float32))
        m.sync("ckpt-1")
        index = os.stat(os.path.join(folder, "ckpt-2.index")).st_ino
        checkpoint.v.assign([3.0, 4.0])
        assert checkpoint.save(os.path.join(folder, "ckpt")).endswith("ckpt-2")
        assert os.stat(os.path.join(folder, "ckpt-2.index")).st_ino == index
        said = "ckpt-2: another step was saved under its name; what was committed is now ckpt-3"
        wait_for(lambda: os.getxattr(m.at, "user.ckptfs.commits").decode().splitlines()[1:] == [said], folder)
        for step, value in ("ckpt-1", [1, 2]), ("ckpt-2", [3, 4]), ("ckpt-3", [5, 6]):
            checkpoint.read(os.path.join(folder, step)).assert_consumed()
            assert np.array_equal(checkpoint.v.numpy(), value), step
            assert np.array_equal(m.load(step, "v"), value), step
        subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", folder], check=True, stdout=subprocess.DEVNULL)


def a_checkpoint_is_saved_over_what_the_timer_published():
    """The draft knows the step by its new name, and does not publish it twice."""
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
    checkpoint = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0]))
    checkpoint.save(os.path.join(folder, "ckpt"))
    with Mounted(folder=folder, options="commit=1") as m:
        m.save("ckpt-1", "v", np.array([5, 6], np.float32))
        for step in "ckpt-2", "ckpt-3":
            wait_for(lambda: f"next commit: no step, {step} has these changes\n" in status_of(m, "ckpt-1"), folder)
            if step == "ckpt-2":
                checkpoint.save(os.path.join(folder, "ckpt"))
        m.sync("ckpt-1")
        assert not os.path.exists(os.path.join(folder, "ckpt-4.index")), os.listdir(folder)


def a_checkpoint_is_saved_over_a_base():
    """The index in place, another shard by rename: the draft is over the old step all the same, also after a crash."""
    for crash in False, True:
        folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
        checkpoint = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0]), w=tf.Variable(8.0))
        checkpoint.write(os.path.join(folder, "ckpt-1"))
        with Mounted(folder=folder) as m:
            m.save("ckpt-1", "w", np.float32(9))
            checkpoint.v.assign([3.0, 4.0])
            checkpoint.write(os.path.join(folder, "ckpt-1"))
            if crash:
                m.daemon.kill()
                m.daemon.wait()
                subprocess.run(["umount", "-l", m.at], check=True)
                m.mount("commit=sync")
            m.sync("ckpt-1")
            for step, v, w in ("ckpt-1", [3, 4], 8), ("ckpt-2", [1, 2], 9):
                checkpoint.read(os.path.join(folder, step)).assert_consumed()
                assert np.array_equal(checkpoint.v.numpy(), v) and checkpoint.w.numpy() == w, (crash, step)
                assert np.array_equal(m.load(step, "v"), v), (crash, step)
            subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", folder], check=True, stdout=subprocess.DEVNULL)


def object_based_slices():
    with Mounted("maxshard") as m:
        keys = m.steps["ckpt-1"]["keys"]
        key = "kernel" + SUFFIX
        array = m.load("ckpt-1", key) * 2
        m.save("ckpt-1", key, array)
        m.commit("ckpt-1", "ckpt-2", {key: entry_of(keys[key], array)})
        same_slices(m.index("ckpt-1"), m.index("ckpt-2"))
        made = tf.train.Checkpoint(kernel=tf.Variable(tf.zeros((12, 11))), bias=tf.Variable(tf.zeros(11)), names=tf.Variable(["", "", ""]))
        made.read(os.path.join(m.source, "ckpt-2")).assert_existing_objects_matched()
        assert np.array_equal(made.kernel.numpy(), array)
        os.rename(os.path.join(m.at, "ckpt-2/kernel.npy"), os.path.join(m.at, "ckpt-2/weight.npy"))
        m.commit("ckpt-2", "ckpt-3", {key: None, "weight" + SUFFIX: m.steps["ckpt-2"]["keys"][key]})
        made.kernel.assign(tf.zeros((12, 11)))
        made.read(os.path.join(m.source, "ckpt-3")).assert_existing_objects_matched()
        assert np.array_equal(made.kernel.numpy(), array)


def saved_model():
    """A step in a subfolder; TensorFlow loads `variables`, so the new step takes its place."""
    with Mounted("savedmodel") as m:
        step = os.path.join(m.at, "variables/variables")
        path = os.path.join(step, "kernel.npy")
        before = np.load(path)
        np.save(path, before + 1)
        fd = os.open(step, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        loaded = tf.saved_model.load(m.source)
        assert np.array_equal(loaded.kernel.numpy(), before + 1)
        assert np.array_equal(np.load(os.path.join(step + "-1", "kernel.npy")), before)


# --- what it costs ------------------------------------------------------------------------------------------


def disk_use(folder):
    seen = {}
    for path, _, names in os.walk(folder):
        for name in names:
            st = os.lstat(os.path.join(path, name))
            seen[st.st_ino] = st.st_blocks * 512
    return sum(seen.values())


def one_gib():
    """A large variable with few blocks on disk, and small ones."""
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
    prefix = os.path.join(folder, "model-1")
    small = {f"small/{n}": np.full(1000, n, np.float32) for n in range(20)}
    names = ["large", *small]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names),
                      tensors=[tf.zeros((1 << 28,)), *small.values()])  # fmt: skip
    with open(os.path.join(folder, "checkpoint"), "w") as file:
        file.write('model_checkpoint_path: "model-1"\nall_model_checkpoint_paths: "model-1"\n')
    subprocess.run(["fallocate", "--dig-holes", prefix + ".data-00000-of-00001"], check=True)
    with Mounted(folder=folder) as m:
        before = disk_use(folder)
        array = np.arange(1000, dtype=np.float32)
        m.save("model-1", "small/7", array)
        m.sync("model-1")
        new = disk_use(folder) - before
        index = os.path.getsize(os.path.join(folder, "model-2.index"))
        assert new <= array.nbytes + index + (64 << 10), new
        small["small/7"] = array
        values = tf_expected.restore(os.path.join(folder, "model-2"), [*small], [tf.float32] * len(small))
        for name, value in zip(small, values):
            assert np.array_equal(value, small[name]), name
        (large,) = tf.raw_ops.RestoreV2(prefix=os.path.join(folder, "model-2"), tensor_names=["large"], shape_and_slices=[""], dtypes=[tf.float32])
        assert large.shape == (1 << 28,) and not np.any(large.numpy())


def seventy_commits():
    """The shards of commits are packed together before there are more than 11, beside that of the trainer."""
    with Mounted("linear") as m:
        keys = copy.deepcopy(m.steps["my-model-2000"]["keys"])
        for n in range(70):
            array = np.full(100, n, np.float32)
            m.save("latest", f"e{n}", array)
            fd = os.open(os.path.join(m.at, "latest/."), os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
            step = f"my-model-{2001 + n}"
            assert os.readlink(os.path.join(m.at, "latest")) == step
            assert m.index(step)[b""].num_shards <= 12
            keys[f"e{n}"] = entry_of({"dtype": "DT_FLOAT"}, array)
            if n % 10 == 9 or n > 58:
                m.check(step, keys)
        subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", m.source], check=True, stdout=subprocess.DEVNULL)


def dead_bytes():
    """What was removed does not stay on disk when the old step goes."""
    for options, kept in (("commit=sync", False), ("commit=sync,compact=1", True)):
        folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
        values = [np.full(1 << 18, n, np.float32) for n in range(8)]
        tf.raw_ops.SaveV2(prefix=os.path.join(folder, "model-1"), tensor_names=[f"v{n}" for n in range(8)], shape_and_slices=[""] * 8, tensors=values)
        with Mounted(options=options, folder=folder) as m:
            for n in range(1, 8):
                os.unlink(m.path("model-1", f"v{n}"))
            m.sync("model-1")
            shutil.rmtree(os.path.join(m.at, "model-1"))
            use = disk_use(folder)
            assert (use > 7 << 20) == kept and (kept or use < 2 << 20), use
            (value,) = tf_expected.restore(os.path.join(folder, "model-2"), ["v0"], [tf.float32])
            assert np.array_equal(value, values[0])


TESTS = (numpy_saves, all_dtypes, strings, partitioned, hidden, same_index, big_endian, from_v1, saver_restores, a_trainer_goes_on_beside_a_copy,
         object_based, a_written_graph_and_renamed_keys, keras3_names, keras3_full_names, a_checkpoint_is_saved_over_a_commit,
         a_checkpoint_is_saved_over_a_base, a_checkpoint_is_saved_over_what_the_timer_published, object_based_slices,
         saved_model, one_gib, seventy_commits, dead_bytes)  # fmt: skip


if __name__ == "__main__":
    runner.run(TESTS, sys.argv[4:])
