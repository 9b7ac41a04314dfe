#!/usr/bin/env python3
"""Checks that files are what numpy.save writes: numpy_save.py MOUNTED_STEP

Every .npy file below it of a type that numpy has is loaded, saved again in
memory, and compared byte for byte.  Prints what differs, and then exits with 1.
"""

import io
import os
import sys

import numpy as np

from digests import load, npy_files


def whole_file(file):
    with open(f"/proc/self/fd/{file}", "rb") as stream:
        return stream.read()


def saved_again(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: numpy_save.py MOUNTED_STEP")
    folder = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    compared, different = 0, 0
    for name, file in npy_files(folder):
        array = load(file)
        if array.dtype.names is None:
            compared += 1
            if whole_file(file) != saved_again(array):
                different += 1
                print(f"{name!r}: numpy.save writes other bytes")
    os.close(folder)
    if not compared:
        sys.exit("no file to compare")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
