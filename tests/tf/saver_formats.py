#!/usr/bin/env python3
"""Commits with options of Saver that choose the files of a step: saver_formats.py BUILDDIR FIXTURES FOLDER [TEST...]

The files have the names that Saver gives them, and TensorFlow restores what was written and all else.
"""

import os
import shutil
import sys
import tempfile
import time
import traceback

import numpy as np
from write_mount import FOLDER, Mounted, entry_of, refused, tf, tf1, turned


def edit(m, step, names):
    """Writes other elements to the variables NAMES of STEP.  What is expected of them."""
    keys, changes = m.steps[step]["keys"], {}
    for name in names:
        array = turned(m.load(step, name))
        m.save(step, name, array)
        changes[name] = entry_of(keys[name], array)
    return changes


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


def names_of_shards():
    """A new step has the files that Saver makes of variables that are on a device each."""
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="run.")
    with tf.Graph().as_default():
        values = {name: np.arange(n, n + 3, dtype=np.float32) for n, name in enumerate("abc")}
        variables = {}
        for n, name in enumerate(values):
            with tf.device(f"/cpu:{n}"):
                variables[name] = tf1.get_variable(name, initializer=values[name])
        saver = tf1.train.Saver(sharded=True)
        with tf1.Session(config=tf1.ConfigProto(device_count={"CPU": 3})) as session, Mounted(options="commit=sync,sharded") as m:
            session.run(tf1.global_variables_initializer())
            saver.save(session, os.path.join(folder, "model"), 1, write_meta_graph=False)
            os.mkdir(os.path.join(m.at, "model-1"))
            for name, value in values.items():
                m.save("model-1", name, value + 1)
            m.sync("model-1")
            made = {name for name in os.listdir(m.source) if name.startswith("model-1.")}
            assert made == {name for name in os.listdir(folder) if name != "checkpoint"}, made
            have_their_own(m, "model-1", values)
            saver.restore(session, os.path.join(m.source, "model-1"))
            for name, value in values.items():
                assert np.array_equal(session.run(variables[name]), value + 1), name


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
    """New shards stay, and of older ones the smallest are packed."""
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
            assert shards_of(m, f"model-{number}")[1] == (100 if number == 1 else 64 - 16 + 1), shards_of(m, f"model-{number}")


def the_object_graph():
    """A variable that is renamed changes it, and it gets a shard, too."""
    with Mounted("maxshard", "commit=sync,sharded") as m:
        os.rename(os.path.join(m.at, "ckpt-1/kernel.npy"), os.path.join(m.at, "ckpt-1/weight.npy"))
        m.sync("ckpt-1")
        have_their_own(m, "ckpt-2", ["_CHECKPOINTABLE_OBJECT_GRAPH"])


TESTS = (names_of_shards, a_shard_for_each, one_open_for_writing, what_it_is_without, more_than_64, the_object_graph)


def main():
    failed = []
    for test in TESTS:
        if sys.argv[4:] and test.__name__ not in sys.argv[4:]:
            continue
        start = time.monotonic()
        try:
            test()
        except Exception:
            traceback.print_exc()
            failed.append(test.__name__)
        print(f"{test.__name__}: {'FAILED' if test.__name__ in failed else 'ok'}, {time.monotonic() - start:.1f} s", flush=True)
    sys.exit(bool(failed))


main()
