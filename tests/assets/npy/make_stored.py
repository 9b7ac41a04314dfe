#!/usr/bin/env python3
"""Prints .npy files and their elements as checkpoints store them: make_stored.py >stored.txt

  stored NAME FILE LITTLE BIG    all but the name in hex; the elements in C order, in either byte order

Strings are laid out as TensorFlow does, but for their checksums, which come from the code below.
"""

import io
import struct

import numpy as np

SHAPES = [(), (1,), (5,), (2, 3), (3, 2), (4, 1, 3), (2, 3, 2, 2), (1, 2, 1, 3, 2), (0,), (3, 0, 2)]
KINDS = "b1 i1 u2 i4 f8 c8 c16".split()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def strings(array, order):
    items = [bytes(item) for item in array.reshape(-1)]
    lengths = b"".join(struct.pack(order + "I", len(item)) for item in items)
    crc = struct.pack(order + "I", masked(crc32c(lengths)))
    return b"".join(varint(len(item)) for item in items) + crc + b"".join(items)


def show(name, array, little, big):
    out = io.BytesIO()
    np.save(out, array)
    print("stored", name, out.getvalue().hex(), little.hex() or "-", big.hex() or "-")


def numbers(kind, shape, rng):
    for order in "<>":
        dtype = np.dtype(order + kind)
        count = int(np.prod(shape)) * dtype.itemsize
        array = np.frombuffer(rng.bytes(count), dtype).reshape(shape)
        for layout in "CF":
            little, big = (array.astype(dtype.newbyteorder(to)).tobytes() for to in "<>")
            show("%s%s%s" % (order, kind, layout), np.array(array, order=layout), little, big)


def texts(shape, rng):
    count = int(np.prod(shape))
    words = [rng.bytes(int(rng.integers(0, 6))).replace(b"\0", b"x") for _ in range(count)]
    plain = np.array(words, "S7").reshape(shape)
    exact = np.array([word + b"\0" * (len(word) % 3) for word in words], object).reshape(shape)
    for layout in "CF":
        show("S" + layout, np.array(plain, order=layout), strings(plain, "<"), strings(plain, ">"))
        for order in "<>":
            array = np.zeros(shape, [("length", order + "u8"), ("bytes", "S7")], order=layout)
            for index in np.ndindex(*shape):
                array[index] = (len(exact[index]), exact[index])
            show("lengths" + order + layout, array, strings(exact, "<"), strings(exact, ">"))


def main():
    rng = np.random.default_rng(1)
    for shape in SHAPES:
        for kind in KINDS:
            numbers(kind, shape, rng)
        texts(shape, rng)
    empty = np.lib.format.magic(1, 0) + b"\x60\0" + b"{'descr': '|S0', 'fortran_order': False, 'shape': (2,)}".ljust(96)
    print("stored S0", empty.hex(), strings(np.array([b"", b""], object), "<").hex(), strings(np.array([b"", b""], object), ">").hex())


main()
