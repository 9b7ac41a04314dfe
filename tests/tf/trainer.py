#!/usr/bin/env python3
"""trainer.py train DIR PREFIX EVERY: saves DIR/PREFIX-0, -1, ... every EVERY seconds, keeping all, until DIR/../stop is
there; step n holds w = [n] * 8 and name = b"theirs".
trainer.py check DIR PREFIX...: every step of DIR restores and is whole: w is constant; prints them, one a line, as
NAME w owner."""
import os
import sys
import time

import numpy as np
import tensorflow as tf

tf1 = tf.compat.v1


def train(directory, prefix, every):
    with tf.Graph().as_default(), tf1.Session() as session:
        step = tf1.get_variable("global_step", initializer=np.int64(0))
        w = tf1.get_variable("w", initializer=np.zeros(8, np.float32))
        big = tf1.get_variable("big", initializer=np.zeros(100000, np.float32))
        saver = tf1.train.Saver(max_to_keep=None)
        session.run(tf1.global_variables_initializer())
        n = 0
        while not os.path.exists(os.path.join(directory, "..", "stop")):
            w.load(np.full(8, n, np.float32), session)
            big.load(np.full(100000, n, np.float32), session)
            step.load(n, session)
            saver.save(session, os.path.join(directory, prefix), global_step=n)
            with open(os.path.join(directory, "..", "saved"), "w") as f:
                f.write(f"{n}\n")
            n += 1
            time.sleep(every)
    print(n)


def check(directory):
    for entry in sorted(os.listdir(directory)):
        if not entry.endswith(".index"):
            continue
        name = entry[: -len(".index")]
        try:
            reader = tf.train.load_checkpoint(os.path.join(directory, name))
            tensors = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}
        except Exception as e:
            print(f"{name} BROKEN {type(e).__name__}: {str(e)[:150]!r}")
            continue
        owner = "ours" if "ours" in tensors else "theirs"
        print(name, int(tensors["global_step"]), int(tensors["w"][0]),
              int(tensors["ours"][0]) if "ours" in tensors else -1, owner,
              "whole" if len(set(tensors["w"])) == 1 and len(set(tensors["big"])) == 1
              and tensors["big"][0] == tensors["w"][0] else "MIXED")


if sys.argv[1] == "train":
    train(sys.argv[2], sys.argv[3], float(sys.argv[4]))
else:
    check(sys.argv[2])
