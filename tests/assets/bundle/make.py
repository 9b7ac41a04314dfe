#!/usr/bin/env python3
"""Prints the entries of the fixtures' V2 indexes, parsed by TensorFlow's own messages: make.py >entries.txt

  index PATH SHARDS ENDIANNESS ENTRIES EVERY    of which the first of each EVERY follow
  entry NUMBER KEY DTYPE SHAPE SHARD OFFSET SIZE CRC32C SLICES

NUMBER counts the index's entries from 0. KEY is in hex, CRC32C masked, SHAPE d,d,... or -. SLICES is - or
start,length for each dimension, joined by ':', a slice after the other with '/' between; a whole dimension is 0,-1.
"""

import os
import sys

from tensorflow.core.protobuf import tensor_bundle_pb2

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures")
sys.path.insert(0, FIXTURES)
import table_edit  # noqa: E402

# Compressed ones are those of `partitioned` again; table_edit takes none apart.
LEFT_OUT = ("snappy", "corrupt")


def slice_text(one):
    return ":".join(
        "%d,%d" % (x.start, x.length if x.HasField("length") else -1) for x in one.extent
    ) or "."


def show(number, key, value):
    entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
    print(
        "entry", number, key.hex(), entry.dtype,
        ",".join(str(dim.size) for dim in entry.shape.dim) or "-",
        entry.shard_id, entry.offset, entry.size, "%08x" % entry.crc32c,
        "/".join(map(slice_text, entry.slices)) or "-",
    )


def main():
    for folder, folders, files in os.walk(FIXTURES):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(files):
            if not name.endswith(".index"):
                continue
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                (_, first), *items = table_edit.read_table(file.read())
            header = tensor_bundle_pb2.BundleHeaderProto.FromString(first)
            every = 100 if len(items) > 1000 else 1
            print("index", os.path.relpath(path, FIXTURES), header.num_shards, header.endianness, len(items), every)
            for number in range(0, len(items), every):
                show(number, *items[number])


main()
