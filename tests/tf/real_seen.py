#!/usr/bin/env python3
"""var_list and collection over checkpoints of other projects: real_seen.py BUILDDIR FIXTURES FOLDER REAL

What a mount shows is compared with all that there is, by ls, cp -r and diff -r; which variables a collection has TensorFlow
says.  Then a variable of a step of each folder is edited in a copy, and TensorFlow has to restore all others as they were.
"""

import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import runner
from write_mount import FOLDER, GRAPH, Mounted, entry_of, plain, tf, tf_expected, turned
from tensorflow.core.framework import variable_pb2
from tensorflow.python.framework import meta_graph

REAL = sys.argv[4]


def ends_in(*names):
    return lambda path: path.rsplit("/", 1)[-1] in names


def in_scope(*names):
    return lambda path: any(name in path.split("/")[:-1] for name in names)


# Option -> does it show the variable of that path?
VAR_LISTS = {
    "var_list=**/w:**/b": ends_in("w", "b"),
    "var_list=**/Adam*:**/_[hc][!a]*": ends_in("Adam", "Adam_1", "_hidden", "_counter"),
    "var_list=**/linear/**:linear/**": in_scope("linear"),
    "var_list=?": lambda path: len(path) == 1,
    "var_list=**": lambda path: True,
    "var_list=none": lambda path: False,
}
COLLECTIONS = ("variables", "trainable_variables", "global_step", "losses")


def steps_in(mounted):
    """The steps' folders below."""
    return sorted(os.path.relpath(path, mounted) for path, _, names in os.walk(mounted) if "variables.tsv" in names)


def files_in(step):
    return sorted(os.path.relpath(os.path.join(path, name), step) for path, _, names in os.walk(step) for name in names)


def members(step, collection):
    """The keys in COLLECTION, by the meta graph of the step's files; None: there is none."""
    folder, name = os.path.split(os.path.join(REAL, step))
    meta = os.path.join(folder, name + ".meta")
    if not os.path.exists(meta):
        return None
    found = set()
    values = meta_graph.read_meta_graph_file(meta).collection_def[collection].bytes_list.value
    for value in values:
        variable = variable_pb2.VariableDef.FromString(value)
        found.add(variable.save_slice_info_def.full_name or variable.variable_name.removesuffix(":0"))
    return found


def same_files(step, whole, limited, shows):
    """LIMITED, a step's folder, is WHOLE less what SHOWS, a function of a path without .npy, does not show.  Is that anything?"""
    want = [path for path in files_in(whole) if not path.endswith(".npy") or path == GRAPH + ".npy" or shows(path[: -len(".npy")])]
    have = files_in(limited)
    assert have == want, f"{step}: {set(have) ^ set(want)}"
    for path in want:
        with open(os.path.join(whole, path), "rb") as a, open(os.path.join(limited, path), "rb") as b:
            assert path == "variables.tsv" or a.read() == b.read(), f"{step}: {path}"
    with open(os.path.join(limited, "variables.tsv"), "rb") as file:
        lines = file.read().count(b"\n") - 1
    assert lines == sum(path.endswith(".npy") for path in have), f"{step}: {lines} lines"
    return len(want) < len(files_in(whole))


def copied(limited):
    """cp -r takes what ls shows, and no more."""
    copy = os.path.join(FOLDER, "copy")
    subprocess.run(["cp", "-r", limited, copy], check=True)
    subprocess.run(["diff", "-r", "--no-dereference", limited, copy], check=True)
    shutil.rmtree(copy)


def indexes(folder):
    return {name.removesuffix(".index") for name in os.listdir(folder) if name.endswith(".index")}


def described(prefix):
    return {key: plain(entry) for key, entry in tf_expected.describe_step(prefix)["keys"].items()}


def edited(m, step, prefix, path):
    """The variable at PATH of STEP, whose files begin with PREFIX, gets other elements.  Nothing else changes."""
    folder, file = os.path.dirname(os.path.join(m.source, step)), os.path.join(m.at, step, path)
    array = np.load(file)
    array = turned(array) if turned(array).tobytes() != array.tobytes() else np.zeros_like(array)
    key, before = os.getxattr(file, "user.ckptfs.key").decode(), indexes(folder)
    want = described(os.path.join(folder, prefix))
    want[key] = entry_of(want[key], array)
    np.save(file, array)
    m.sync(step)
    (new,) = indexes(folder) - before
    have = described(os.path.join(folder, new))
    assert sorted(have) == sorted(want), f"{step}: {set(have) ^ set(want)}"
    for key in want:
        assert have[key] == want[key], f"{step}: {key}"
    assert files_in(os.path.join(m.at, os.path.dirname(step), new)) == files_in(os.path.join(m.at, step))


def can_be_read(folder, prefix):
    try:
        return bool(described(os.path.join(folder, prefix)))
    except tf.errors.OpError:
        return False


def edit_each(m, steps):
    """One variable that is shown of the first of STEPS in each folder.  How many were edited."""
    seen, count = set(), 0
    for step in steps:
        folder = os.path.dirname(os.path.join(m.source, step))
        if folder in seen:
            continue
        prefixes = {tf_expected.step_name(prefix): prefix for prefix in tf_expected.find_prefixes(folder)}
        prefix = prefixes.get(os.path.basename(step))
        if not prefix or not can_be_read(folder, prefix):
            continue
        for path in files_in(os.path.join(m.at, step)):
            if path.endswith(".npy") and path != GRAPH + ".npy" and np.load(os.path.join(m.at, step, path)).any():
                edited(m, step, prefix, path)
                seen.add(folder)
                count += 1
                break
    return count


def seen_through(option, shows_in):
    """SHOWS_IN: step -> a function as of same_files.  How many variables were edited, in steps of which something is hidden if there are
    any; and are there?"""
    with Mounted(options="ro", folder=a_copy()) as all_of_it, Mounted(options=f"commit=sync,{option}", folder=a_copy()) as m:
        steps = steps_in(all_of_it.at)
        assert steps == steps_in(m.at)
        limited = [step for step in steps if same_files(step, os.path.join(all_of_it.at, step), os.path.join(m.at, step), shows_in(step))]
        copied(m.at)
        return edit_each(m, limited or steps), bool(limited)


def without_data(folder, names):
    """The indexes in FOLDER that are there alone."""
    prefixes = {name.split(".data-")[0] for name in names if ".data-" in name}
    return [name for name in names if name.endswith(".index") and name.removesuffix(".index") not in prefixes]


def a_copy():
    folder = tempfile.mkdtemp(dir=FOLDER, prefix="real.")
    shutil.copytree(REAL, folder, dirs_exist_ok=True, copy_function=shutil.copyfile, ignore=without_data)
    return folder


def var_list():
    for option, shows in VAR_LISTS.items():
        edits, hides = seen_through(option, lambda step: shows)
        print(f"{option}: {edits} edits")
        assert hides == (option != "var_list=**") and (edits > 0) == (option != "var_list=none"), option


def collections():
    """A step without a meta graph is shown as a whole."""
    for collection in COLLECTIONS:
        keys = {}

        def shows_in(step):
            found = keys.setdefault(step, members(step, collection))
            return lambda path: found is None or path in found

        edits, hides = seen_through(f"collection={collection}", shows_in)
        print(f"collection={collection}: {edits} edits")
        assert hides == (collection != "variables") and any(keys.values()) == (edits > 0) == (collection != "losses"), collection


runner.run((var_list, collections), sys.argv[5:])
