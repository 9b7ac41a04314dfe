#!/usr/bin/env python3
"""Runs the same history through tf.train.Saver and through commits: saver_meta.py BUILDDIR FIXTURES FOLDER [TEST...]

Both begin with the same first step.  The Saver has the argument of save() or Saver(), the mount has the option of that name.
Saves go over the latest step and over an older one, and a step between them is removed.
Then both directories must have the same files but for data and indexes, the same steps in the state file, and the same values.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
sys.path.insert(0, FIXTURES)
import runner  # noqa: E402
import tf_expected  # noqa: E402
from tf_expected import tf, tf1  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from tensorflow.core.protobuf import meta_graph_pb2  # noqa: E402
from tensorflow.python.framework import meta_graph  # noqa: E402

LAST = 12


class Trainer:
    """A graph with a session and a Saver that saves in a folder of its own."""

    def __init__(self, **saver):
        self.folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
        self.graph = tf1.Graph()
        with self.graph.as_default():
            x = tf1.get_variable("x", initializer=np.zeros((2, 3), np.float32), use_resource=False)
            y = tf1.get_variable("scope/y", initializer=np.arange(4, dtype=np.int64), use_resource=True)
            self.into = {"x": tf1.placeholder(tf.float32, (2, 3)), "scope/y": tf1.placeholder(tf.int64, (4,))}
            self.assign = [tf1.assign(x, self.into["x"]), tf1.assign(y, self.into["scope/y"])]
            tf1.nn.bias_add(tf1.matmul(x, x, transpose_b=True), tf1.constant([1.0, 2.0]), name="out")
            self.saver = tf1.train.Saver(max_to_keep=100, **saver)
            self.session = tf1.Session()
            self.session.run(tf1.global_variables_initializer())

    def save(self, number, **arguments):
        with self.graph.as_default():
            values = values_of(number)
            self.session.run(self.assign, {self.into[key]: values[key] for key in values})
            return self.saver.save(self.session, os.path.join(self.folder, "m"), global_step=number, **arguments)

    def remove(self, step):
        """Also from what the Saver knows; and the debug info, which TensorFlow leaves behind."""
        path = os.path.join(self.folder, step)
        tf1.train.remove_checkpoint(path)
        if os.path.exists(path + ".debug"):
            os.unlink(path + ".debug")
        left = [item for item in self.saver._last_checkpoints if item[0] != path]
        self.saver.set_last_checkpoints_with_time(left)
        paths = [other for other, _ in left]
        tf1.train.update_checkpoint_state(self.folder, paths[-1], paths)


def values_of(number):
    return {"x": np.full((2, 3), number, np.float32), "scope/y": np.arange(4) + number}


@contextlib.contextmanager
def mounted(folder, options):
    at = tempfile.mkdtemp(dir=FOLDER, prefix="at.")
    daemon = subprocess.Popen([f"{BUILD}/mount.ckptfs", folder, at, "--foreground", "-o", options])
    while not os.path.ismount(at):
        assert daemon.poll() is None, "did not mount"
        time.sleep(0.01)
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True)
        assert daemon.wait() == 0


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        raise AssertionError(os.getxattr(path, "user.ckptfs.error").decode()) from error
    finally:
        os.close(fd)


def write(at, step, values):
    for key, value in values.items():
        np.save(os.path.join(at, step, key + ".npy"), value)


def text_of(at, step):
    with open(os.path.join(at, step, "meta_graph.pbtxt")) as file:
        return file.read()


def write_text(at, step, text):
    with open(os.path.join(at, step, "meta_graph.pbtxt"), "w") as file:
        file.write(text)


def remove_all(at, step):
    for path, _, names in os.walk(os.path.join(at, step)):
        for name in names:
            if name.endswith(".npy"):
                os.unlink(os.path.join(path, name))


def sidecars(folder):
    """name -> bytes."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith((".meta", ".debug")):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
    return found


def state_of(folder):
    state = tf.train.get_checkpoint_state(folder)
    return [os.path.basename(path) for path in (state.model_checkpoint_path, *state.all_model_checkpoint_paths)]


def steps_of(folder):
    return sorted(name.removesuffix(".index") for name in os.listdir(folder) if name.endswith(".index"))


def same_folders(real, ours):
    assert steps_of(real) == steps_of(ours), steps_of(ours)
    assert state_of(real) == state_of(ours), state_of(ours)
    a, b = sidecars(real), sidecars(ours)
    assert list(a) == list(b), set(a) ^ set(b)
    for name in a:
        assert a[name] == b[name] or name.endswith(".debug"), f"{name} differs"
    same_steps(real, ours)


def same_steps(real, ours):
    """Their values."""
    for step in steps_of(real):
        keys = [key for key, _ in tf.train.list_variables(os.path.join(real, step))]
        types = [tf.train.load_checkpoint(os.path.join(real, step)).get_variable_to_dtype_map()[key] for key in keys]
        for key, x, y in zip(keys, *(tf_expected.restore(os.path.join(folder, step), keys, types) for folder in (real, ours))):
            assert x.shape == y.shape and np.array_equal(x, y), f"{step}: {key}"
    subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", ours], check=True, stdout=subprocess.DEVNULL)


def same_history(options, first=None, **arguments):
    """The first step is saved as FIRST says by both, the others with ARGUMENTS or through a mount with OPTIONS."""
    real, ours = Trainer(), Trainer()
    for trainer in real, ours:
        trainer.save(1, save_debug_info=True, **(first or {}))
    with mounted(ours.folder, "commit=sync," + options) as at:
        for number in range(2, LAST):
            older = number == 7
            step = os.path.join("m-5" if older else "latest", "")
            real.save(number, write_state=not older, **arguments)
            write(at, step, values_of(number))
            sync(os.path.join(at, step))
            if number in (5, 9):
                real.remove(f"m-{number - 2}")
                shutil.rmtree(os.path.join(at, f"m-{number - 2}"))
    assert len(steps_of(real.folder)) == LAST - 3
    same_folders(real.folder, ours.folder)
    return real.folder, ours.folder


def published_is_not_made_again(options, values):
    """What the timer has published is in a step, also as the options have it."""
    ours = Trainer()
    ours.save(1)
    with mounted(ours.folder, "commit=0," + options) as at:
        write(at, "m-1", values)
        while not os.path.exists(os.path.join(ours.folder, "m-2.index")):
            time.sleep(0.01)
        sync(os.path.join(at, "m-1"))
    assert steps_of(ours.folder) == ["m-1", "m-2"], steps_of(ours.folder)


# --- each option --------------------------------------------------------------------------------------------


def write_meta_graph():
    same_history("nowrite_meta_graph,write_meta_graph", save_debug_info=True)
    _, ours = same_history("nowrite_meta_graph", write_meta_graph=False, save_debug_info=True)
    assert list(sidecars(ours)) == ["m-1.debug", "m-1.meta"]
    published_is_not_made_again("nowrite_meta_graph", {"x": values_of(2)["x"]})


def no_meta_graph_holds_nobody():
    """A variable of another kind than in the graph can be made, and a written graph is left out."""
    ours = Trainer()
    ours.save(1)
    with mounted(ours.folder, "commit=600,nowrite_meta_graph") as at:
        os.unlink(os.path.join(at, "m-1/x.npy"))
        sync(os.path.join(at, "m-1"))
        np.save(os.path.join(at, "m-2/x.npy"), np.int8(5))
        sync(os.path.join(at, "m-2"))
        rename_a_node(at, "m-1")
        np.save(os.path.join(at, "m-1/x.npy"), values_of(2)["x"])
        sync(os.path.join(at, "m-1"))
        sync(os.path.join(at, "m-1"))
    assert steps_of(ours.folder) == ["m-1", "m-2", "m-3", "m-4"]
    assert list(sidecars(ours.folder)) == ["m-1.meta"]


def rename_a_node(at, step):
    text = text_of(at, step)
    write_text(at, step, text.replace('name: "out"', 'name: "end"'))


def no_meta_graph_is_no_change():
    """A text that was written or removed makes no step, where none is to be in it; the next mount shows the old one."""
    for options in "commit=sync", "commit=0":
        ours = Trainer()
        ours.save(1)
        with mounted(ours.folder, options + ",nowrite_meta_graph") as at:
            step, text = os.path.join(at, "m-1"), text_of(at, "m-1")
            changes = [lambda: rename_a_node(at, "m-1"), lambda: os.unlink(os.path.join(step, "meta_graph.pbtxt"))]
            if options == "commit=sync":  # with the timer the copy is soon a step, which has no text
                shutil.copytree(step, os.path.join(at, "other"))
                rename_a_node(at, "other")
                changes.append(lambda: shutil.copyfile(os.path.join(at, "other/meta_graph.pbtxt"), os.path.join(step, "meta_graph.pbtxt")))
            for change in changes:
                change()
                assert os.getxattr(step, "user.ckptfs.draft") == b"0"
                sync(step)
                assert text_of(at, "m-1") == text and not os.path.exists(os.path.join(ours.folder, ".ckptfs/drafts/m-1"))
            rename_a_node(at, "m-1")
            np.save(os.path.join(step, "x.npy"), values_of(2)["x"])
            assert os.getxattr(step, "user.ckptfs.draft") == b"1"
            sync(step)
            assert text_of(at, "m-1") == text and not os.path.exists(os.path.join(at, "m-2/meta_graph.pbtxt"))
            rename_a_node(at, "m-1")
        with mounted(ours.folder, options) as at:
            assert text_of(at, "m-1") == text
            rename_a_node(at, "m-1")
            assert os.getxattr(os.path.join(at, "m-1"), "user.ckptfs.draft") == b"1"
        assert steps_of(ours.folder) == ["m-1", "m-2", "m-3"] + ["other"] * (len(changes) > 2), steps_of(ours.folder)
        assert list(sidecars(ours.folder)) == ["m-1.meta", "m-3.meta"]


def save_debug_info():
    for options in "", "save_debug_info", "nosave_debug_info,save_debug_info":
        _, ours = same_history(options, save_debug_info=True)
        assert len({data for name, data in sidecars(ours).items() if name.endswith(".debug")}) == 1
    same_history("nosave_debug_info", save_debug_info=False)


def allow_empty():
    """Saver saves a graph without variables between others; a person removes all variables of a step."""
    for options, arguments in ("", {}), (",nowrite_meta_graph", {"write_meta_graph": False}):
        real, ours = Trainer(), Trainer()
        for trainer in real, ours:
            trainer.save(1, save_debug_info=True)
        graph, taken = tf1.Graph(), 0 if arguments else 2  # of the numbers of steps, by graphs alone
        with graph.as_default():
            nothing = tf1.train.Saver(allow_empty=True)
        number, full = 1, "m-1"
        with tf1.Session(graph=graph) as session, mounted(ours.folder, "commit=sync,allow_empty" + options) as at:
            for number in range(1, 5 * (taken + 1), taken + 1):
                for n in 1, 2:
                    with graph.as_default():
                        where = os.path.join(real.folder, "m")
                        assert nothing.save(session, where, global_step=number + n, save_debug_info=True, **arguments) is None
                    remove_all(at, full)
                    sync(os.path.join(at, full))
                    assert np.array_equal(np.load(os.path.join(at, full, "x.npy")), values_of(number)["x"])
                    assert not os.path.exists(os.path.join(ours.folder, ".ckptfs/drafts"))
                real.save(number + taken + 1, save_debug_info=True, **arguments)
                write(at, full, values_of(number + taken + 1))
                sync(os.path.join(at, full))
                if number > 1:
                    real.remove(full)
                    shutil.rmtree(os.path.join(at, full))
                full = f"m-{number + taken + 1}"
        assert steps_of(real.folder) == steps_of(ours.folder) == sorted(["m-1", full])
        assert state_of(real.folder) == state_of(ours.folder)
        kept = sidecars(ours.folder)
        assert list(sidecars(real.folder)) == list(kept), list(kept)
        assert all(data == kept["m-1" + name[name.rindex("."):]] for name, data in kept.items())
        same_steps(real.folder, ours.folder)


def an_empty_draft_is_not_published():
    """Only who asks ends it; a new step waits all the same."""
    ours = Trainer()
    ours.save(1)
    with mounted(ours.folder, "commit=0,allow_empty") as at:
        fd = os.open(os.path.join(at, "m-1/x.npy"), os.O_RDWR)  # the timer waits for writers
        remove_all(at, "m-1")
        os.mkdir(os.path.join(at, "own"))
        sync(os.path.join(at, "own"))
        os.close(fd)
        np.save(os.path.join(at, "own/z.npy"), np.int8(1))
        while not os.path.exists(os.path.join(ours.folder, "own.index")):
            time.sleep(0.01)
        assert steps_of(ours.folder) == ["m-1", "own"] and list(sidecars(ours.folder)) == ["m-1.meta"]
        assert not [name for name in os.listdir(os.path.join(at, "m-1")) if name.endswith(".npy")]
        sync(os.path.join(at, "m-1"))
        assert list(sidecars(ours.folder)) == ["m-1.meta", "m-2.meta"]
        fd = os.open(os.path.join(at, "m-1/variables.tsv"), os.O_RDWR | os.O_TRUNC)  # the draft stays for it
        remove_all(at, "m-1")
        for _ in range(3):
            sync(os.path.join(at, "m-1"))
            assert not os.path.exists(os.path.join(at, "m-1/x.npy"))
        os.close(fd)
        sync(os.path.join(at, "m-1"))
        assert list(sidecars(ours.folder)) == ["m-1.meta", "m-2.meta", "m-3.meta"]
        sync(os.path.join(at, "m-1"))
        assert np.array_equal(np.load(os.path.join(at, "m-1/x.npy")), values_of(1)["x"])


def of_other_shape(number):
    return {"x": np.arange(number, number + 6, dtype=np.float32).reshape(3, 1, 2), "scope/y": values_of(number)["scope/y"].reshape(2, 2)}


def save_values(prefix, values):
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=[*values], shape_and_slices=[""] * len(values), tensors=[*values.values()])


def restores(trainer, prefix):
    try:
        with trainer.graph.as_default():
            trainer.saver.restore(trainer.session, prefix)
    except (ValueError, tf.errors.InvalidArgumentError):
        return False
    return True


def written(path, value):
    """False: with EINVAL."""
    try:
        np.save(path, value)
    except OSError as error:
        assert error.errno == 22, error
        return False
    return True


def reshape():
    """Saver restores other shapes, and saves again; a person writes them."""
    real, ours = Trainer(reshape=True), Trainer(reshape=True)
    for trainer in real, ours:
        trainer.save(1)
    with mounted(ours.folder, "commit=sync,reshape") as at:
        for number in range(2, LAST):
            values = of_other_shape(number)
            if number % 2:
                values = {"x": np.asfortranarray(values["x"].reshape(3, 2)), "scope/y": values["scope/y"].astype(">i8")}
            save_values(os.path.join(FOLDER, "other"), {key: np.ascontiguousarray(value).astype(value.dtype.newbyteorder("=")) for key, value in values.items()})
            assert restores(real, os.path.join(FOLDER, "other"))
            with real.graph.as_default():
                real.saver.save(real.session, os.path.join(real.folder, "m"), global_step=number)
            write(at, "latest/", values)
            assert np.load(os.path.join(at, "latest/x.npy")).shape == values["x"].shape
            sync(os.path.join(at, "latest/"))
            assert np.load(os.path.join(at, "latest/x.npy")).shape == (2, 3)
        write(at, f"m-{LAST - 1}", {key: value.reshape(-1, 1) for key, value in values.items()})
        np.save(os.path.join(at, f"m-{LAST - 1}/x.npy"), np.ascontiguousarray(values["x"]).reshape(-1))
        sync(os.path.join(at, f"m-{LAST - 1}"))  # as the step has them
    same_folders(real.folder, ours.folder)


def reshape_needs_as_many():
    for options in "", ",reshape":
        trainer = Trainer(reshape=bool(options))
        trainer.save(1)
        with mounted(trainer.folder, "commit=sync" + options) as at:
            for shape in (6,), (3, 2), (1, 6, 1), (2, 4), (), (0,), (2, 3):
                value = np.ones(shape, np.float32)
                save_values(os.path.join(FOLDER, "other"), {"x": value, "scope/y": values_of(1)["scope/y"]})
                assert restores(trainer, os.path.join(FOLDER, "other")) == written(os.path.join(at, "m-1/x.npy"), value), shape
            assert not written(os.path.join(at, "m-1/x.npy"), np.ones((3, 2), np.float64))
            os.setxattr(os.path.join(at, "m-1"), "user.ckptfs.draft", b"discard")


def copies_and_new_variables_are_reshaped():
    """Also what is copied without being read, in another step, or made anew where the graph has it; and in slices."""
    ours = Trainer()
    ours.save(1)
    with mounted(ours.folder, "commit=sync,reshape") as at:
        np.save(os.path.join(at, "m-1/other.npy"), np.arange(6, dtype=np.float32).reshape(3, 2))
        sync(os.path.join(at, "m-1"))
        subprocess.run(["cp", os.path.join(at, "m-2/other.npy"), os.path.join(at, "m-2/x.npy")], check=True)
        sync(os.path.join(at, "m-2"))
        assert np.array_equal(np.load(os.path.join(at, "m-3/x.npy")), np.arange(6).reshape(2, 3))
        try:
            os.rename(os.path.join(at, "m-2/other.npy"), os.path.join(at, "m-2/x.npy"))
        except OSError as error:
            assert error.errno == 22
        else:
            raise AssertionError("it was renamed over another shape")
        os.mkdir(os.path.join(at, "own"))
        subprocess.run(["cp", os.path.join(at, "m-1/meta_graph.pbtxt"), os.path.join(at, "own")], check=True)
        np.save(os.path.join(at, "own/x.npy"), np.arange(6, dtype=np.float32))
        sync(os.path.join(at, "own"))
        assert np.array_equal(np.load(os.path.join(at, "own/x.npy")), np.arange(6).reshape(2, 3))
    published_is_not_made_again("reshape", {"x": of_other_shape(3)["x"]})
    folder = os.path.join(FOLDER, "slices")
    shutil.copytree(os.path.join(FIXTURES, "partitioned"), folder, copy_function=shutil.copyfile)
    with mounted(folder, "commit=sync,reshape") as at:
        step = "model-3"
        changed = 0
        for key, shape in tf.train.list_variables(os.path.join(folder, step)):
            path = os.path.join(at, step, key + ".npy")
            value = np.load(path)
            if value.ndim > 1 and value.dtype == np.float32 and value.shape[0] != value.shape[-1]:
                np.save(path, np.asfortranarray(value.reshape(-1)[::-1].reshape(value.shape[::-1])))
                changed += 1
        assert changed, "no variable of two dimensions"
        sync(os.path.join(at, step))
        new = "model-4"
        for key, shape in tf.train.list_variables(os.path.join(folder, step)):
            before, after = (tf.train.load_checkpoint(os.path.join(folder, s)).get_tensor(key) for s in (step, new))
            if before.ndim > 1 and before.dtype == np.float32 and before.shape[0] != before.shape[-1]:
                before = before.reshape(-1)[::-1].reshape(before.shape)
            assert np.array_equal(before, after), key


def strip_default_attrs():
    real, ours = same_history("strip_default_attrs", strip_default_attrs=True, save_debug_info=True)
    plain, without = sidecars(ours)["m-1.meta"], sidecars(ours)["m-2.meta"]
    assert len(without) < len(plain) and len(set(sidecars(ours).values())) == 3  # and debug info
    same_history("strip_default_attrs", {"strip_default_attrs": True}, strip_default_attrs=True, save_debug_info=True)
    same_history("strip_default_attrs,nowrite_meta_graph", strip_default_attrs=True, write_meta_graph=False)
    published_is_not_made_again("strip_default_attrs", {"x": values_of(2)["x"]})
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.train.import_meta_graph(os.path.join(ours, "m-5.meta")).restore(session, os.path.join(ours, "m-5"))
        assert np.array_equal(session.run("x:0"), values_of(5)["x"])


def graph_in(folder, step):
    return meta_graph_pb2.MetaGraphDef.FromString(sidecars(folder)[step + ".meta"])


def stripped(graph):
    meta_graph.strip_graph_default_valued_attrs(graph)
    return graph


def the_text_is_stripped():
    ours = Trainer()
    ours.save(1)
    with mounted(ours.folder, "ro") as at:
        whole = text_of(at, "m-1")
    with mounted(ours.folder, "commit=sync,strip_default_attrs") as at:
        text = text_of(at, "m-1")
        assert len(text) == os.stat(os.path.join(at, "m-1/meta_graph.pbtxt")).st_size < len(whole)
        assert text_format.Parse(text, meta_graph_pb2.MetaGraphDef()) == stripped(graph_in(ours.folder, "m-1"))
        np.save(os.path.join(at, "m-1/x.npy"), values_of(2)["x"])
        assert text_of(at, "m-1") == text  # in a draft, too
        sync(os.path.join(at, "m-1"))
        assert text_of(at, "m-2") == text_of(at, "m-1") == text
    with mounted(ours.folder, "ro") as at:
        assert text_of(at, "m-1") == whole and text_of(at, "m-2") == text


def a_text_that_says_the_same_makes_no_step():
    """With and without the attributes that are as the default, as they were or added by hand."""
    for options in "commit=sync", "commit=0":
        ours = Trainer()
        ours.save(1)
        with mounted(ours.folder, "ro") as at:
            whole = text_of(at, "m-1")
        with mounted(ours.folder, options + ",strip_default_attrs") as at:
            text, step = text_of(at, "m-1"), os.path.join(at, "m-1")
            for same in text, whole:
                write_text(at, "m-1", same)
                assert os.getxattr(step, "user.ckptfs.draft") == b"0"
                assert text_of(at, "m-1") == same
                sync(step)
                assert text_of(at, "m-1") == text and not os.path.exists(os.path.join(ours.folder, ".ckptfs/drafts"))
            with open(os.path.join(step, "meta_graph.pbtxt"), "r+") as file:  # copied up
                file.write(text[:1])
            sync(step)
            assert steps_of(ours.folder) == ["m-1"]
            write_text(at, "m-1", whole)
            np.save(os.path.join(step, "x.npy"), values_of(2)["x"])
            sync(step)
            assert steps_of(ours.folder) == ["m-1", "m-2"] and graph_in(ours.folder, "m-2") == stripped(graph_in(ours.folder, "m-1"))
        with mounted(ours.folder, options) as at:
            write_text(at, "m-1", text)
            assert os.getxattr(os.path.join(at, "m-1"), "user.ckptfs.draft") == b"1"
            sync(os.path.join(at, "m-1"))
            assert steps_of(ours.folder) == ["m-1", "m-2", "m-3"] and graph_in(ours.folder, "m-3") == graph_in(ours.folder, "m-2")


def what_a_text_changes():
    """All but what is as the default."""
    ours = Trainer()
    ours.save(1)
    with mounted(ours.folder, "ro") as at:
        whole = text_of(at, "m-1")
    with mounted(ours.folder, "commit=sync,strip_default_attrs") as at:
        want = graph_in(ours.folder, "m-1")
        (node,) = [node for node in want.graph_def.node if node.op == "MatMul"]
        assert not node.attr["transpose_a"].b and node.attr["transpose_b"].b
        node.attr["transpose_a"].b, node.attr["transpose_b"].b = True, False
        write_text(at, "m-1", text_format.MessageToString(want))
        sync(os.path.join(at, "m-1"))
        made = graph_in(ours.folder, "m-2")
        assert made == stripped(want)
        (node,) = [node for node in made.graph_def.node if node.op == "MatMul"]
        assert "transpose_b" not in node.attr and node.attr["transpose_a"].b
        os.mkdir(os.path.join(at, "own"))
        np.save(os.path.join(at, "own/x.npy"), values_of(2)["x"])
        write_text(at, "own", whole)
        sync(os.path.join(at, "own"))
        assert graph_in(ours.folder, "own") == stripped(graph_in(ours.folder, "m-1"))


def stripping_alone_makes_no_step():
    """A graph that was written is stripped, too; one that is none stays as it is."""
    ours = Trainer()
    ours.save(1)
    with mounted(ours.folder, "commit=sync,strip_default_attrs") as at:
        write(at, "m-1", values_of(1))
        sync(os.path.join(at, "m-1"))
        assert steps_of(ours.folder) == ["m-1"]
        rename_a_node(at, "m-1")
        sync(os.path.join(at, "m-1"))
        made, want = (graph_in(ours.folder, step) for step in ("m-2", "m-1"))
        (node,) = [node for node in want.graph_def.node if node.name == "out"]
        node.name = "end"
        assert made == stripped(want)
    with open(os.path.join(ours.folder, "m-1.meta"), "wb") as file:
        file.write(b"no graph")
    with mounted(ours.folder, "commit=sync,strip_default_attrs") as at:
        write(at, "m-1", {"x": values_of(3)["x"]})
        sync(os.path.join(at, "m-1"))
    assert sidecars(ours.folder)["m-3.meta"] == b"no graph"


def with_functions(**arguments):
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="source.")
    with tf1.Graph().as_default(), tf1.Session() as session:

        @tf.function(input_signature=[tf.TensorSpec((2, 3))])
        def product(a):
            return tf.matmul(a, a, transpose_a=True)

        x = tf1.get_variable("x", (2, 3))
        tf.identity(product(x), name="out")
        saver = tf1.train.Saver(max_to_keep=9)
        session.run(tf1.global_variables_initializer())
        saver.save(session, os.path.join(folder, "m"), global_step=1)
        saver.save(session, os.path.join(folder, "real"), latest_filename="other", **arguments)
    return folder


def nodes_of_functions_are_stripped():
    folder = with_functions(strip_default_attrs=True)
    with mounted(folder, "commit=sync,strip_default_attrs") as at:
        write(at, "m-1", {"x": values_of(3)["x"]})
        sync(os.path.join(at, "m-1"))
    found = sidecars(folder)
    assert found["m-2.meta"] == found["real.meta"] != found["m-1.meta"]


TESTS = (write_meta_graph, no_meta_graph_holds_nobody, no_meta_graph_is_no_change, save_debug_info, allow_empty,
         an_empty_draft_is_not_published, reshape, reshape_needs_as_many, copies_and_new_variables_are_reshaped,
         strip_default_attrs, the_text_is_stripped, a_text_that_says_the_same_makes_no_step, what_a_text_changes,
         stripping_alone_makes_no_step, nodes_of_functions_are_stripped)  # fmt: skip


runner.run(TESTS, sys.argv[4:])
