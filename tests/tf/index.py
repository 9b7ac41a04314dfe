#!/usr/bin/env python3
"""Commits random changes of steps with thousands of variables: index.py BUILDDIR FOLDER [TEST...]

Their indexes have several blocks, of which most commits change a few. TensorFlow reads each new step: it has to have the variables
that a dictionary has, to which the same was done.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import runner
import tensorflow as tf

BUILD, FOLDER = sys.argv[1:3]
COUNT, SHARDS, SLICED = 40000, 4, 60


def store(name, array):
    np.save(name, array)
    return name


def name_of(i):
    return f"layer_{i // 1000:02d}/block_{i // 100 % 10}/a_dense_layer_of_the_model_{i % 100:02d}"


def make_step(prefix):
    """A step with variables all over its shards, some of them empty, and some in two slices. What it has, by name."""
    values = {}
    folder = tempfile.mkdtemp(dir=FOLDER)
    files = [store(f"{folder}/{i}.npy", np.full(1 + i % 3, i, np.float32)) for i in range(20)]
    files.append(store(f"{folder}/empty.npy", np.zeros(0, np.float32)))
    arrays = [np.load(file) for file in files]
    half = store(f"{folder}/half.npy", np.arange(6, dtype=np.int64).reshape(2, 3))
    lines = [f"bundle {SHARDS} 0"]
    for i in range(COUNT):
        kind = random.randrange(len(files))
        values[name_of(i)] = arrays[kind]
        lines.append(f"tensor {name_of(i).encode().hex()} {random.randrange(SHARDS)} {files[kind]}")
    for i in range(SLICED):
        name = f"layer_{i % 24:02d}/in_slices_{i}"
        values[name] = np.concatenate([np.load(half)] * 2)
        for extents in "0,2,0,3", "2,2,0,3":
            lines.append(f"slice {name.encode().hex()} {random.randrange(SHARDS)} {extents} {half}")
        lines.append(f"whole {name.encode().hex()} 9 4,3 0,2,0,3 2,2,0,3")
    subprocess.run([f"{BUILD}/write_bundle", prefix], input="\n".join(lines).encode(), check=True)
    shutil.rmtree(folder)
    return values


class Random:
    """Random changes of a step, in its folder and in a dictionary; and which names they touched."""

    def __init__(self, at, step, values):
        self.at, self.step, self.values, self.touched = at, step, dict(values), set()

    def path(self, name=""):
        return os.path.join(self.at, self.step, name)

    def some(self):
        return random.choice(list(self.values))

    def put(self, name, array):
        self.values[name] = array
        self.touched.add(name)

    def drop(self, name):
        self.touched.add(name)
        return self.values.pop(name)

    def write(self):
        name = self.some()
        array = self.values[name] + 1 if self.values[name].size else self.values[name]
        np.save(self.path(name + ".npy"), array)
        self.put(name, array)

    def write_new(self):
        name = f"{os.path.dirname(self.some())}/new_{random.randrange(10**6)}"
        array = np.arange(random.randrange(100), dtype=np.float64)
        np.save(self.path(name + ".npy"), array)
        self.put(name, array)

    def remove(self):
        name = self.some()
        os.remove(self.path(name + ".npy"))
        self.drop(name)

    def rename(self):
        name, to = self.some(), f"{os.path.dirname(self.some())}/moved_{random.randrange(10**6)}"
        os.rename(self.path(name + ".npy"), self.path(to + ".npy"))
        self.put(to, self.drop(name))

    def exchange(self):
        a, b = self.some(), self.some()
        aside = f"aside_{random.randrange(10**6)}"
        os.rename(self.path(a + ".npy"), self.path(aside + ".npy"))
        self.put(aside, self.drop(a))
        if a != b:
            os.rename(self.path(b + ".npy"), self.path(a + ".npy"))
            self.put(a, self.drop(b))

    def rename_scope(self):
        scope = os.path.dirname(self.some())
        to = f"scope_{random.choice('abyz')}{random.randrange(10**6)}"
        os.rename(self.path(scope), self.path(to))
        for name in [n for n in self.values if n.startswith(scope + "/")]:
            self.put(to + name[len(scope) :], self.drop(name))

    def copy(self):
        name, to = self.some(), f"copy_{random.randrange(10**6)}"
        shutil.copyfile(self.path(name + ".npy"), self.path(to + ".npy"))
        self.put(to, self.values[name])

    def change(self):
        for _ in range(random.choice((1, 1, 3, 30))):
            random.choice((self.write, self.write, self.write_new, self.remove, self.rename, self.exchange, self.copy))()
        if not random.randrange(4):
            self.rename_scope()

    def remove_shard(self):
        """Nearly all, or all but the empty ones, of what lies in one of the large shards: that is left behind then."""
        shards = {}
        for name in self.values:
            shard = os.getxattr(self.path(name + ".npy"), "user.ckptfs.shard")
            shards.setdefault(shard, []).append(name)
        shard = random.choice([names for names in shards.values() if len(names) > COUNT / 10])
        filled = [name for name in shard if self.values[name].size]
        for name in filled[random.randrange(2) :]:
            os.remove(self.path(name + ".npy"))
            self.drop(name)


def check(prefix, values, names):
    """TensorFlow finds in the step PREFIX what VALUES have, of which it reads NAMES."""
    reader = tf.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
    assert sorted(shapes) == sorted(values), sorted(set(shapes) ^ set(values))[:5]
    for name, array in values.items():
        assert shapes[name] == list(array.shape), name
    for name in names:
        if name in values:
            have = reader.get_tensor(name)
            assert have.dtype == values[name].dtype and np.array_equal(have, values[name]), name


def latest_of(source):
    return max((f[:-6] for f in os.listdir(source) if f.endswith(".index")), key=lambda n: int(n.split("-")[1]))


def commit_random(seed, rounds):
    random.seed(seed)
    source = tempfile.mkdtemp(dir=FOLDER)
    steps = {"net-1": make_step(f"{source}/net-1")}
    with runner.Mount(BUILD, source, "commit=sync", FOLDER) as m:
        for i in range(rounds):
            step = random.choice((latest_of(source), latest_of(source), random.choice(list(steps))))
            edit = Random(m.at, step, steps[step])
            if i % 4 == 2:
                edit.remove_shard()
            edit.change()
            m.sync(step)
            new = latest_of(source)
            assert new not in steps, "nothing was committed"
            steps[new] = edit.values
            everything = i % 4 == 2 or i == rounds - 1
            sample = edit.values if everything else random.sample(sorted(edit.values), 300)
            check(f"{source}/{new}", edit.values, [*sample, *edit.touched, *(n for n in edit.values if "in_slices" in n)])
        for step in random.sample(sorted(steps), 3):  # those before are as they were
            check(f"{source}/{step}", steps[step], random.sample(sorted(steps[step]), 300))
    said = subprocess.run([f"{BUILD}/fsck.ckptfs", source], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    shutil.rmtree(source)


def random_changes():
    for seed in 1, 2:
        commit_random(seed, 5)


TESTS = (random_changes,)


if __name__ == "__main__":
    runner.run(TESTS, sys.argv[3:])
