#!/usr/bin/env python3
"""Runs each line of README's questions and answers, and checks what came of it: answers.py BUILDDIR FIXTURES FOLDER [TEST...]"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy as np
import runner
import safetensors.numpy
import tensorflow as tf

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
TOP = f"{FIXTURES}/../../.."
NET = f"{TOP}/examples/net"


# --- where the lines are run -----------------------------------------------------------------------------------------------------


def values(prefix):
    reader = tf.train.load_checkpoint(prefix)
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def shell(at, command, status=0):
    path = f"{BUILD}:{FOLDER}/bin:{os.environ['PATH']}"
    p = subprocess.run(["bash", "-c", command], cwd=at, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert p.returncode == status, (command, p.returncode, p.stderr)
    return p.stdout


def with_value(at, name, array):
    """The latest step of net gets the variable NAME, in a new step, the latest then."""
    np.save(f"{at}/made.npy", array)
    shell(at, f"ckptfs cp made.npy net/latest/{name}.npy")


def place():
    at = tempfile.mkdtemp(dir=FOLDER)
    for name, source in (("net", NET), ("other", NET), ("old", f"{FIXTURES}/v1"), ("moved", f"{FIXTURES}/absolute"),
                         ("damaged", f"{FIXTURES}/corrupt/flipped-tensor-bit"), ("served/1", f"{FIXTURES}/savedmodel")):
        shutil.copytree(source, f"{at}/{name}", copy_function=shutil.copyfile)
        subprocess.run(["chmod", "-R", "u+w", f"{at}/{name}"], check=True)
    np.save(f"{at}/kernel.npy", np.full((3, 2), 7, np.float32))
    return at


def rows():
    """{question: its commands} of README."""
    with open(f"{TOP}/README.md", encoding="utf-8") as f:
        section = f.read().split("\n## Questions and answers\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| (.*?) \| (.*`.*) \|$", section, re.MULTILINE)
    return {question: [c for c in re.findall("`(.*?)`", answer) if c.startswith(("ckptfs", "python3"))] for question, answer in found}


def said_of(text, name, column):
    """The column of the line of NAME in a table."""
    (line,) = [line for line in text.splitlines() if line.split()[-1].removesuffix(".npy") == name]
    return line.split()[column]


# --- the answers ----------------------------------------------------------------------------------------------------------------------


def which_file(at, said):
    assert {"model-100", "model-200"} <= set(said[0].split())
    assert "embedding.npy" in said[1].split()


def what_is_in_it(at, said):
    shapes = tf.train.load_checkpoint(f"{at}/net/model-200").get_variable_to_shape_map()
    for key, shape in shapes.items():
        assert said_of(said[0], key, 1) == str(shape).replace(" ", ""), key
    assert len(said[0].splitlines()) == len(shapes)


def the_biggest(at, said):
    sizes = [array.nbytes for array in values(f"{at}/net/model-200").values()]
    assert [int(line.split()[2]) for line in said[0].splitlines()] == sorted(sizes, reverse=True)


def slots(at, said):
    old, new = values(f"{NET}/model-200"), values(f"{at}/net/model-201")
    assert set(new) == {key for key in old if not key.endswith("Momentum")} != set(old)
    restored(f"{at}/net/model-201", new)


def restored(prefix, wanted):
    """By a Saver."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = {key: tf.compat.v1.get_variable(key, array.shape, array.dtype) for key, array in wanted.items()}
        tf.compat.v1.train.Saver(variables).restore(session, prefix)
        for key, array in wanted.items():
            np.testing.assert_array_equal(session.run(variables[key]), array, err_msg=key)


def scope(at, said):
    old = values(f"{NET}/model-200")
    restored(f"{at}/net/model-201", {key.replace("output/", "head/"): array for key, array in old.items()})


def changed(at, name, array):
    restored(f"{at}/net/model-201", {**values(f"{NET}/model-200"), name: array})


def zeroed(at, said):
    changed(at, "output/bias", np.zeros(2, np.float32))


def enlarged(at, said):
    old = values(f"{NET}/model-200")["embedding"]
    changed(at, "embedding", np.concatenate([old, np.zeros((2, 4), np.float32)]))


def layer(at, said):
    new, other = values(f"{at}/net/model-201"), values(f"{NET}/model-100")
    for key, array in values(f"{NET}/model-200").items():
        is_of_it = key in ("hidden/kernel", "hidden/bias")
        np.testing.assert_array_equal(new[key], other[key] if is_of_it else array, err_msg=key)


def other_variables(at):
    shell(at, "ckptfs edit -o new other/model-100 'mv output second'; ckptfs rm -r other/model-100; ckptfs mv other/new other/model-100")


def merged(at, said):
    restored(f"{at}/net/both", {**values(f"{at}/other/model-100"), **values(f"{NET}/model-200")})


def three_steps(at):
    np.save(f"{at}/embedding.npy", np.full((8, 4), 7, np.float32))
    shell(at, "ckptfs edit -o model-300 net/model-200 \"cp $PWD/embedding.npy embedding\"")


def averaged(at, said):
    steps = [values(f"{at}/net/model-{n}") for n in (100, 200, 300)]
    means = {key: np.mean([s[key] for s in steps], axis=0, dtype=np.float64).astype(x.dtype) if x.dtype.kind == "f" else x for key, x in steps[0].items()}
    restored(f"{at}/net/mean", means)


def half(at, said):
    old, half, whole = (values(f"{at}/net/{name}") for name in ("model-200", "half", "whole"))
    for key, array in old.items():
        narrow = array.astype(ml_dtypes.bfloat16) if array.dtype == np.float32 else array
        assert half[key].dtype == narrow.dtype and half[key].tobytes() == narrow.tobytes(), key
        np.testing.assert_array_equal(whole[key], narrow.astype(array.dtype), err_msg=key)


def a_nan(at):
    with_value(at, "output/bias", np.array([np.nan, 1], np.float32))


def nans(at, said):
    assert said_of(said[0], "output/bias", 8) == "1" and said_of(said[0], "hidden/bias", 8) == "0"


def differences(at, said):
    a, b = (values(f"{NET}/model-{n}") for n in (100, 200))
    heading, *rows = (line.split() for line in said[0].splitlines())
    most_is = heading.index("max") + 1  # the first column has no heading
    changed = {row[-1]: float(row[most_is]) for row in rows}
    assert set(changed) == {key for key in a if not np.array_equal(a[key], b[key])} != set(a)
    for key, most in changed.items():
        assert float(f"{np.abs(a[key].astype(np.float64) - b[key]).max():.4g}") == most, key
    against = {row[0]: row[-1] for row in map(str.split, said[1].splitlines())}
    assert against["model-200"] == "model-100", said[1]


def back(at, said):
    assert tf.train.latest_checkpoint(f"{at}/net") == f"{at}/net/model-100"


def is_lost(at):
    assert not os.path.exists(tf.train.get_checkpoint_state(f"{at}/moved").model_checkpoint_path + ".index")


def found_again(at, said):
    latest = tf.train.latest_checkpoint(f"{at}/moved")
    assert latest == f"{at}/moved/model-20" and values(latest)


def is_damaged(at):
    try:
        values(f"{at}/damaged/my-model-2000")
    except tf.errors.OpError:
        return
    raise AssertionError("is not damaged")


def mended(at, said):
    assert "my-model-2000: w: " in said[0]
    keys = set(tf.train.load_checkpoint(f"{at}/damaged/my-model-2000").get_variable_to_shape_map())
    latest = tf.train.latest_checkpoint(f"{at}/damaged")
    assert latest == f"{at}/damaged/my-model-2001" and set(values(latest)) == keys - {"w"}


def of_v2(at, said):
    assert os.path.exists(f"{at}/old/new.index")
    shapes = tf.train.load_checkpoint(f"{at}/old/model.ckpt-10").get_variable_to_shape_map()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for key, array in values(f"{at}/old/new").items():
            old = tf.raw_ops.RestoreV2(prefix=f"{at}/old/model.ckpt-10", tensor_names=[key], shape_and_slices=[""], dtypes=[array.dtype])
            np.testing.assert_array_equal(session.run(old)[0], array, err_msg=key)
            del shapes[key]
    assert not shapes


def by_object(at, said):
    """As README says: tf.train.Checkpoint reads it, by the names that its variables have. So does a Keras model, by their paths."""
    old = values(f"{NET}/model-200")

    class Net(tf.Module):
        def __init__(self):
            super().__init__("model")
            with self.name_scope:
                for scope, name in ("encoder", "hidden"), ("head", "output"):
                    with tf.name_scope(scope):
                        setattr(self, scope, [tf.Variable(tf.zeros_like(old[f"{name}/{v}"]), name=v) for v in ("kernel", "bias")])

    net = Net()
    tf.train.Checkpoint(net).read(f"{at}/net/tf2").assert_existing_objects_matched()
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(6, name="encoder"), tf.keras.layers.Dense(2, name="head")], name="model")
    for v in model.weights:
        v.assign(tf.train.load_variable(f"{at}/net/tf2", v.path))
    for found in ([v.numpy() for v in [*net.encoder, *net.head]], model.get_weights()):
        for array, key in zip(found, ("hidden/kernel", "hidden/bias", "output/kernel", "output/bias"), strict=True):
            np.testing.assert_array_equal(array, old[key], err_msg=key)


def to_others(at, said):
    old = values(f"{NET}/model-200")
    found = safetensors.numpy.load_file(f"{at}/model.safetensors")
    assert set(found) == set(old)
    for key, array in old.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)
    restored(f"{at}/net/imported", old)


def printed(at, said):
    array = np.array([float(x) for x in said[0].strip().strip("[]").split()], np.float32)
    np.testing.assert_array_equal(array, values(f"{NET}/model-200")["output/bias"])


def served(at, said):
    """The first command changes it, the second takes that back."""
    kernel = tf.train.load_variable(f"{FIXTURES}/savedmodel/variables/variables", "kernel/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(loaded(f"{at}/served/1"), kernel)
    shell(at, rows()[SERVED][0])
    np.testing.assert_array_equal(loaded(f"{at}/served/1"), np.load(f"{at}/kernel.npy"))


def loaded(folder):
    model = tf.saved_model.load(folder)
    return model.kernel.numpy()


SERVED = "edit a served model (SavedModel); undo it"
ANSWERS = {
    "which file do I open?": which_file,
    "what is in it?": what_is_in_it,
    "which variables are the biggest?": the_biggest,
    "drop optimizer slots": slots,
    "rename a scope": scope,
    "zero a variable": zeroed,
    "enlarge a variable": enlarged,
    "copy a layer from another run": layer,
    "merge two": (other_variables, merged),
    "average the last three": (three_steps, averaged),
    "bfloat16 and back": half,
    "where are NaNs?": (a_nan, nans),
    "what changed, and by how much?": differences,
    "go back to an earlier step": back,
    "the directory was moved, and TensorFlow finds nothing": (is_lost, found_again),
    "is a file damaged? go on without that variable": (is_damaged, mended),
    "V1 → V2": of_v2,
    "TF1 names → TF2 names": by_object,
    "to PyTorch, JAX …, and back": to_others,
    "does it work without FUSE?": printed,
    SERVED: served,
}


def each_answer():
    said = rows()
    assert list(said) == list(ANSWERS), set(said) ^ set(ANSWERS)
    os.mkdir(f"{FOLDER}/bin")
    with open(f"{FOLDER}/bin/python3", "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    os.chmod(f"{FOLDER}/bin/python3", 0o755)
    for question, commands in said.items():
        answer = ANSWERS[question]
        before, after = answer if isinstance(answer, tuple) else (None, answer)
        at = place()
        if before:
            before(at)
        assert commands, question
        after(at, [shell(at, c, 1 if " diff " in c else 4 if " verify " in c else 0) for c in commands])
        shutil.rmtree(at)


runner.run([each_answer], sys.argv[4:])
