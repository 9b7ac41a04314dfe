#!/usr/bin/env python3
"""Compares mounted checkpoint directories with what TensorFlow reads from them.

    digests.py MOUNTED_DIR EXPECTED_JSON [MOUNTED_DIR EXPECTED_JSON]... [--skip-v1]

Every variable is read by np.load, whole and mapped; its key, dtype and shape
come from its attributes.  Of a damaged step, EIO is expected for each variable
that TensorFlow refuses, and for the folder where it can list and read none.
Prints what differs, and then exits with 1.
"""

import argparse
import base64
import errno
import hashlib
import json
import os
import re
import sys

import numpy as np

MESSAGES = 20  # printed at most for one step

# What numpy has a type for; the rest is a structured type with one field of
# the type's name, which holds:
STANDARD = {
    "DT_BOOL": "|b1",
    "DT_INT8": "|i1", "DT_INT16": "<i2", "DT_INT32": "<i4", "DT_INT64": "<i8",
    "DT_UINT8": "|u1", "DT_UINT16": "<u2", "DT_UINT32": "<u4", "DT_UINT64": "<u8",
    "DT_HALF": "<f2", "DT_FLOAT": "<f4", "DT_DOUBLE": "<f8",
    "DT_COMPLEX64": "<c8", "DT_COMPLEX128": "<c16",
}  # fmt: skip
NAMED = {
    "DT_QINT8": "|i1", "DT_QINT16": "<i2", "DT_QINT32": "<i4",
    "DT_QUINT8": "|u1", "DT_QUINT16": "<u2",
    "DT_BFLOAT16": "<u2",
    "DT_INT4": "|i1", "DT_INT2": "|i1", "DT_UINT4": "|u1", "DT_UINT2": "|u1",
}  # fmt: skip
SMALL_FLOAT = re.compile("DT_FLOAT[48]_.*")


def numpy_dtype(dtype):
    """How a little-endian variable of this type is shown."""
    if dtype in STANDARD:
        return np.dtype(STANDARD[dtype])
    base = "|u1" if SMALL_FLOAT.fullmatch(dtype) else NAMED[dtype]
    return np.dtype([(dtype.removeprefix("DT_").lower(), base)])


# --- a mounted step ---------------------------------------------------------


def npy_files(descriptor):
    """(name, descriptor) of each .npy file below a folder, closed afterwards.

    Names are taken relative to their folder: a whole path may be too long.  The
    descriptors are O_PATH, since opening a damaged file may fail: see path_of.
    """
    for name in sorted(os.listdir(path_of(descriptor))):
        child = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=descriptor)
        try:
            if name.endswith(".npy"):
                yield name, child
            elif os.path.isdir(child):
                for path, inner in npy_files(child):
                    yield f"{name}/{path}", inner
        finally:
            os.close(child)


def path_of(descriptor):
    return f"/proc/self/fd/{descriptor}"


def load(file, **options):
    return np.load(path_of(file), allow_pickle=False, **options)


def read_entry(file):
    """A variable as expected.json describes it; raises ValueError if it is odd."""
    dtype = os.getxattr(path_of(file), "user.ckptfs.dtype").decode()
    shape = os.getxattr(path_of(file), "user.ckptfs.shape").decode()
    entry = {"dtype": dtype, "shape": [int(n) for n in shape.split(",") if n]}
    if dtype in ("DT_VARIANT", "DT_RESOURCE"):
        return entry
    array = load(file)
    mapped = load(file, mmap_mode="r")
    if array.dtype != mapped.dtype or raw(array) != raw(mapped):
        raise ValueError("reads differently when it is mapped")
    return describe_array(array, entry, os.fstat(file).st_size)


def describe_array(array, entry, size):
    """ENTRY, which has dtype and shape, and what is in ARRAY; SIZE: of its .npy file."""
    check_array(array, entry, size)
    if entry["dtype"] == "DT_STRING":
        entry["values"] = [base64.b64encode(s).decode() for s in strings(array)]
    else:
        data = raw(array if is_little(array) else array.byteswap())
        entry["nbytes"] = len(data)
        entry["sha256"] = hashlib.sha256(data).hexdigest()
    return entry


def check_array(array, entry, size):
    if list(array.shape) != entry["shape"]:
        raise ValueError(f"the array's shape is {array.shape}, the attribute's {entry['shape']}")
    if entry["dtype"] != "DT_STRING":
        want = numpy_dtype(entry["dtype"])
        if array.dtype.newbyteorder("<") != want:
            raise ValueError(f"the array's dtype is {array.dtype}, not {want}")
    if (size - array.nbytes) % 64 or not 64 <= size - array.nbytes < 65536:
        raise ValueError(f"{size} bytes do not fit a header and {array.nbytes} bytes")


def is_little(array):
    return array.dtype == array.dtype.newbyteorder("<")


def raw(array):
    return array.tobytes()


def strings(array):
    """The elements of |S<n>, or of lengths and bytes where one ends in NUL."""
    if array.dtype.names is None:
        if array.dtype.kind != "S":
            raise ValueError(f"strings of dtype {array.dtype}")
        found = array.reshape(-1).tolist()
    else:
        if array.dtype.names != ("length", "bytes") or array.dtype["length"] != np.dtype("<u8"):
            raise ValueError(f"strings of dtype {array.dtype}")
        flat = array.reshape(-1)
        width = array.dtype["bytes"].itemsize
        found = [
            item["bytes"].ljust(width, b"\0")[: int(item["length"])] for item in flat
        ]
        if not any(s.endswith(b"\0") for s in found):
            raise ValueError("lengths are given though no element ends in NUL")
    longest = max(map(len, found), default=0)
    width = (array.dtype if array.dtype.names is None else array.dtype["bytes"]).itemsize
    if width not in (longest, longest or 1):
        raise ValueError(f"elements are {width} bytes wide, the longest has {longest}")
    return found


def read_damaged(file):
    """As read_entry, or {"error": ...} where the file can't be read to its end."""
    try:
        with open(path_of(file), "rb") as opened:
            while opened.read(1 << 20):
                pass
    except OSError as error:
        return {"error": errno.errorcode[error.errno]}
    return read_entry(file)


def read_step(path, problems, read=read_entry):
    """{key: entry} of all variables below a step's folder."""
    keys = {}
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name, file in npy_files(folder):
            try:
                key = os.fsdecode(os.getxattr(path_of(file), "user.ckptfs.key"))
                if key in keys:
                    problems.append(f"{name!r}: key {key!r} is there twice")
                keys[key] = read(file)
            except (OSError, ValueError, KeyError) as error:
                problems.append(f"{name!r}: {type(error).__name__}: {error}")
    finally:
        os.close(folder)
    return keys


# --- comparing --------------------------------------------------------------


def keys_sha256(keys):
    digest = hashlib.sha256()
    for key in sorted(keys, key=os.fsencode):
        entry = keys[key]
        value = entry.get("sha256") or ",".join(entry.get("values", []))
        shape = ",".join(map(str, entry["shape"]))
        fields = os.fsencode(key), entry["dtype"].encode(), shape.encode(), value.encode()
        digest.update(b"\0".join(fields) + b"\n")
    return digest.hexdigest()


def compare_keys(found, step, problems):
    expected = step["keys"]
    for key, entry in expected.items():
        if key not in found:
            problems.append(f"{key!r} is missing")
            continue
        for field in "dtype", "shape", "nbytes", "sha256", "values":
            if found[key].get(field) != entry.get(field):
                problems.append(
                    f"{key!r}: {field} is {brief(found[key].get(field))}, "
                    f"TensorFlow's {brief(entry.get(field))}"
                )
    if step["keys_listed"] == "all":
        problems.extend(f"{key!r} is too much" for key in found.keys() - expected.keys())
    if len(found) != step["keys_count"]:
        problems.append(f"{len(found)} keys, not {step['keys_count']}")
    if not problems and keys_sha256(found) != step["keys_sha256"]:
        problems.append("the digest of all keys differs")


def is_refused(entry):
    return "error" in entry["answer"]


def compare_damaged_keys(found, step, problems):
    for key, entry in step["keys"].items():
        want = {"error": "EIO"} if is_refused(entry) else entry["answer"]
        if found.get(key) != want:
            problems.append(f"{key!r}: is {brief(found.get(key))}, expected {brief(want)}")
    # A slice that no variable lists is one by itself; for TensorFlow too.
    more = (key for key in found.keys() - step["keys"].keys() if not key.startswith("\0"))
    problems.extend(f"{key!r} is too much" for key in more)


def is_unreadable(step):
    """TensorFlow neither lists nor restores anything."""
    return step["list"] != "ok" and all(map(is_refused, step["keys"].values()))


def is_closed(folder):
    try:
        os.listdir(folder)
    except OSError as error:
        return error.errno == errno.EIO
    return False


def compare_damaged(folder, step, problems):
    if is_closed(folder):
        if not all(map(is_refused, step["keys"].values())):
            problems.append("can't be listed, but TensorFlow restores variables from it")
    elif is_unreadable(step):
        problems.append("can be listed, but TensorFlow reads nothing of it")
    else:
        compare_damaged_keys(read_step(folder, problems, read_damaged), step, problems)


def brief(value):
    text = repr(value)
    return text if len(text) < 100 else text[:100] + "..."


def step_folder(mounted, name, step):
    """A step's folder has its prefix's name, in its subfolder if that is shown."""
    inner = os.path.join(mounted, os.path.dirname(step["prefix"]), name)
    return inner if os.path.isdir(inner) else os.path.join(mounted, name)


def compare_step(mounted, name, step):
    """True if the step's folder holds what TensorFlow says."""
    problems = []
    folder = step_folder(mounted, name, step)
    try:
        if step.get("damaged"):
            compare_damaged(folder, step, problems)
        else:
            compare_keys(read_step(folder, problems), step, problems)
    except OSError as error:
        problems.append(str(error))
    for problem in problems[:MESSAGES]:
        print(f"{name}: {problem}")
    if len(problems) > MESSAGES:
        print(f"{name}: and {len(problems) - MESSAGES} more")
    return not problems


def compare_directory(mounted, expected, skip_v1):
    """True if its steps hold what TensorFlow says."""
    with open(expected, encoding="utf-8") as file:
        steps = json.load(file)["steps"]
    wanted = {n: s for n, s in steps.items() if not (skip_v1 and s["format"] == "v1")}
    good = [compare_step(mounted, name, step) for name, step in wanted.items()]
    if not good:
        print(f"{expected}: no step to compare")
    return bool(good) and all(good)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="+", metavar="MOUNTED_DIR EXPECTED_JSON")
    parser.add_argument("--skip-v1", action="store_true", help="leave out steps of the V1 format")
    options = parser.parse_args()
    if len(options.pairs) % 2:
        parser.error("a directory without what is expected of it")
    pairs = zip(options.pairs[::2], options.pairs[1::2])
    good = [compare_directory(*pair, options.skip_v1) for pair in pairs]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
