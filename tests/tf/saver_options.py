#!/usr/bin/env python3
"""Mounts with options that are arguments of Saver: saver_options.py BUILDDIR FOLDER [TEST...]

The same history is gone through twice: Saver saves in one directory, and in another each save is an edit of the latest step
that is committed.  Both then have the same steps and the same state file but for the directory's own path, their meta graphs
are the same bytes, and Saver restores the same values from both.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import runner
import tensorflow as tf

BUILD, FOLDER = sys.argv[1:3]
V1 = tf.compat.v1


class Training:
    """A graph with two variables, its Saver, and SAVING: arguments of each save."""

    def __init__(self, folder, name="model", saving=None, **arguments):
        self.folder, self.prefix = folder, os.path.join(folder, name)
        self.saving = saving or {}
        self.state = self.saving.get("latest_filename", "checkpoint")
        self.suffix = self.saving.get("meta_graph_suffix", "meta")
        with tf.Graph().as_default():
            self.value = V1.placeholder(tf.float32, [3])
            variable = V1.get_variable("v", [3], initializer=V1.zeros_initializer())
            V1.get_variable("w", [2], initializer=V1.ones_initializer())
            self.assign = variable.assign(self.value)
            self.read = variable.read_value()
            self.saver = V1.train.Saver(**arguments)
            self.session = V1.Session()
            self.session.run(V1.global_variables_initializer())

    def save(self, number, value, **arguments):
        with self.session.graph.as_default():
            self.session.run(self.assign, {self.value: value})
            self.saver.save(self.session, self.prefix, number, **self.saving, **arguments)

    def restore(self, path):
        with self.session.graph.as_default():
            self.saver.restore(self.session, path)
            return self.session.run(self.read)

    def remove(self, step):
        """What somebody does who removes a step and wants Saver to know."""
        path = os.path.join(self.folder, step)
        left = [item for item in self.saver._last_checkpoints if item[0] != path]
        V1.train.remove_checkpoint(path, meta_graph_suffix=self.suffix)
        self.saver.set_last_checkpoints_with_time(left)
        relative = self.saver._save_relative_paths
        paths = [os.path.relpath(p, self.folder) if relative else p for p, _ in left]
        V1.train.update_checkpoint_state(self.folder, paths[-1], paths, self.state)


class Mount(runner.Mount):
    def __init__(self, source, options):
        super().__init__(BUILD, source, options, FOLDER)

    def edit(self, value, step="latest"):
        np.save(os.path.join(self.at, step, "v.npy"), np.array(value, np.float32))

    def load(self, step):
        return np.load(os.path.join(self.at, step, "v.npy"))

    def save(self, value, step="latest"):
        self.edit(value, step)
        self.sync(os.path.realpath(os.path.join(self.at, step)))


def steps_of(folder):
    return sorted(name[: -len(".index")] for name in os.listdir(folder) if name.endswith(".index"))


def state_of(folder, name="checkpoint"):
    with open(os.path.join(folder, name)) as file:
        return file.read().replace(folder + "/", "@/")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def same(saver, mount, graphs=True):
    """SAVER, the Training, has left in its folder what MOUNT has left in its source.  GRAPHS: a meta graph names the arguments
    of its Saver, so they are the same if that has saved the first step, too."""
    a, b, name = saver.folder, mount.source, saver.state
    assert steps_of(a) == steps_of(b), f"{steps_of(a)}, not {steps_of(b)}"
    assert state_of(a, name) == state_of(b, name), f"{state_of(a, name)}, not {state_of(b, name)}"
    for step in steps_of(a):
        one, other = os.path.join(a, step), os.path.join(b, step)
        assert not graphs or read(f"{one}.{saver.suffix}") == read(f"{other}.{saver.suffix}"), step
        assert np.array_equal(saver.restore(one), saver.restore(other)), step
    shown = set(os.listdir(mount.at)) - {name, "latest"}
    assert sorted(shown) == steps_of(b), shown
    if not saver.saving:
        subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", b], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def both(options, first=1, name="model", before=None, saving=None, **arguments):
    """A Training with Saver's ARGUMENTS, and a Mount with OPTIONS.  In both directories FIRST steps are saved already, by a
    Saver with the arguments BEFORE, or these."""
    a, b = (tempfile.mkdtemp(dir=FOLDER, prefix="run.") for _ in range(2))
    training = Training(a, name, saving, **arguments)
    for folder in a, b:
        earlier = training
        if folder == b or before is not None:
            earlier = Training(folder, name, saving, **(arguments if before is None else before))
        for number in range(first):
            earlier.save(number, [number] * 3)
    if before is not None:
        training.saver.recover_last_checkpoints(tf.train.get_checkpoint_state(a).all_model_checkpoint_paths)
    with Mount(b, options) as mount:
        yield training, mount
    shutil.rmtree(a)
    shutil.rmtree(b)


def go_on(training, mount, numbers, **arguments):
    for number in numbers:
        training.save(number, [number] * 3, **arguments)
        mount.save([number] * 3)


def remove(training, mount, step):
    training.remove(step)
    shutil.rmtree(os.path.join(mount.at, step))


# --- paths in the state file --------------------------------------------------------------------------------


def relative_paths():
    for relative in True, False:
        for was in relative, not relative:
            option = "save_relative_paths" if relative else "nosave_relative_paths"
            arguments = {"max_to_keep": 100, "save_relative_paths": relative}
            with both(option, 3, before={**arguments, "save_relative_paths": was}, **arguments) as (training, mount):
                go_on(training, mount, range(3, 9))
                same(training, mount)
                remove(training, mount, "model-5")
                go_on(training, mount, range(9, 14))
                same(training, mount)
                assert state_of(mount.source).count("@/") == (0 if relative else 14), state_of(mount.source)
                assert tf.train.latest_checkpoint(mount.source) == mount.source + "/model-13"


def paths_as_they_are():
    """Without the option the file decides."""
    for relative in True, False:
        with both("rw", 2, max_to_keep=100, save_relative_paths=relative) as (training, mount):
            go_on(training, mount, range(2, 8))
            remove(training, mount, "model-4")
            go_on(training, mount, range(8, 14))
            same(training, mount)


# --- latest_filename, meta_graph_suffix ---------------------------------------------------------------------


def other_names_of_files():
    saving = {"latest_filename": "newest", "meta_graph_suffix": "graph"}
    options = ",".join(f"{name}={value}" for name, value in saving.items())
    for count in 100, 3:
        arguments = {"max_to_keep": count, "save_relative_paths": True}
        with both(f"{options},max_to_keep={count}", 2, saving=saving, **arguments) as (training, mount):
            go_on(training, mount, range(2, 8))
            remove(training, mount, "model-6")
            same(training, mount)
            go_on(training, mount, range(8, 14))
            same(training, mount)


# --- write_state --------------------------------------------------------------------------------------------


def no_state():
    with both("nowrite_state", 2, max_to_keep=100, save_relative_paths=True) as (training, mount):
        for number in range(2, 12):
            training.save(number, [number] * 3, write_state=False)
            mount.save([number] * 3, f"model-{number - 1}")
        same(training, mount)
        assert os.readlink(os.path.join(mount.at, "latest")) == "model-1"
        mount.save([12] * 3)  # over the latest, too
        training.save(12, [12] * 3, write_state=False)
        same(training, mount)
    with both("nowrite_state,write_state", 2, max_to_keep=100, save_relative_paths=True) as (training, mount):
        go_on(training, mount, range(2, 9))
        remove(training, mount, "model-3")
        go_on(training, mount, range(9, 13))
        same(training, mount)


# --- max_to_keep --------------------------------------------------------------------------------------------


def keeps(count, options="", **arguments):
    return both(f"max_to_keep={count}{options}", save_relative_paths=True, **{"max_to_keep": count, **arguments})


def the_oldest_go():
    for count in 1, 2, 5:
        with keeps(count) as (training, mount):
            for number in range(1, 13):
                go_on(training, mount, [number])
                same(training, mount)
            assert len(steps_of(mount.source)) == count


def a_mixed_history():
    """Commits over older steps and steps of a person's own are none of Saver's; a step that is removed is not counted."""
    with keeps(4, first=2) as (training, mount):
        go_on(training, mount, range(2, 6))
        training.save(6, [0.5] * 3, write_state=False)
        mount.save([0.5] * 3, "model-3")
        same(training, mount)
        for path in os.listdir(training.folder):
            if path.startswith("model-4."):
                shutil.copy(os.path.join(training.folder, path), os.path.join(training.folder, path.replace("model-4", "mine")))
        shutil.copytree(os.path.join(mount.at, "model-4"), os.path.join(mount.at, "mine"))
        mount.sync("mine")
        go_on(training, mount, range(7, 9))
        same(training, mount)
        remove(training, mount, "model-7")
        same(training, mount)
        for number in range(9, 20):
            go_on(training, mount, [number])
            same(training, mount)
        left = [f"model-{number}" for number in (16, 17, 18, 19, 6)]
        assert steps_of(mount.source) == sorted(["mine", *left]), steps_of(mount.source)


def a_longer_list():
    """Saver removes one for each that it saves; what is listed and not there counts too."""
    with keeps(2, first=6, before={"max_to_keep": 10, "save_relative_paths": True}) as (training, mount):
        for number in range(6, 12):
            go_on(training, mount, [number])
            same(training, mount, graphs=False)
        assert len(steps_of(mount.source)) == 6
    with keeps(3, first=3) as (training, mount):
        for folder in training.folder, mount.source:
            V1.train.remove_checkpoint(os.path.join(folder, "model-1"))
        go_on(training, mount, range(3, 5))
        assert steps_of(mount.source) == ["model-2", "model-3", "model-4"], steps_of(mount.source)
        same(training, mount)


def all_is_kept():
    for options in "rw", "max_to_keep=0":
        with both(options, max_to_keep=100, save_relative_paths=True) as (training, mount):
            go_on(training, mount, range(1, 13))
            same(training, mount)
    with both("max_to_keep=1,nowrite_state", max_to_keep=1, save_relative_paths=True) as (training, mount):
        go_on(training, mount, range(1, 12), write_state=False)
        same(training, mount)


def one_in_use_stays():
    """It goes with the first commit after that."""
    with keeps(2) as (training, mount):
        with open(os.path.join(mount.at, "model-0/w.npy"), "rb") as file:
            go_on(training, mount, range(1, 5))
            assert steps_of(mount.source) == ["model-0", "model-4"], steps_of(mount.source)
            assert np.array_equal(np.load(file), [1, 1])
        mount.edit([9] * 3, "model-4")
        mount.edit([8] * 3, "model-0")
        mount.sync("model-4")
        assert steps_of(mount.source) == ["model-0", "model-5"], steps_of(mount.source)
        assert mount.load("model-0")[0] == 8
        mount.sync("model-0")  # becomes a step of its own, over an older one
        assert steps_of(mount.source) == ["model-0", "model-5", "model-6"], steps_of(mount.source)
        mount.save([7] * 3)
        assert steps_of(mount.source) == ["model-5", "model-6", "model-7"], steps_of(mount.source)
    with keeps(1) as (training, mount):
        for number in range(1, 4):
            with open(os.path.join(mount.at, f"model-{number - 1}", "w.npy"), "rb"):
                mount.save([number] * 3)
        assert len(steps_of(mount.source)) == 2, steps_of(mount.source)
        mount.save([4] * 3)
        assert steps_of(mount.source) == ["model-4"], steps_of(mount.source)


def what_is_hidden_stays():
    with keeps(2, ",filename=model") as (training, mount):
        other = Training(mount.source, "other", max_to_keep=2, save_relative_paths=True)
        other.save(5, [5] * 3)
        V1.train.update_checkpoint_state(mount.source, "model-0", ["other-5", "model-0"])
        for number in range(1, 4):
            mount.save([number] * 3)
        assert steps_of(mount.source) == ["model-3", "other-5"], steps_of(mount.source)


def renamed_with_changes():
    """The step that is renamed stays, though it was the last but one."""
    with keeps(1) as (training, mount):
        mount.edit([1] * 3)
        os.rename(os.path.join(mount.at, "model-0"), os.path.join(mount.at, "best"))
        assert steps_of(mount.source) == ["best", "model-1"], steps_of(mount.source)


def by_the_timer():
    """The step under a draft that goes on stays."""
    with keeps(1, ",commit=0") as (training, mount):
        for number in range(1, 4):
            mount.edit([number] * 3, "model-0")
            while steps_of(mount.source) != ["model-0", f"model-{number}"]:
                time.sleep(0.01)
        mount.sync("model-0")


# --- keep_checkpoint_every_n_hours --------------------------------------------------------------------------


class Clock:
    """What Python takes for the time; it starts with the real one."""

    def __init__(self):
        self.real, self.now = time.time, time.time()

    def __enter__(self):
        time.time = lambda: self.now
        return self

    def __exit__(self, *error):
        time.time = self.real

    def saved(self, folder, step):
        """STEP was saved in FOLDER just now."""
        os.utime(os.path.join(folder, step + ".index"), (self.now, self.now))


def some_are_kept():
    for count, hours, minutes in (3, 1, 26.1), (1, 0.5, 7.3), (2, 2.5, 61.7), (2, 0, 1):
        with Clock() as clock, keeps(count, f",keep_checkpoint_every_n_hours={hours}", keep_checkpoint_every_n_hours=hours) as (training, mount):
            for number in range(1, 25):
                clock.now += 60 * minutes
                go_on(training, mount, [number])
                clock.saved(training.folder, f"model-{number}")
                clock.saved(mount.source, f"model-{number}")
                same(training, mount)
            assert len(steps_of(mount.source)) > count + 2


def none_is_kept_by_default():
    with Clock() as clock, keeps(2) as (training, mount):
        for number in range(1, 13):
            clock.now += 3600 * 300
            go_on(training, mount, [number])
            clock.saved(mount.source, f"model-{number}")
            same(training, mount)


class Managed:
    """A CheckpointManager and what it saves."""

    def __init__(self, folder, **arguments):
        self.folder = folder
        self.variable = tf.Variable(np.zeros(3, np.float32))
        self.manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=self.variable), folder, **arguments)

    def save(self, value):
        self.variable.assign(value)
        self.manager.save()


def by_the_times_of_a_manager():
    """Its state file has times, which count then."""
    for hours in 1, 0:
        arguments = {"max_to_keep": 2, "keep_checkpoint_every_n_hours": hours}
        a, b = (tempfile.mkdtemp(dir=FOLDER, prefix="run.") for _ in range(2))
        with Clock() as clock:
            managed = Managed(a, **arguments)
            managed.save([1] * 3)
            Managed(b, **arguments).save([1] * 3)
            with Mount(b, ",".join(f"{name}={value}" for name, value in arguments.items())) as mount:
                for number in range(2, 20):
                    clock.now += 60 * 26.1
                    managed.save([number] * 3)
                    mount.save([number] * 3)
                    assert steps_of(a) == steps_of(b), f"{steps_of(a)}, not {steps_of(b)}"
                    state = tf.train.get_checkpoint_state(b)
                    state.all_model_checkpoint_timestamps[-1] = clock.now
                    want = tf.train.get_checkpoint_state(a)
                    assert str(want).replace(a, b) == str(state), f"{want}, not {state}"
                    paths = [os.path.basename(path) for path in state.all_model_checkpoint_paths]
                    V1.train.update_checkpoint_state(b, paths[-1], paths, None, state.all_model_checkpoint_timestamps, state.last_preserved_timestamp)
                assert len(steps_of(b)) > 5 if hours else len(steps_of(b)) == 2


# --- pad_step_number ----------------------------------------------------------------------------------------


def padded_numbers():
    for was in True, False:
        arguments = {"max_to_keep": 3, "save_relative_paths": True, "pad_step_number": True}
        with both("max_to_keep=3,pad_step_number", 2, before={**arguments, "pad_step_number": was}, **arguments) as (training, mount):
            for number in range(2, 15):
                go_on(training, mount, [number])
                same(training, mount)
            mount.edit([0] * 3)
            with open(os.path.join(mount.at, "model-00000014/.ckptfs/status")) as file:
                assert "model-00000015" in file.read()
    with both("pad_step_number", 1, name="net.ckpt", save_relative_paths=True) as (training, mount):
        for path in os.listdir(mount.source):
            if path.startswith("net.ckpt-0"):
                os.rename(os.path.join(mount.source, path), os.path.join(mount.source, path.replace("-0.", ".", 1)))
        V1.train.update_checkpoint_state(mount.source, "net.ckpt")
        mount.save([1] * 3, "net.ckpt")
        os.mkdir(os.path.join(mount.at, "mine-7"))
        mount.edit([2] * 3, "mine-7")
        mount.sync("mine-7")
        assert steps_of(mount.source) == ["mine-7", "net.ckpt", "net.ckpt-00000001"], steps_of(mount.source)


TESTS = (relative_paths, paths_as_they_are, other_names_of_files, no_state, the_oldest_go, a_mixed_history, a_longer_list, all_is_kept,
         one_in_use_stays, what_is_hidden_stays, renamed_with_changes, by_the_timer, some_are_kept, none_is_kept_by_default,
         by_the_times_of_a_manager, padded_numbers)  # fmt: skip


tf.get_logger().setLevel("CRITICAL")
runner.run(TESTS, sys.argv[3:])
