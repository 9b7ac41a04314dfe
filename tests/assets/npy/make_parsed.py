#!/usr/bin/env python3
"""Prints .npy files and what NumPy makes of them: make_parsed.py >parsed.txt

  VERDICT DTYPE ORDER SHAPE FORTRAN HEX

HEX is the whole file. VERDICT is `read`, `foreign` (read, of a type that TensorFlow has not), `odd` (read, but not
spelled as NumPy ever did) or `refused`, with - for the rest. DTYPE is numpy.dtype.str, or that of the only field behind
the field's name and a colon, or of two fields with a comma between; SHAPE d,d,... or -.
"""

import io
import random
import struct
import warnings

import ml_dtypes  # noqa: F401
import numpy as np

KNOWN = ("?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "F", "D", "S")
NAMED = {
    "qint8": "i1", "quint8": "u1", "qint32": "i4", "bfloat16": "u2", "qint16": "i2", "quint16": "u2",
    "float8_e5m2": "u1", "float8_e4m3fn": "u1", "float8_e4m3fnuz": "u1", "float8_e4m3b11fnuz": "u1",
    "float8_e5m2fnuz": "u1", "int4": "i1", "uint4": "u1", "int2": "i1", "uint2": "u1", "float4_e2m1fn": "u1",
}
SHAPES = [(), (0,), (1,), (3,), (2, 3), (0, 5), (2, 1, 2, 1, 1)]


def word_of(dtype):
    if dtype.names is None:
        return "read" if dtype.char in KNOWN else "foreign", dtype.str
    fields = [dtype.fields[name] for name in dtype.names]
    simple = dtype.itemsize == sum(field[0].itemsize for field in fields) and all(len(field) == 2 for field in fields)
    kinds = [field[0].str for field in fields]
    text = ",".join(name + ":" + kind for name, kind in zip(dtype.names, kinds))
    if simple and len(kinds) == 1 and NAMED.get(dtype.names[0]) == kinds[0][1:]:
        return "read", text
    if simple and dtype.names == ("length", "bytes") and kinds[0][1:] == "u8" and kinds[1][:2] == "|S":
        return "read", text
    return "foreign", "-"


def show(data, canonical=True):
    try:
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib._format_impl._read_array_header(file, version)
        word, text = word_of(dtype)
        word = word if canonical else "odd"
        print(word, text.replace(" ", ""), ",".join(map(str, shape)) or "-", int(fortran), data.hex())
    except Exception:  # it has many, from tokenize.TokenError to IndexError
        print("refused - - -", data.hex())


def saved(array):
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def header(text, version=(1, 0)):
    data = text.encode("latin1" if version < (3, 0) else "utf8")
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(data)) + data


def save_all():
    plain = [order + kind for kind in "b1 i1 u1 i2 u2 i4 u4 i8 u8 f2 f4 f8 c8 c16".split() for order in "<>"]
    plain += ["S1", "S5", "S300", "p", "l", "?"]
    for dtype in plain:
        for shape in SHAPES:
            show(saved(np.zeros(shape, dtype)))
        show(saved(np.zeros((2, 3), dtype, order="F")))
    for name, kind in NAMED.items():
        for order in "<>":
            show(saved(np.zeros(3, [(name, order + kind)])))
    for order in "<>":
        for width in (0, 1, 7):
            show(saved(np.zeros((2, 2), [("length", order + "u8"), ("bytes", "S%d" % width)], order="F")))
    foreign = ["U3", "O", "M8[ns]", "m8[s]", "V4", "f16", "c32", [("x", "<f4")], [("bfloat16", "<f4")]]
    foreign += [[("bfloat16", "<u2", (2,))], [("a", "<f4"), ("b", "<i4")], [("a", [("b", "<i4")])]]
    foreign += [[("length", "<u8"), ("bytes", "<f4")], [("bytes", "S3"), ("length", "<u8")], [("length", "<u4"), ("bytes", "S3")]]
    foreign += [[("length", "<u8"), ("bytes", "S3"), ("more", "S3")], {"names": ["int4"], "formats": ["i1"], "offsets": [4]}]
    foreign += [[(("title", "int4"), "i1")], [("\u00e9", "<f4")], [("\u4e2d", "<f4")], [("a'b\\c", "<f4")]]
    for dtype in foreign:
        show(saved(np.zeros(3, dtype)))
    for name in NAMED:
        if hasattr(ml_dtypes, name):
            show(saved(np.zeros(3, getattr(ml_dtypes, name))))


SPELLINGS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }",
    '{"shape":(3,4),"fortran_order":True,"descr":"<f4"}',
    "  \t{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 3 , 4 , ) , }  \n",
    "{'shape': (3L, 4L), 'fortran_order': False, 'descr': '<f4'}",
    "{'shape': (3L,), 'fortran_order': False, 'descr': [('int4', '|i1')]}",
    "{'shape': (), 'fortran_order': False, 'descr': [(\"bfloat16\",\">u2\",),]}",
    "{'shape': ( ), 'fortran_order': False,\n 'descr': u'<i8'}\n\n",
    "{'shape': (1, 2), 'shape': (7,), 'fortran_order': False, 'descr': '<i8'}",
    "{'descr': [('length', '<u8'), ('bytes', '|S0')], 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '|S0', 'fortran_order': False, 'shape': (2,)}",
]
WRONG = [
    "", " ", "{}", "{'descr': '<f4', 'fortran_order': False}", "[1]", "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}", "{'descr': '<f4', 'fortran_order': False, 'shape': (3,,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': false, 'shape': (3,)}", "{'descr': <f4, 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}", "{'descr': '<f4' 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3.0,)}", "{'descr': '<f4', 'fortran_order': False, 'shape': (03,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x", "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)",
    "{'descr': '<f4', 'fortran_order': False, 'shape': [3]}", "{'descr': '<q4', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '', 'fortran_order': False, 'shape': (3,)}", "{'descr': '<f4\n', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4, 'fortran_order': False, 'shape': (3,)}", "{'descr': b'<f4', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': [('int4', '|i1'], 'fortran_order': False, 'shape': (3,)}", "{'descr': [('int4' '|i1')], 'fortran_order': False, 'shape': (3,)}",
    "{'descr': [('int4', '|i1')), 'fortran_order': False, 'shape': (3,)}", "{,'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4',, 'fortran_order': False, 'shape': (3,)}", "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}",
]


def mutants(text, seed):
    """TEXT with one character removed, doubled or replaced, at each place."""
    rng = random.Random(seed)
    for at in range(len(text)):
        with_one = rng.choice("{}[]()'\",: 019LfTS<>|u\n\\\t")
        for new in ("", text[at] * 2, with_one):
            yield text[:at] + new + text[at + 1 :]


def main():
    warnings.simplefilter("ignore")
    save_all()
    for version in ((1, 0), (2, 0)):
        for text in SPELLINGS:
            show(header(text, version))
        for text in WRONG:
            show(header(text, version))
    show(header(SPELLINGS[0], (3, 0)))
    for seed, text in enumerate(SPELLINGS[:6:2]):
        for mutant in mutants(text, seed):
            show(header(mutant), canonical=False)
    for version in ((0, 0), (1, 1), (4, 0), (2, 1)):
        show(b"\x93NUMPY" + bytes(version) + header(SPELLINGS[0])[8:])
    whole = header(SPELLINGS[0])
    for n in range(1, len(whole)):
        show(whole[:n])
    show(b"\x92" + whole[1:])


main()
