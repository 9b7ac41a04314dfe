#!/usr/bin/env python3
"""Compares what `latest` is expected to be with tf.train.latest_checkpoint.

    latest.py SOURCE EXPECTED

EXPECTED has lines FOLDER TAB STEP; "-" and "!" stand for none.  TensorFlow knows
nothing of folders that were moved: only where it answers there is something to
compare, and only a step in the folder itself.
"""

import os
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import tensorflow as tf  # noqa: E402


def step_of(folder):
    """The name of the step, None, or that of an exception."""
    try:
        path = tf.train.latest_checkpoint(folder)
        # It takes any file for a checkpoint, an index for one of the old format without variables.
        if path and not tf.train.load_checkpoint(path).get_variable_to_shape_map():
            return None
    except Exception as error:  # it refuses some texts in odd ways
        return type(error).__name__ + "()"
    if path is None:
        return None
    directory, name = os.path.split(os.path.normpath(path))
    if directory != folder:
        return path
    return re.sub(r"-\?{5}-of-\d{5}$", "", name)


def main():
    source, expected = sys.argv[1:]
    agree = wrong = 0
    with open(expected, encoding="utf-8") as file:
        for line in sorted(file):
            folder, step = line.rstrip("\n").split("\t")
            found = step_of(os.path.join(source, folder))
            if found is None or found.endswith("()") or "/" in found:
                print(f"{folder}: {step}; TensorFlow: {found}")
            elif found == step or os.path.isdir(f"{source}/{folder}/latest"):
                agree += 1
            elif os.path.exists(f"{source}/{folder}/latest.index"):
                agree += 1
            else:
                print(f"{folder}: {step}, but TensorFlow says {found}")
                wrong += 1
    print(f"{agree} agree")
    sys.exit(0 if agree >= 8 and not wrong else 1)


if __name__ == "__main__":
    main()
