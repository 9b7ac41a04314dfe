#!/usr/bin/env python3
"""crash.py WANT BEFORE RESULTS: in each directory of RESULTS, my_net.ckpt holds the variables of the folder BEFORE, and
my_net.ckpt-1 those of WANT, as TensorFlow reads them."""
import os
import sys

import numpy as np
import tensorflow as tf


def variables(folder):
    found = {}
    for root, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(root, name)
            found[os.path.relpath(path, folder)[: -len(".npy")]] = np.load(path)
    return found


def check(prefix, want):
    reader = tf.train.load_checkpoint(prefix)
    have = reader.get_variable_to_shape_map()
    assert set(have) == set(want), (prefix, sorted(have), sorted(want))
    for name, array in want.items():
        tensor = reader.get_tensor(name)
        assert tensor.dtype == array.dtype and tensor.shape == array.shape, (prefix, name)
        assert tensor.tobytes() == array.tobytes(), (prefix, name)


want, before = variables(sys.argv[1]), variables(sys.argv[2])
assert want and before
checked = 0
for entry in sorted(os.listdir(sys.argv[3])):
    directory = os.path.join(sys.argv[3], entry)
    check(os.path.join(directory, "my_net.ckpt"), before)
    check(os.path.join(directory, "my_net.ckpt-1"), want)
    latest = tf.train.latest_checkpoint(directory)
    assert latest == os.path.join(directory, "my_net.ckpt-1"), latest
    checked += 1
assert checked > 20, checked
print(f"{checked} directories restore")
