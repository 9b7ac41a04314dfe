#!/usr/bin/env python3
"""Prints the headers that NumPy writes: make.py >headers.txt

  header DTYPE ORDER SHAPE HEX   the whole header; DTYPE is DT_*'s number, SHAPE d,d,... or -
  wide N PREFIX LENGTH CRC32C    of a field whose name is N times "a": the first 12 bytes and the length of
                                 the header, and the checksum of all of it, in hex
"""

import io
import warnings

import numpy as np

PLAIN = {
    1: "f4", 2: "f8", 3: "i4", 4: "u1", 5: "i2", 6: "i1", 8: "c8", 9: "i8", 10: "b1",
    17: "u2", 18: "c16", 19: "f2", 22: "u4", 23: "u8",
}
NAMED = {
    11: ("qint8", "i1"), 12: ("quint8", "u1"), 13: ("qint32", "i4"), 14: ("bfloat16", "u2"),
    15: ("qint16", "i2"), 16: ("quint16", "u2"), 24: ("float8_e5m2", "u1"),
    25: ("float8_e4m3fn", "u1"), 26: ("float8_e4m3fnuz", "u1"), 27: ("float8_e4m3b11fnuz", "u1"),
    28: ("float8_e5m2fnuz", "u1"), 29: ("int4", "i1"), 30: ("uint4", "u1"), 31: ("int2", "i1"),
    32: ("uint2", "u1"), 33: ("float4_e2m1fn", "u1"),
}


def header(dtype, shape):
    out = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib._format_impl._write_array_header(
        out, {"descr": descr, "fortran_order": False, "shape": tuple(shape)}, None
    )
    return out.getvalue()


def dtype_of(number, order):
    if number in PLAIN:
        return order + PLAIN[number]
    field, kind = NAMED[number]
    return [(field, order + kind)]


def show(number, order, shape):
    text = ",".join(map(str, shape)) or "-"
    print("header", number, order, text, header(dtype_of(number, order), shape).hex())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def main():
    warnings.simplefilter("ignore")  # of version 2
    huge = 2**63 - 1
    for number in sorted(PLAIN | NAMED):
        for order in "<>":
            show(number, order, [2, 3])
    shapes = [[], [0], [1], [7], [huge], [0, huge], [huge, 0, 1], [10**18, 9], [0] * 254, [1] * 254]
    shapes += [[1] * rank for rank in range(2, 254, 9)] + [[huge] + [0] * 253, [0] + [huge] * 253]
    # Dictionaries of every length modulo 64, so that every padding from 1 to 64 occurs.
    shapes += [[3] + [1] * ones + [10**zeros] for ones in range(22) for zeros in range(3)]
    for shape in shapes:
        show(1, "<", shape)
    for n in (65000, 65436, 65437, 65438, 65439, 65440, 70000):
        data = header([("a" * n, "<u2")], [5])
        print("wide", n, data[:12].hex(), len(data), "%08x" % crc32c(data))


main()
