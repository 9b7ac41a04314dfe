#!/usr/bin/env python3
"""TensorFlow saves through a mount with `raw`, beside the directory itself: tests/bench/raw.py [MIB]

One process saves a step of MIB (1024) by SaveV2, and restores it by RestoreV2, in the directory and through the mount of it in turn,
ROUNDS (5) times. Each save is under a new name, after sync(1), and what it left is removed. Prints medians, and their ratios.
CKPTFS_PYTHON is a Python with TensorFlow; CKPTFS_BUILD is the folder with the programs (default: build).
"""
import os
import subprocess
import sys
import tempfile

os.environ.setdefault('ROUNDS', '5')
from bench import ROUNDS, Mount, ratio, show  # noqa: E402

MIB = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
VARIABLES = 8

CODE = '''
import glob, os, sys, time
import tensorflow as tf

count, mib = map(int, sys.argv[1:])
names, whole = [f"layer{i}/kernel" for i in range(count)], [""] * count
tensors = [tf.random.normal([mib * 64 // count, 4096]) for _ in names]

def timed(function, *arguments, **named):
    start = time.perf_counter()
    answer = function(*arguments, **named)
    return (time.perf_counter() - start) * 1e3, answer

for line in sys.stdin:
    prefix = line.rstrip("\\n")
    os.sync()
    saved, _ = timed(tf.raw_ops.SaveV2, prefix=prefix, tensor_names=names, shape_and_slices=whole, tensors=tensors)
    restored, values = timed(tf.raw_ops.RestoreV2, prefix=prefix, tensor_names=names, shape_and_slices=whole,
                             dtypes=[tf.float32] * count)
    assert all(bool(tf.reduce_all(a == b)) for a, b in zip(tensors, values))
    del values
    for path in glob.glob(prefix + ".*"):
        os.unlink(path)
    print(saved, restored, flush=True)
'''


def main():
    places = {}
    with tempfile.TemporaryDirectory(dir='/var/tmp') as directory, Mount(directory, '-o', 'raw') as mount:
        process = subprocess.Popen([os.environ['CKPTFS_PYTHON'], '-c', CODE, str(VARIABLES), str(MIB)], text=True,
                                   env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'},
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for number in range(ROUNDS + 1):  # the first is not counted
            turns = [('the directory', directory), ('the mount', mount.path)]
            for name, folder in turns if number % 2 else reversed(turns):
                print(f'{folder}/m-{number}', file=process.stdin, flush=True)
                answer = [float(x) for x in process.stdout.readline().split()]
                if number:
                    places.setdefault(name, []).append(answer)
        process.communicate()
    for what, column, target in ('SaveV2', 0, 'target >= 0.9'), ('RestoreV2', 1, ''):
        theirs, ours = (show(f'{MIB} MiB: {what} in {name}', [row[column] for row in places[name]]) for name, _ in turns)
        ratio(f'{MIB} MiB: speed of {what} through the mount', theirs, ours, target)


if __name__ == '__main__':
    main()
