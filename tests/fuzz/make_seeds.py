#!/usr/bin/env python3
"""Makes the first inputs of the fuzzers from the fixtures: make_seeds.py CORPUS_DIR

The formats are in the heads of fuzz_index.c, fuzz_step.c, fuzz_name.c and fuzz_npy.c.
"""

import glob
import os
import sys

ASSETS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "assets")
MAX = 4096


def put(*path, data):
    os.makedirs(os.path.join(sys.argv[1], *path[:-1]), exist_ok=True)
    with open(os.path.join(sys.argv[1], *path), "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    for path in sorted(glob.glob(ASSETS + "/fixtures/**/*.index", recursive=True)):
        index = read(path)
        if len(index) > MAX:
            continue
        name = "seed-" + path[len(ASSETS + "/fixtures/") : -len(".index")].replace("/", "-")
        put("index", name, data=b"\1" + index)
        shards = [read(p) for p in glob.glob(glob.escape(path[: -len(".index")]) + ".data-*") if os.path.isfile(p)]
        shard = max(shards, key=len, default=b"")[:MAX]
        put("step", name, data=b"\5" + len(shard).to_bytes(2, "little") + index + shard)
    for path in sorted(glob.glob(ASSETS + "/fixtures/v1*/model-*") + glob.glob(ASSETS + "/fixtures/v1*/types.ckpt")):
        table = read(path)
        if len(table) <= 2 * MAX and not path.endswith(".meta"):
            put("step", "seed-v1-" + os.path.basename(path), data=b"\x09\0\0" + table)
    for number, line in enumerate(open(ASSETS + "/names/keys.hex", encoding="ascii")):
        key = bytes.fromhex(line.split()[1])
        if len(key) < MAX:
            put("name", "seed-%d" % number, data=bytes([number % 4]) + key)
    for number, line in enumerate(open(ASSETS + "/npy/parsed.txt", encoding="ascii")):
        word, *_, data = line.split()
        if word in ("read", "foreign") and number % 4 == 0:
            put("npy", "seed-%d" % number, data=bytes.fromhex(data))
    for number, line in enumerate(open(ASSETS + "/npy/stored.txt", encoding="ascii")):
        if number % 8 == 0:
            put("npy", "seed-stored-%d" % number, data=bytes.fromhex(line.split()[2]))


main()
