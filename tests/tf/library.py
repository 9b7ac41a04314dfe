"""Compares what tests/lib/vardump.c prints with what TensorFlow reads: library.py DUMP EXPECTED_JSON"""

import base64
import hashlib
import json
import os
import sys

import digests
import numpy as np


def strings(data, item, lengths):
    for i in range(0, len(data), item):
        element = data[i : i + item]
        if lengths:
            yield element[8 : 8 + int.from_bytes(element[:8], "little")]
        else:
            yield element.rstrip(b"\0")


def little(data, dtype):
    """The bytes of a big-endian array in the other order; a complex number is two words."""
    base = np.dtype(digests.STANDARD.get(dtype) or digests.numpy_dtype(dtype)[0])
    return np.frombuffer(data, base.newbyteorder(">")).astype(base.newbyteorder("<")).tobytes()


def read_dump(path):
    """{step: {key: entry}}"""
    steps = {}
    with open(path, "rb") as dump:
        while line := dump.readline():
            step, key, dtype, shape, order, item, lengths, size = line.decode().rstrip("\n").split("\t")
            data = dump.read(int(size))
            entry = {"dtype": dtype, "shape": [int(n) for n in shape.split(",") if n]}
            if dtype == "DT_STRING":
                count = int(np.prod(entry["shape"], dtype=int))
                found = list(strings(data, int(item), int(lengths)))
                assert len(found) == count
                entry["values"] = [base64.b64encode(s).decode() for s in found]
            elif dtype not in ("DT_VARIANT", "DT_RESOURCE"):
                data = little(data, dtype) if order == "big" else data
                entry["nbytes"] = len(data)
                entry["sha256"] = hashlib.sha256(data).hexdigest()
            steps.setdefault(step, {})[os.fsdecode(bytes.fromhex(key))] = entry
    return steps


def main():
    with open(sys.argv[2]) as file:
        expected = json.load(file)["steps"]
    found = read_dump(sys.argv[1])
    bad = found.keys() ^ expected.keys()
    for step in found.keys() & expected.keys():
        problems = []
        digests.compare_keys(found[step], expected[step], problems)
        print(*(f"{step}: {p}" for p in problems[: digests.MESSAGES]), sep="\n", end="")
        bad |= {step} if problems else set()
    if bad:
        sys.exit(f"steps that differ: {sorted(bad)}")


main()
