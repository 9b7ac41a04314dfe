#!/usr/bin/env python3
"""saved_model.py BUILDDIR MODEL FOLDER [TEST...]: edits copies of the SavedModel MODEL/1 through mounts, and loads them with TensorFlow."""

import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf

BUILD, MODEL, FOLDER = sys.argv[1:4]
NAME = "variables"
W = np.array([[1, 2], [3, 4]], np.float32)  # as it is in MODEL: the value 1


def copy():
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="models.")
    shutil.copytree(os.path.join(MODEL, "1"), os.path.join(folder, "1"), copy_function=shutil.copyfile)
    return folder


@contextlib.contextmanager
def mounted(folder, below="", options="commit=sync"):
    """FOLDER/BELOW, mounted; gives the folder of the step `variables`."""
    at = tempfile.mkdtemp(dir=FOLDER, prefix="at.")
    source = os.path.join(folder, below)
    daemon = subprocess.Popen([f"{BUILD}/mount.ckptfs", source, at, "--foreground", "-o", options])
    while not os.path.ismount(at):
        assert daemon.poll() is None, "did not mount"
        time.sleep(0.01)
    try:
        yield os.path.join(at, os.path.relpath("1/variables/variables", below or "."))
    finally:
        subprocess.run(["umount", at], check=True)
        assert daemon.wait() == 0


def sync(folder):
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def loads(folder, value):
    model = tf.saved_model.load(os.path.join(folder, "1"))
    assert np.array_equal(model.w.numpy(), W * value), model.w.numpy()
    assert np.array_equal(model(np.eye(2, dtype=np.float32)).numpy(), W * value + np.float32(0.5))


def steps(folder):
    assert not os.path.exists(os.path.join(folder, "1/variables/checkpoint"))
    return sorted(os.path.basename(n).removesuffix(".index") for n in glob.glob(os.path.join(folder, "1/variables/*.index")))


def restores(folder, step, value):
    """The step has VALUE for TensorFlow."""
    reader = tf.train.load_checkpoint(os.path.join(folder, "1/variables", step))
    key = next(k for k in reader.get_variable_to_shape_map() if k.startswith("w"))
    assert np.array_equal(reader.get_tensor(key), W * value)


def at_rest(folder, *names):
    """There are these steps, and nothing that belongs to none."""
    assert steps(folder) == sorted(names), steps(folder)
    subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", os.path.join(folder, "1/variables")], check=True, stdout=subprocess.DEVNULL)
    assert not os.path.exists(os.path.join(folder, "1/variables/.ckptfs"))
    for name in glob.glob(os.path.join(folder, "1/variables/variables*.data-*")):
        step, shard = os.path.basename(name).split(".data-")
        reader = tf.train.load_checkpoint(os.path.join(folder, "1/variables", step))
        assert reader.get_variable_to_shape_map()
        others = glob.glob(os.path.join(folder, "1/variables", step + ".data-*"))
        assert len({other.rpartition("-of-")[2] for other in others}) == 1, others


def save(step, value, name="w.npy"):
    np.save(os.path.join(step, name), W * value)


def has_variables(step, names):
    got = sorted(n for n in os.listdir(step) if n.endswith(".npy"))
    assert got == ["_CHECKPOINTABLE_OBJECT_GRAPH.npy", *names], got


def shows(step, value):
    got = np.load(os.path.join(step, "w.npy"))
    assert np.array_equal(got, W * value), got


# --- tests ---------------------------------------------------------------------------------------------------


def from_each_mount():
    for below in "", "1", "1/variables":
        folder = copy()
        loads(folder, 1)
        with mounted(folder, below) as step:
            save(step, 2)
            sync(step)
            shows(step, 2)
            loads(folder, 2)
            shows(step + "-1", 1)
        loads(folder, 2)
        restores(folder, "variables-1", 1)
        at_rest(folder, NAME, "variables-1")


def each_commit_keeps_what_was_there():
    folder = copy()
    with mounted(folder) as step:
        for value in 2, 3, 4, 5:
            save(step, value)
            sync(step)
            shows(step, value)
            loads(folder, value)
        for number in 1, 2, 3, 4:
            restores(folder, f"variables-{number}", number)
        shutil.rmtree(step + "-2")
    loads(folder, 5)
    at_rest(folder, NAME, "variables-1", "variables-3", "variables-4")


def a_shell_stands_in_it():
    folder = copy()
    with mounted(folder) as step:
        before = os.getcwd()
        os.chdir(step)
        try:
            save(".", 2)
            sync(".")
            shows(".", 2)
            save(".", 3)
            sync(".")
            shows(".", 3)
        finally:
            os.chdir(before)
    loads(folder, 3)
    at_rest(folder, NAME, "variables-1", "variables-2")


def variables_come_and_go():
    folder = copy()
    with mounted(folder) as step:
        save(step, 7, "extra.npy")
        save(step, 2)
        sync(step)
        has_variables(step, ["b.npy", "extra.npy", "w.npy"])
        shows(step, 2)
        os.remove(os.path.join(step, "extra.npy"))
        sync(step)
        has_variables(step, ["b.npy", "w.npy"])
        shows(step, 2)
    loads(folder, 2)
    at_rest(folder, NAME, "variables-1", "variables-2")


def a_file_stays_open():
    """What is written after a commit is in the next one, with all else; what was there before is kept once."""
    folder = copy()
    with mounted(folder) as step:
        with open(os.path.join(step, "w.npy"), "r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(size - 16)
            file.write((W * 2).tobytes())
            sync(step)
            shows(step, 2)
            loads(folder, 2)
            file.seek(size - 16)
            file.write((W * 3).tobytes())
            shows(step, 3)
        sync(step)
        loads(folder, 3)
    restores(folder, "variables-1", 1)
    at_rest(folder, NAME, "variables-1")


def with_a_timer():
    folder = copy()
    with mounted(folder, options="commit=1") as step:
        for value in 2, 3, 4:
            save(step, value)
            deadline = time.monotonic() + 30
            while True:
                with contextlib.suppress(Exception):
                    loads(folder, value)
                    break
                assert time.monotonic() < deadline, "the timer does not publish"
                time.sleep(0.3)
            shows(step, value)
        assert steps(folder) == [NAME, "variables-1"]
    loads(folder, 4)
    restores(folder, "variables-1", 1)
    at_rest(folder, NAME, "variables-1")


def somebody_saves_meanwhile():
    """The draft is not of what was put there: it becomes a step of its own, and what was put there stays."""
    folder = copy()
    with mounted(folder) as step:
        save(step, 2)
        model = tf.saved_model.load(os.path.join(folder, "1"))
        model.w.assign(W * 9)
        tf.saved_model.save(model, os.path.join(folder, "2"))
        for file in sorted(os.listdir(os.path.join(folder, "2/variables"))):  # the index comes last
            os.rename(os.path.join(folder, "2/variables", file), os.path.join(folder, "1/variables", file))
        shutil.rmtree(os.path.join(folder, "2"))
        sync(step)
        loads(folder, 9)
        restores(folder, "variables-1", 2)
        shows(step, 9)
    loads(folder, 9)
    at_rest(folder, NAME, "variables-1")


def another_draft_goes_on():
    folder = copy()
    with mounted(folder) as step:
        save(step, 2)
        sync(step)
        save(step + "-1", 5)
        save(step, 3)
        sync(step)
        shows(step + "-1", 5)
        sync(step + "-1")
        loads(folder, 3)
    loads(folder, 3)
    restores(folder, "variables-3", 5)
    at_rest(folder, NAME, "variables-1", "variables-2", "variables-3")


def the_way_back():
    """By rename(2), and by mv(1), which moves into a folder that is there."""

    def into(old, new):
        subprocess.run(["mv", old, new], check=True)

    def over(old, new):
        subprocess.run(["mv", "-T", old, new], check=True)

    for bring_back in os.rename, into, over:
        folder = copy()
        with mounted(folder) as step:
            save(step, 2)
            sync(step)
            loads(folder, 2)
            bring_back(step + "-1", step)
            shows(step, 1)
            assert not os.path.exists(step + "-1")
            has_variables(step, ["b.npy", "w.npy"])
            loads(folder, 1)
            at = steps(folder)
            assert at == [NAME], at
            save(step, 3)
            sync(step)
            shows(step, 3)
            loads(folder, 3)
        loads(folder, 3)
        restores(folder, "variables-1", 1)
        at_rest(folder, NAME, "variables-1")


def one_with_as_many_shards_comes_back():
    folder = copy()
    with mounted(folder) as step:
        save(step, 2)
        sync(step)
        shutil.copytree(step, step + "-7")
        sync(step + "-7")
        save(step + "-7", 7)
        sync(step + "-7")  # a draft over it becomes the next step: two shards
        os.rename(step + "-8", step)
        shows(step, 7)
        loads(folder, 7)
    loads(folder, 7)
    at_rest(folder, NAME, "variables-1", "variables-7")


def one_with_changes_is_not_replaced():
    folder = copy()
    with mounted(folder) as step:
        save(step, 2)
        sync(step)
        save(step, 3)
        try:
            os.rename(step + "-1", step)
        except OSError:
            pass
        else:
            raise AssertionError("replaced with changes in it")
        shows(step, 3)
        shows(step + "-1", 1)
        sync(step)
    loads(folder, 3)
    at_rest(folder, NAME, "variables-1", "variables-2")


def no_export_no_place():
    """Without saved_model.pb it is a step as any other."""
    folder = copy()
    os.remove(os.path.join(folder, "1/saved_model.pb"))
    with mounted(folder) as step:
        save(step, 2)
        sync(step)
    restores(folder, NAME, 1)
    restores(folder, "variables-1", 2)


TESTS = (from_each_mount, each_commit_keeps_what_was_there, a_shell_stands_in_it, variables_come_and_go, a_file_stays_open,
         with_a_timer, somebody_saves_meanwhile, another_draft_goes_on, the_way_back,
         one_with_as_many_shards_comes_back, one_with_changes_is_not_replaced, no_export_no_place)  # fmt: skip
for test in TESTS:
    if not sys.argv[4:] or test.__name__ in sys.argv[4:]:
        print(test.__name__, flush=True)
        test()
