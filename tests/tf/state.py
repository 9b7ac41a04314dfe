#!/usr/bin/env python3
"""State files that are changed here, read by TensorFlow: state.py STATE_TOOL FOLDER"""

import os
import shutil
import subprocess
import sys
import time

import tensorflow as tf

TOOL, FOLDER = sys.argv[1:]
V1 = tf.compat.v1


def change(word, folder, *names, state="checkpoint"):
    subprocess.run([TOOL, word, folder, state, *names], check=True)


def new_folder(name):
    folder = os.path.join(FOLDER, name)
    os.mkdir(folder)
    return folder


def copy_step(folder, old, new):
    """What a commit would put there."""
    for file in os.listdir(folder):
        if file.startswith(old + ".") or (file.startswith(old + "-") and "-of-" in file):
            shutil.copy(os.path.join(folder, file), os.path.join(folder, new + file[len(old):]))


def rename_step(folder, old, new):
    copy_step(folder, old, new)
    for file in os.listdir(folder):
        if file.startswith(old + "."):
            os.remove(os.path.join(folder, file))


def check(folder, latest, listed, state="checkpoint"):
    """LATEST and LISTED are as they are written; TensorFlow puts the folder in front of relative ones."""
    found = tf.train.get_checkpoint_state(folder, state)
    full = [os.path.join(folder, path) for path in (latest, *listed)]
    have = (found.model_checkpoint_path, *found.all_model_checkpoint_paths)
    assert list(have) == full, "%s, not %s" % (have, full)
    assert tf.train.latest_checkpoint(folder, state) == full[0]
    text = open(os.path.join(folder, state)).read()
    want = 'model_checkpoint_path: "%s"\n' % latest
    want += "".join('all_model_checkpoint_paths: "%s"\n' % path for path in listed)
    assert text.startswith(want), "%s, not %s" % (text, want)
    return found


class Training:
    """A graph with one variable, which is the number of the save."""

    def __init__(self, **saver):
        with tf.Graph().as_default():
            self.value = V1.placeholder(tf.int64, [])
            variable = V1.get_variable("v", [], tf.int64, V1.zeros_initializer())
            self.assign = variable.assign(self.value)
            self.saver = V1.train.Saver([variable], **saver)
            self.session = V1.Session()

    def save(self, folder, name, number, **options):
        with self.session.graph.as_default():
            self.session.run(self.assign, {self.value: number})
            self.saver.save(self.session, os.path.join(folder, name), number, **options)

    def restores(self, path):
        with self.session.graph.as_default():
            self.saver.restore(self.session, path)


def check_saver(folder, prefix, **options):
    """PREFIX is what paths begin with."""
    state = options.get("latest_filename", "checkpoint")
    training = Training(save_relative_paths=not prefix)
    for number in range(3):
        training.save(folder, "m", number, **options)
    step = [prefix + "m-%d" % n for n in range(6)]
    check(folder, step[2], step[:3], state)

    copy_step(folder, "m-2", "m-3")
    change("add", folder, "m-3", state=state)
    check(folder, step[3], step[:4], state)
    training.restores(tf.train.latest_checkpoint(folder, state))
    change("point", folder, "m-1", state=state)
    check(folder, step[1], step[:4], state)
    change("add", folder, "m-0", state=state)
    check(folder, step[0], step[1:4] + step[:1], state)
    change("drop", folder, "m-0", "m-2", state=state)
    check(folder, step[3], [step[1], step[3]], state)
    rename_step(folder, "m-3", "m-5")
    change("rename", folder, "m-3", "m-5", state=state)
    check(folder, step[5], [step[1], step[5]], state)
    training.restores(tf.train.latest_checkpoint(folder, state))

    change("drop", folder, "m-1", "m-5", "m-7", state=state)
    assert tf.train.get_checkpoint_state(folder, state) is None
    assert not os.path.exists(os.path.join(folder, state))
    change("point", folder, "m-2", state=state)
    check(folder, "m-2", ["m-2"], state)


def check_trainer_goes_on():
    """A Saver that takes up what is listed deletes our step in its turn."""
    folder = new_folder("on")
    training = Training(save_relative_paths=True, max_to_keep=3)
    training.save(folder, "m", 1)
    copy_step(folder, "m-1", "m-2")
    change("add", folder, "m-2")
    resumed = Training(save_relative_paths=True, max_to_keep=3)
    resumed.saver.recover_last_checkpoints(tf.train.get_checkpoint_state(folder).all_model_checkpoint_paths)
    for number in range(3, 6):
        resumed.save(folder, "m", number)
    check(folder, "m-5", ["m-3", "m-4", "m-5"])
    assert not os.path.exists(os.path.join(folder, "m-2.index"))


def check_moved():
    old = new_folder("old")
    Training().save(old, "m", 0)
    folder = os.path.join(FOLDER, "moved")
    os.rename(old, folder)
    assert tf.train.latest_checkpoint(folder) is None
    copy_step(folder, "m-0", "m-1")
    change("add", folder, "m-1")
    check(folder, "m-1", [old + "/m-0", "m-1"])
    change("point", folder, "m-0")
    check(folder, "m-0", ["m-0", "m-1"])


def check_v1(sharded):
    folder = new_folder("v1-sharded" if sharded else "v1")
    training = Training(write_version=V1.train.SaverDef.V1, sharded=sharded, save_relative_paths=True)
    training.save(folder, "m", 1)
    suffix = "-?????-of-00001" if sharded else ""
    check(folder, "m-1" + suffix, ["m-1" + suffix])
    copy_step(folder, "m-1", "m-2")
    if not sharded:
        shutil.copy(os.path.join(folder, "m-1"), os.path.join(folder, "m-2"))
    change("add", folder, "m-2")
    check(folder, "m-2" + suffix, ["m-1" + suffix, "m-2" + suffix])
    training.restores(tf.train.latest_checkpoint(folder))
    change("drop", folder, "m-2")
    check(folder, "m-1" + suffix, ["m-1" + suffix])


def check_overwritten():
    """What TensorFlow can read nothing from, and overwrites too."""
    folder = new_folder("garbage")
    Training().save(folder, "m", 1, write_state=False)
    for text in ["", "garbage", "\0\0"]:
        with open(os.path.join(folder, "checkpoint"), "w") as f:
            f.write(text)
        change("drop", folder, "m-1")
        assert open(os.path.join(folder, "checkpoint")).read() == text
        change("add", folder, "m-1")
        check(folder, "m-1", ["m-1"])


def steps_of(manager):
    return [os.path.basename(path) for path in manager.checkpoints]


def files_of(folder):
    return sorted(file[:-len(".index")] for file in os.listdir(folder) if file.endswith(".index"))


def check_manager():
    folder = new_folder("manager")
    checkpoint = tf.train.Checkpoint(v=tf.Variable(1))
    manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=5)
    for number in (1, 2):
        manager.save(number)
    before = tf.train.get_checkpoint_state(folder)
    copy_step(folder, "ckpt-2", "ckpt-3")
    copy_step(folder, "ckpt-2", "ckpt-4")
    start = time.time()
    change("add", folder, "ckpt-3", "ckpt-4")
    found = check(folder, "ckpt-4", ["ckpt-%d" % n for n in range(1, 5)])
    times = list(found.all_model_checkpoint_timestamps)
    assert times[:2] == list(before.all_model_checkpoint_timestamps)
    assert start <= times[2] <= times[3] <= time.time()
    assert found.last_preserved_timestamp == before.last_preserved_timestamp

    resumed = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=3)
    assert steps_of(resumed) == ["ckpt-1", "ckpt-2", "ckpt-3", "ckpt-4"]
    assert os.path.basename(resumed.restore_or_initialize()) == "ckpt-4"
    resumed.save(5)
    assert steps_of(resumed) == files_of(folder) == ["ckpt-3", "ckpt-4", "ckpt-5"]

    change("add", folder, "ckpt-3")
    rename_step(folder, "ckpt-4", "renamed")
    change("rename", folder, "ckpt-4", "renamed")
    change("point", folder, "ckpt-5")
    check(folder, "ckpt-5", ["renamed", "ckpt-5", "ckpt-3"])
    resumed = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=2)
    resumed.save(6)
    assert steps_of(resumed) == ["ckpt-3", "ckpt-6"]
    assert files_of(folder) == ["ckpt-3", "ckpt-6"]
    change("drop", folder, "ckpt-6")
    found = check(folder, "ckpt-3", ["ckpt-3"])
    assert len(found.all_model_checkpoint_timestamps) == 1


def check_kept_hours():
    """By its time our step is one that is kept for good."""
    folder = new_folder("hours")
    checkpoint = tf.train.Checkpoint(v=tf.Variable(1))
    tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1).save(1)
    rename_step(folder, "ckpt-1", "ckpt-2")
    change("add", folder, "ckpt-2")
    change("drop", folder, "ckpt-1")
    found = check(folder, "ckpt-2", ["ckpt-2"])
    (saved,) = found.all_model_checkpoint_timestamps
    path = os.path.join(folder, "checkpoint")
    text = open(path).read().replace(repr(found.last_preserved_timestamp), repr(saved - 7200))
    with open(path, "w") as f:
        f.write(text)
    resumed = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1, keep_checkpoint_every_n_hours=1)
    assert steps_of(resumed) == ["ckpt-2"]
    resumed.save(3)
    assert steps_of(resumed) == ["ckpt-3"]
    assert files_of(folder) == ["ckpt-2", "ckpt-3"]
    assert tf.train.get_checkpoint_state(folder).last_preserved_timestamp == saved


def main():
    tf.get_logger().setLevel("CRITICAL")
    relative, absolute, named = map(new_folder, ("relative", "absolute", "named"))
    check_saver(relative, "")
    check_saver(absolute, absolute + "/")
    check_saver(named, "", latest_filename="mylatest")
    check_trainer_goes_on()
    check_moved()
    check_v1(False)
    check_v1(True)
    check_overwritten()
    check_manager()
    check_kept_hours()


main()
