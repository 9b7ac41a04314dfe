#!/usr/bin/env python3
"""Reads a mounted directory while TensorFlow saves in it.

    live.py SOURCE MOUNTED rotate|overwrite COUNT

All values of a save are its number.  With `rotate` it is also in the step's name,
and the last three are kept; with `overwrite` all saves are one step.
SOURCE may be MOUNTED, which then has `raw`.
"""

import collections
import errno
import io
import os
import random
import shutil
import subprocess
import sys
import threading
import time

import numpy as np

KEPT = 3
# Seconds; where only times tell of changes, the kernel keeps what it has for one.
SOON = 2.0 if "CKPTFS_DEAF" in os.environ else 1.0
ELEMENTS = {"large": 400_000, "scope/middle": 20_000, "small": 3}
GONE = {errno.ENOENT, errno.ESTALE}
# TensorFlow replaces the data first and then writes the index in place: a step that is overwritten is
# inconsistent for a moment, and then refused.
TORN = GONE | {errno.EIO}


def save(source, mode, count):
    """Run in a process of its own."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import tensorflow as tf

    tf1 = tf.compat.v1
    with tf1.Graph().as_default(), tf1.Session() as session:
        value = tf1.placeholder(tf.float32, [])
        variables = [
            tf1.get_variable(name, [n], initializer=tf1.zeros_initializer())
            for name, n in ELEMENTS.items()
        ]
        assign = [v.assign(tf.fill(v.shape, value)) for v in variables]
        saver = tf1.train.Saver(variables, max_to_keep=KEPT)
        for number in range(1, count + 1):
            session.run(assign, {value: number})
            if mode == "rotate":
                saver.save(session, f"{source}/m", global_step=number)
            else:
                saver.save(session, f"{source}/m")


class Reader(threading.Thread):
    """Does a thing again and again, and counts how often it went well, and not."""

    def __init__(self, live, action):
        super().__init__(name=action.__name__)
        self.live, self.action = live, action
        self.good, self.errors = 0, collections.Counter()
        self.failure = None

    def run(self):
        while not self.live.ended.is_set() and not self.failure:
            try:
                if self.action():
                    self.good += 1
            except OSError as error:
                self.errors[errno.errorcode[error.errno]] += 1
                if error.errno not in self.live.allowed:
                    self.failure = error
            except Exception as error:
                self.failure = error
            time.sleep(0.002)


class Live:
    def __init__(self, source, mounted, mode, count):
        self.source, self.mounted, self.mode, self.count = source, mounted, mode, count
        self.allowed = GONE if mode == "rotate" else TORN
        self.ended = threading.Event()

    # --- what is right ---------------------------------------------------------

    def steps(self):
        return [s for s in self.names() if s.startswith("m")]

    def names(self):
        """Without the files that a mount with `raw` has, too."""
        return [n for n in os.listdir(self.mounted) if "." not in n]

    def check_array(self, step, name, array):
        values = np.unique(array)
        check(array.shape == (ELEMENTS[name],), step, name, array.shape)
        check(len(values) == 1, step, name, "has values of several saves:", values)
        check(values[0] in range(1, self.count + 1), step, name, values)
        if self.mode == "rotate":
            check(values[0] == int(step.partition("-")[2]), step, name, values)

    def check_bytes(self, step, name, data):
        self.check_array(step, name, np.load(io.BytesIO(data)))

    # --- readers -----------------------------------------------------------------

    def load(self):
        steps = self.steps()
        step = random.choice(steps) if steps else None
        for name in ELEMENTS if step else ():
            path = f"{self.mounted}/{step}/{name}.npy"
            with open(path, "rb") as file:  # where np.load is to be told of errors, it is by what it reads from
                self.check_bytes(step, name, file.read())
        return step

    def load_latest(self):
        """Two looks: the link may lead elsewhere in between."""
        step = os.readlink(f"{self.mounted}/latest")
        with open(f"{self.mounted}/{step}/scope/middle.npy", "rb") as file:
            self.check_bytes(step, "scope/middle", file.read())
        with open(f"{self.mounted}/latest/scope/middle.npy", "rb") as file:
            values = np.unique(np.load(io.BytesIO(file.read())))
        check(len(values) == 1, "latest has values of several saves:", values)
        return True

    def find(self):
        done = run("find", self.mounted, "-ls")
        # GNU find takes two folders for one if both vanish between its opening them and its second look at them.
        self.check_messages(done, "File system loop detected")
        return done.stdout.count("\n") > 3

    def copy(self):
        """What is whole in a copy is right."""
        steps = self.steps()
        if not steps:
            return False
        step = random.choice(steps)
        folder = f"{self.source}-copy"
        self.check_messages(run("cp", "-r", f"{self.mounted}/{step}", folder))
        good = 0
        for name, n in ELEMENTS.items():
            path = f"{folder}/{name}.npy"
            if os.path.exists(path) and os.path.getsize(path) == 128 + 4 * n:
                self.check_array(step, name, np.load(path))
                good += 1
        shutil.rmtree(folder, ignore_errors=True)
        return good == len(ELEMENTS)

    def check_messages(self, done, *more):
        allowed = ["No such file or directory", "Stale file handle", *more]
        if self.mode == "overwrite":
            allowed += ["Input/output error", "as it was replaced while being copied"]
        for line in done.stderr.splitlines():
            check(any(words in line for words in allowed), *done.args, line)

    def hold(self):
        """An open file is read to its end when its step has been replaced or is gone."""
        steps = self.steps()
        if not steps:
            return False
        step = random.choice(steps)
        with open(f"{self.mounted}/{step}/large.npy", "rb", buffering=0) as file:
            index = f"{self.source}/{step}.index"
            before = identity(index)
            data = file.read(500_000)
            while before and identity(index) == before and not self.ended.is_set():
                time.sleep(0.005)
            while piece := file.read(300_000):
                data += piece
            self.check_bytes(step, "large", data)
        return not self.ended.is_set()

    # --- a run --------------------------------------------------------------------

    def run(self):
        readers = [Reader(self, a) for a in (self.load, self.load_latest, self.find, self.copy)]
        readers += [Reader(self, self.hold) for _ in range(2)]
        for reader in readers:
            reader.start()
        arguments = [sys.executable, __file__, self.source, "save", self.mode, str(self.count)]
        saver = subprocess.run(arguments, capture_output=True, text=True)
        end = time.monotonic()
        shown = self.wait_until_shown(end)
        self.ended.set()
        for reader in readers:
            reader.join()
            print(f"{reader.name}: {reader.good} times, {dict(reader.errors)}")
        check(saver.returncode == 0, saver.stderr)
        for reader in readers:
            if reader.failure:
                raise AssertionError(reader.name) from reader.failure
            check(reader.good >= 5, reader.name, "did next to nothing")
        print(f"{self.mode}: all is shown {shown:.2f} s after the last save")
        self.check_end()

    def wait_until_shown(self, start):
        want = self.expected()
        while self.shown() != want:
            check(time.monotonic() < start + SOON, "shown:", self.shown(), "there:", want)
            time.sleep(0.01)
        return time.monotonic() - start

    def expected(self):
        """Names, and the number that the latest step has."""
        steps = sorted(f[:-6] for f in os.listdir(self.source) if f.endswith(".index"))
        last = f"m-{self.count}" if self.mode == "rotate" else "m"
        check(last in steps and len(steps) == (KEPT if self.mode == "rotate" else 1), steps)
        return sorted([*steps, "checkpoint", "latest"]), last, [self.count]

    def shown(self):
        names, latest, values = sorted(self.names()), None, None
        try:
            latest = os.readlink(f"{self.mounted}/latest")
            values = np.unique(np.load(f"{self.mounted}/{latest}/large.npy")).tolist()
        except OSError as error:
            check(error.errno in self.allowed, error)
        return names, latest, values

    def check_end(self):
        for step in self.steps():
            for name in ELEMENTS:
                self.check_array(step, name, np.load(f"{self.mounted}/{step}/{name}.npy"))
                number = np.load(f"{self.mounted}/{step}/{name}.npy")[0]
                check(self.mode == "rotate" or number == self.count, name, number)
        with open(f"{self.mounted}/checkpoint", "rb") as shown:
            with open(f"{self.source}/checkpoint", "rb") as there:
                check(shown.read() == there.read(), "checkpoint is not what it is on disk")


def check(condition, *words):
    if not condition:
        raise AssertionError(" ".join(map(str, words)))


def run(*command):
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}, check=False
    )


def identity(path):
    """None: there is no such file."""
    try:
        st = os.stat(path)
    except FileNotFoundError:
        return None
    return st.st_ino, st.st_size, st.st_mtime_ns


def main():
    source, mounted, *rest = sys.argv[1:]
    if mounted == "save":
        save(source, rest[0], int(rest[1]))
    else:
        Live(source, mounted, rest[0], int(rest[1])).run()


if __name__ == "__main__":
    main()
