#!/usr/bin/env python3
"""Prints mean, deviation, minimum and maximum of each variable: stats.py MOUNT/model-200

Exits 77 without NumPy. With ml_dtypes, bfloat16 and its like are numbers too.
"""
import pathlib
import sys

try:
    import numpy
except ImportError:
    print("SKIP: no numpy", file=sys.stderr)
    sys.exit(77)
try:
    import ml_dtypes
except ImportError:
    ml_dtypes = None


def numbers(array):
    """ARRAY as float64, or None if it does not hold real numbers."""
    if array.dtype.names:  # [('bfloat16', '<u2')]: the field's name says what the bytes are
        name = array.dtype.names[0]
        if hasattr(ml_dtypes, name):
            array = array.view(getattr(ml_dtypes, name))
        elif name.startswith("q"):  # a plain integer, whose scale is not stored
            array = array[name]
        else:
            return None
    elif array.dtype.kind not in "fiub":
        return None
    return array.astype(numpy.float64)


def main(step):
    print(f"{'variable':24} {'shape':>12} {'mean':>10} {'std':>10} {'min':>10} {'max':>10}")
    for path in sorted(step.rglob("*.npy")):
        array = numpy.load(path)
        values = numbers(array)
        name = str(path.relative_to(step).with_suffix(""))
        shape = "x".join(map(str, array.shape))
        if values is None or values.size == 0:
            print(f"{name:24} {shape:>12} {array.dtype}")
            continue
        row = (values.mean(), values.std(), values.min(), values.max())
        print(f"{name:24} {shape:>12} " + " ".join(f"{x:10.4g}" for x in row))


if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_dir():
    sys.exit("usage: stats.py STEP")
main(pathlib.Path(sys.argv[1]))
