#!/usr/bin/env python3
"""Prints what TensorFlow knows of its data types: make.py >types.txt

  NUMBER NAME SIZE FIELD KIND   SIZE 0: not fixed, FIELD and KIND are then -; FIELD is - where NumPy itself has
                                the type; KIND is NumPy's letter and size, of an integer where it has not
"""

import ml_dtypes
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2


def numpy_name(dtype):
    """(field, kind) of a type of fixed size."""
    if dtype.fields:
        (field,) = dtype.names
        return field, dtype[field].str[1:]
    if dtype.isbuiltin == 1:
        return "-", dtype.str[1:]
    signed = dtype.name.startswith("int") and ml_dtypes.iinfo(dtype).min < 0
    return dtype.name, ("i" if signed else "u") + str(dtype.itemsize)


def main():
    for name, number in sorted(types_pb2.DataType.items(), key=lambda item: item[1]):
        if not 0 < number < 100:
            continue
        dtype = tf.dtypes.DType(number)
        if dtype in (tf.string, tf.resource, tf.variant):
            print(number, name, 0, "-", "-")
            continue
        field, kind = numpy_name(np.dtype(dtype.as_numpy_dtype))
        print(number, name, dtype.size, field, kind)


main()
