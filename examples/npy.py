#!/usr/bin/env python3
"""Prints the header and the first numbers of a .npy file, with nothing but Python: npy.py FILE

The layout: 6 bytes of magic, 2 of version, the length of the header (2 bytes, 4 from version 2 on), the
header, a Python dict padded with spaces; then the array, element by element.
"""
import ast
import struct
import sys

FORMATS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H",
           "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}

with open(sys.argv[1], "rb") as file:
    magic, major = struct.unpack("<6sBx", file.read(8))
    if magic != b"\x93NUMPY":
        sys.exit(f"{sys.argv[1]}: not a .npy file")
    (length,) = struct.unpack("<H", file.read(2)) if major == 1 else struct.unpack("<I", file.read(4))
    header = ast.literal_eval(file.read(length).decode())
    print(header)
    descr = header["descr"]
    if isinstance(descr, str) and descr[1:] in FORMATS:
        order = ">" if descr[0] == ">" else "<"
        data = file.read(10 * int(descr[2:]))
        print(*(x for (x,) in struct.iter_unpack(order + FORMATS[descr[1:]], data)))
