#!/usr/bin/env python3
"""Flips bits of checkpoints that are mounted, and reads what is shown of them.

    verify.py FIXTURES SOURCE READ OPEN OFF

SOURCE is an empty directory; READ, OPEN and OFF are where it is mounted with
verify=read, open and off.  Each damaged copy is a step of its own in SOURCE.
"""

import errno
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.core.protobuf import tensor_bundle_pb2  # noqa: E402

MIB = 1 << 20
SECONDS = 10  # within which pages are dropped

FIXTURES, SOURCE, READ, OPEN, OFF = sys.argv[1:]
sys.path.insert(0, FIXTURES)
import table_edit  # noqa: E402

made = 0  # damaged copies so far


def check(condition, *words):
    if not condition:
        raise AssertionError(" ".join(map(str, words)))


# --- copies -------------------------------------------------------------------


class Damaged:
    """A copy of a checkpoint under a new name, changed by edit(suffix, bytes)."""

    def __init__(self, prefix, edit=None):
        global made
        made += 1
        self.name = f"damaged-{made}"
        folder, base = os.path.split(prefix)
        self.files = []
        # The index last, as TensorFlow does: with it the step is there.
        for file in sorted(os.listdir(folder), key=lambda f: f.endswith(".index")):
            suffix = file[len(base) :]
            if not file.startswith(base) or (suffix and suffix[0] not in ".-"):
                continue
            if suffix.endswith(".meta"):
                continue
            with open(os.path.join(folder, file), "rb") as f:
                data = bytearray(f.read())
            if edit:
                edit(suffix, data)
            self.files.append(os.path.join(SOURCE, self.name + suffix))
            with open(self.files[-1], "wb") as f:
                f.write(data)
        check(self.files, "no files of", prefix)

    def __enter__(self):
        return self.name

    def __exit__(self, *_):
        for file in reversed(self.files):
            os.unlink(file)


def flip(suffix, offset, bit):
    def edit(this, data):
        if this == suffix:
            data[offset] ^= 1 << bit

    return edit


def variables(step_folder):
    """Paths of the .npy files, relative to the step's folder."""
    return sorted(
        os.path.relpath(os.path.join(folder, file), step_folder)
        for folder, _, files in os.walk(step_folder, onerror=reraise)
        for file in files
        if file.endswith(".npy")
    )


def reraise(error):
    raise error


def read_file(path):
    """Its bytes; None for EIO."""
    try:
        with open(path, "rb", buffering=0) as file:
            return b"".join(iter(lambda: file.read(MIB), b""))
    except OSError as error:
        check(error.errno == errno.EIO, path, error)
        return None


def read_step(mounted, name):
    folder = os.path.join(mounted, name)
    return {v: read_file(os.path.join(folder, v)) for v in variables(folder)}


def originals(prefix):
    with Damaged(prefix) as name:
        values = read_step(READ, name)
        check(values and None not in values.values(), prefix, "can't be read undamaged")
        check(read_step(OPEN, name) == values == read_step(OFF, name), prefix)
        return values


def bits_changed(a, b):
    check(len(a) == len(b), "another length:", len(a), len(b))
    different = np.frombuffer(a, np.uint8) ^ np.frombuffer(b, np.uint8)
    return int(np.unpackbits(different).sum())


def opens(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
        return True
    except OSError as error:
        check(error.errno == errno.EIO, path, error)
        return False


# --- ways to read a whole file; each must end in EIO ------------------------------


def run_command(*command):
    done = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    check(done.returncode != 0, *command, "copies a damaged variable")
    check(b"Input/output error" in done.stderr, *command, done.stderr)


def by_cat(path):
    run_command("cat", path)


def by_cp(path):
    run_command("cp", path, os.path.join(os.path.dirname(SOURCE), "copy"))


def by_dd(path):
    run_command("dd", f"if={path}", "of=/dev/null", "bs=70001")


def by_numpy(path):
    try:
        np.load(path)
    except (OSError, ValueError):
        return
    check(False, path, "np.load reads it")


def read_range(fd, start, n):
    """What comes before an error is given out first, as a short read."""
    end = start + n
    while start < end and (got := len(os.pread(fd, end - start, start))):
        start += got


def by_pread(path, order):
    try:
        with open(path, "rb", buffering=0) as file:
            for start, n in order(os.fstat(file.fileno()).st_size):
                read_range(file.fileno(), start, n)
    except OSError as error:
        check(error.errno == errno.EIO, path, error)
        return
    check(False, path, "all of it can be read,", order.__name__)


def forwards(size):
    return [(at, 12347) for at in range(0, size, 12347)]


def backwards(size):
    return forwards(size)[::-1]


def shuffled(size):
    order = [(at, 33333) for at in range(0, size, 33333)]
    random.Random(size).shuffle(order)
    return order


def in_halves(size):
    return [(size // 2, size), (0, size // 2)]


def by_forwards(path):
    by_pread(path, forwards)


def by_backwards(path):
    by_pread(path, backwards)


def by_shuffled(path):
    by_pread(path, shuffled)


def by_halves(path):
    by_pread(path, in_halves)


def by_mmap(path):
    child = os.fork()
    if child == 0:
        try:
            with open(path, "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
                for at in range(0, len(mapped), mmap.PAGESIZE):
                    mapped[at]
        except OSError as error:  # of opening it: strings are read then
            os._exit(error.errno)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS
    check(killed or status == errno.EIO << 8, path, "mapped:", status)


def by_four_at_once(path):
    """Disjoint ranges, each by a thread with a descriptor of its own, opened before any reads."""
    size = os.stat(path).st_size
    errors = []
    try:
        fds = [os.open(path, os.O_RDONLY) for _ in range(4)]
    except OSError as error:  # strings are read then
        check(error.errno == errno.EIO, path, error)
        return

    def read_quarter(number):
        end = size * (number + 1) // 4
        at = size * number // 4
        try:
            while at < end:
                at += len(os.pread(fds[number], min(54321, end - at), at))
        except OSError as error:
            errors.append(error.errno)

    threads = [threading.Thread(target=read_quarter, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fd in fds:
        os.close(fd)
    check(errors and set(errors) == {errno.EIO}, path, "four readers get", errors)


WAYS = [
    by_cat, by_cp, by_dd, by_numpy, by_forwards, by_backwards, by_shuffled, by_halves,
    by_mmap, by_four_at_once,
]  # fmt: skip


def check_refused(path, way):
    """Reading PATH with verify=read, in that way, and whatever comes after."""
    pin = os.open(os.path.dirname(path), os.O_RDONLY)  # the kernel must not forget the step between
    way(path)
    check(not opens(path), path, "can be opened after", way.__name__)
    check(read_file(path) is None, path)
    check(os.getxattr(path, "user.ckptfs.error"), path)
    os.close(pin)


# --- small checkpoints: every variable under each kind of verification ------------


def check_flip(prefix, values, suffix, offset, way):
    with Damaged(prefix, flip(suffix, offset, offset % 8)) as name:
        where = f"{os.path.basename(prefix)}{suffix} at {offset}:"
        off = read_step(OFF, name)
        check(off.keys() == values.keys(), where, "verify=off")
        changed = [v for v in values if off[v] != values[v]]
        check(len(changed) == 1, where, changed, "read differently with verify=off")
        victim = changed[0]
        # The lengths of strings have a checksum that is always looked at.
        bits = 1 if off[victim] is None else bits_changed(off[victim], values[victim])
        check(bits == 1 and (off[victim] or b"|S" in values[victim][:128]), where, victim)

        check_refused(os.path.join(READ, name, victim), way)
        for mounted in READ, OPEN:
            found = read_step(mounted, name)
            wrong = [v for v in values if found[v] != (None if v == victim else values[v])]
            check(not wrong, where, mounted, wrong, "are read wrongly, damaged is", victim)
        check(not opens(os.path.join(OPEN, name, victim)), where, "verify=open opens", victim)


def check_numbers(prefix, every):
    values = originals(prefix)
    folder, base = os.path.split(prefix)
    n = 0
    for file in sorted(os.listdir(folder)):
        if not file.startswith(base + ".data-"):
            continue
        for offset in range(0, os.path.getsize(os.path.join(folder, file)), every):
            check_flip(prefix, values, file[len(base) :], offset, WAYS[n % len(WAYS)])
            n += 1
    check(n > 30, prefix, n)


def every_byte_of_a_small_checkpoint():
    check_numbers(f"{FIXTURES}/linear/my-model-0", 1)


def partitioned_by_rows_and_columns():
    check_numbers(f"{FIXTURES}/partitioned/model-3", 23)


def slices_that_form_no_grid():
    check_numbers(f"{FIXTURES}/maxshard/ckpt-1", 9)


# --- strings, V1: right or refused, whatever is hit --------------------------------


def read_or_refuse(mounted, name, values, where):
    """Which variables can't be read; all others are right.  None: the whole step can't."""
    try:
        found = read_step(mounted, name)
    except OSError as error:
        check(error.errno in (errno.EIO, errno.ENOENT), where, error)
        return None
    for v, value in found.items():
        check(value is None or value == values.get(v), where, mounted, v, "is read wrongly")
    return [v for v in values if found.get(v) is None]


def strings():
    prefix = f"{FIXTURES}/strings/text"
    suffix = ".data-00000-of-00001"
    values = originals(prefix)
    size = os.path.getsize(prefix + suffix)
    for offset in [*range(0, 400, 7), *range(400, size, size // 60), size - 1]:
        where = f"strings at {offset}:"
        with Damaged(prefix, flip(suffix, offset, offset % 8)) as name:
            for mounted in READ, OPEN:
                refused = read_or_refuse(mounted, name, values, where)
                check(refused is not None and len(refused) == 1, where, mounted, refused)


def old_format():
    """Its blocks are verified whatever the option says."""
    for base, every in ("types.ckpt", 29), ("model.ckpt-10", 5801):
        prefix = f"{FIXTURES}/v1/{base}"
        values = originals(prefix)
        unnoticed = n = 0
        for offset in range(0, os.path.getsize(prefix), every):
            n += 1
            where = f"v1/{base} at {offset}:"
            with Damaged(prefix, flip("", offset, offset % 8)) as name:
                refused = [read_or_refuse(m, name, values, where) for m in (READ, OPEN, OFF)]
                check(refused[0] == refused[1] == refused[2], where, refused)
                unnoticed += refused[0] == []
        # What is in none of its blocks: the padding of the footer, the index of meta blocks.
        check(unnoticed <= n // 20 + 1, f"{unnoticed} of {n} flips in {base} are not noticed")


def empty_with_a_wrong_checksum():
    prefix = f"{FIXTURES}/dtypes/numeric"
    values = originals(prefix)
    victims = []

    def edit(suffix, data):
        if suffix != ".index":
            return
        items = table_edit.read_table(bytes(data))
        for i, (key, value) in enumerate(items):
            entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
            if key and not entry.size and not victims:
                victims.append(key.decode())
                entry.crc32c ^= 1
                items[i] = (key, entry.SerializeToString())
        data[:] = table_edit.make_table(items)

    with Damaged(prefix, edit) as name:
        check(victims, "no variable is empty")
        victim = victims[0] + ".npy"
        check(read_step(OFF, name) == values, "verify=off")
        for mounted in READ, OPEN:
            check(not opens(os.path.join(mounted, name, victim)), mounted, victim, "opens")
            check(read_step(mounted, name) == {**values, victim: None}, mounted)


# --- larger than a chunk of what is verified at once ------------------------------


def write_large(prefix):
    """{name: bytes in the data file} of variables of several chunks."""
    rng = np.random.default_rng(1)
    arrays = {
        "a": rng.random(3 * MIB // 4 + 3).astype(np.float32),
        "b": rng.integers(0, 256, 2 * MIB + MIB // 2 - 5).astype(np.uint8),
        "c/d": rng.integers(0, 256, (1024, 1024)).astype(np.uint8),
        "small": rng.random(100),
    }
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=list(arrays.values()),
    )
    return {name: array.tobytes() for name, array in arrays.items()}


def positions(size, count):
    """Offsets in a variable: its ends, the borders of chunks, and COUNT spread over it."""
    at = {0, size - 1}
    for border in range(MIB, size, MIB):
        at.update({border - 1, border, border + 1})
    at.update(range(size // (2 * count), size, size // count))
    return sorted(p for p in at if 0 <= p < size)


def large():
    prefix = f"{SOURCE}/large"
    stored = write_large(prefix)
    suffix = ".data-00000-of-00001"
    with open(prefix + suffix, "rb") as file:
        data = file.read()
    values = originals(prefix)
    ways = 0
    for name, count in ("a", 70), ("b", 60), ("c/d", 35), ("small", 10):
        start = data.find(stored[name])
        check(start >= 0, name, "is not in the data file")
        for offset in positions(len(stored[name]), count):
            ways += 1
            check_large(prefix, values, name, suffix, start, offset, WAYS[ways % len(WAYS)])
    for file in os.listdir(SOURCE):
        os.unlink(os.path.join(SOURCE, file))


def check_large(prefix, values, name, suffix, start, offset, way):
    victim = name + ".npy"
    with Damaged(prefix, flip(suffix, start + offset, offset % 8)) as step:
        check_refused(os.path.join(READ, step, victim), way)
        check(not opens(os.path.join(OPEN, step, victim)), name, offset, "verify=open opens it")
        off = read_file(os.path.join(OFF, step, victim))
        at = len(off) - len(values[victim]) + 128 + offset
        check(off[at] ^ values[victim][at] == 1 << offset % 8, name, offset)
        check(bits_changed(off, values[victim]) == 1, name, offset)
        other = "small.npy" if name != "small" else "c/d.npy"
        for mounted in READ, OPEN:
            check(read_file(os.path.join(mounted, step, other)) == values[other], name, offset)


# --- pages in the kernel -------------------------------------------------------------


def what_was_read_before_is_refused_too():
    """The damaged half is in the page cache when the other half shows that it is damaged."""
    prefix = f"{SOURCE}/large"
    stored = write_large(prefix)
    suffix = ".data-00000-of-00001"
    with open(prefix + suffix, "rb") as file:
        start = file.read().find(stored["a"])
    for offset in 5, MIB, 2 * MIB:
        with Damaged(prefix, flip(suffix, start + offset, 3)) as name:
            path = os.path.join(READ, name, "a.npy")
            fd, size = os.open(path, os.O_RDONLY), os.stat(path).st_size
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # no more is read than is asked for
            last = 4096
            at = 0
            while at < size - last:
                at += len(os.pread(fd, min(99999, size - last - at), at))
            with_mapping = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
            check(with_mapping[offset + 128] is not None, "mapped")
            check(is_refused(fd, last, size - last), "the end of", path)
            for part in range(0, size, 65536):
                wait_until(lambda: is_refused(fd, 4096, part), f"{path} at {part}")
            with_mapping.close()
            os.close(fd)


def is_refused(fd, n, at):
    try:
        read_range(fd, at, n)
        return False
    except OSError as error:
        check(error.errno == errno.EIO, error)
        return True


def wait_until(condition, what):
    end = time.monotonic() + SECONDS
    while not condition():
        check(time.monotonic() < end, what, "can still be read")
        time.sleep(0.005)


def a_step_that_was_dropped_from_memory():
    """Half of a variable is in the page cache, and what was known of it is forgotten with its step."""
    prefix = f"{SOURCE}/large"
    write_large(prefix)
    suffix = ".data-00000-of-00001"
    many = f"{FIXTURES}/many/model-1"
    copies = [f"many-{n}" for n in range(60)]
    for copy in copies:
        os.symlink(many + suffix, f"{SOURCE}/{copy}{suffix}")
        os.symlink(many + ".index", f"{SOURCE}/{copy}.index")
    with Damaged(prefix, flip(suffix, 100, 0)) as name:
        path = os.path.join(READ, name, "a.npy")
        size = os.stat(path).st_size
        with open(path, "rb", buffering=0) as file:
            file.read(size // 2)
        for copy in copies:
            os.listdir(os.path.join(READ, copy))
        check(read_file(path) is None, "a damaged variable is read in two halves")
        check(not opens(path), path)


def main():
    for test in (
        every_byte_of_a_small_checkpoint,
        partitioned_by_rows_and_columns,
        slices_that_form_no_grid,
        strings,
        old_format,
        empty_with_a_wrong_checksum,
        large,
        what_was_read_before_is_refused_too,
        a_step_that_was_dropped_from_memory,
    ):
        start = time.monotonic()
        test()
        print(f"{test.__name__}: {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
