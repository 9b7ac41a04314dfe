#!/usr/bin/env python3
"""All at once: load.py BUILDDIR SOURCE MOUNTED LOG SECONDS

MOUNTED is a mount of SOURCE, whose daemon writes LOG. It holds examples/net, with commit=1. For SECONDS there are 4 processes that write in the folder
model-200, each in its own way, 4 that read, 4 that sync different folders, one that asks for attributes, one that renames, a trainer that
saves in SOURCE and rotates its steps, and one that looks into each new step and into the log, and removes the older steps.

What must be so: what was written before a sync that succeeded is in a step. What nobody changes can be read at any time. No error but
those below, which are documented; never EIO. The log calls no step missing that is there.
"""

import errno
import io
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

import numpy as np

BUILD, SOURCE, MOUNTED, LOG = sys.argv[1:5]
SECONDS = float(sys.argv[5])
BASE = os.path.join(MOUNTED, "model-200")
OURS = re.compile(r"model-(\d+)$")
# A commit ends the draft: what was new in the folder is in the new step, and gone from here.
TAKEN = {errno.ENOENT}
# A file that was moved and written is still open; one is half written.
NOT_NOW = {errno.EBUSY, errno.EINVAL}

stop = multiprocessing.Event()
broken = multiprocessing.Event()  # stopped before the time


def tolerating(codes, call, *arguments):
    """What it returns; None where it ended with one of these."""
    try:
        return call(*arguments)
    except OSError as error:
        if error.errno not in codes:
            raise
        return None


def read(path):
    with open(path, "rb") as file:
        return file.read()


def sync(folder):
    """Whether all of it is committed."""
    fd = os.open(os.path.join(MOUNTED, folder), os.O_RDONLY)
    try:
        os.fsync(fd)
        return True
    except OSError as error:
        if error.errno not in NOT_NOW:
            raise
        return False
    finally:
        os.close(fd)


# --- writers: each has variables of its own, whose elements are all the number of the write --------------------------


def save(path, number, shape):
    np.save(path, np.full(shape, number, np.float32))


def save_beside(path, number, shape):
    """As rsync does."""
    folder, name = os.path.split(path)
    hidden = os.path.join(folder, f".{name}.Ab{number % 10}x")
    file = io.BytesIO()
    np.save(file, np.full(shape, number, np.float32))
    with open(hidden, "wb") as out:
        out.write(file.getvalue())
    os.rename(hidden, path)


def change_mapped(path, number, shape):
    array = np.lib.format.open_memmap(path, mode="r+")
    assert array.shape == shape, array.shape
    array[...] = number
    array.flush()


def shape_of(path):
    return np.load(os.path.join(BASE, path), mmap_mode="r").shape


def writer(which, acknowledged):
    """Puts into ACKNOWLEDGED what has to be in a step."""
    path, way = [
        ("new", save),
        ("hidden/bias.npy", save),
        ("hidden/kernel.npy", change_mapped),
        ("output/kernel.npy", save_beside),
    ][which]
    number, pending = 0, {}
    while not stop.is_set():
        number += 1
        name, shape = path, None
        if path == "new":
            name, shape = f"new{number % 7}.npy", (1 + number * 997 % 20000,)
        shape = shape or shape_of(name)
        if tolerating(TAKEN, lambda: way(os.path.join(BASE, name), number, shape) or True):
            pending[name] = number
        if number % 4 == 0 and sync(random.choice(("model-200", "."))):
            acknowledged.extend(pending.items())
            pending = {}
    assert number > 5 or broken.is_set(), f"only {number} writes"


# --- others ----------------------------------------------------------------------------------------------------------


def is_steady(folder):
    """Nobody removes it."""
    top = os.path.relpath(folder, MOUNTED).split(os.sep)[0]
    return top in (".", "model-100", "model-200", "latest")


def reader(which, steady):
    """Walks through all, and reads what nobody changes again and again."""
    rounds = 0
    while not stop.is_set():
        rounds += 1
        for path, data in steady.items():
            assert read(path) == data, f"{path}: other bytes"
            if which % 2:
                array = np.load(path, mmap_mode="r")
                assert array.tobytes() == data[-array.nbytes :], f"{path}: other bytes in a mapping"
        for folder, _, names in os.walk(MOUNTED):
            gone = TAKEN if is_steady(folder) else TAKEN | {errno.ESTALE}
            for name in names:
                tolerating(gone, read, os.path.join(folder, name))
            if stop.is_set():
                break
    assert rounds > 1 or broken.is_set(), rounds


def syncer(folder):
    while not stop.is_set():
        sync(folder)


def asker():
    names = [f"user.ckptfs.{name}" for name in ("draft", "error", "dtype", "stats", "key")]
    while not stop.is_set():
        for folder, _, files in os.walk(MOUNTED):
            gone = {errno.ENOENT, errno.ENODATA, errno.EOPNOTSUPP} | (set() if is_steady(folder) else {errno.ESTALE})
            for path in [folder, *(os.path.join(folder, file) for file in files)]:
                tolerating(gone, os.listxattr, path)
                tolerating(gone, os.getxattr, path, random.choice(names))


def renamer():
    """Files and scopes of its own, sometimes while they are open."""
    file = io.BytesIO()
    np.save(file, np.zeros(100, np.float32))
    gone = TAKEN | {errno.ENOTEMPTY, errno.EEXIST}
    number = 0
    while not stop.is_set():
        number += 1
        scope, other = (os.path.join(BASE, f"scope{number % 2}"), os.path.join(BASE, f"scope{1 - number % 2}"))
        tolerating(gone, os.mkdir, scope)
        path = os.path.join(scope, "a.npy")
        fd = tolerating(gone, os.open, path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        if fd is None:
            continue
        os.write(fd, file.getvalue())
        tolerating(gone, os.rename, path, os.path.join(scope, "b.npy"))
        if number % 3 == 0:
            os.pwrite(fd, b"\1\2\3\4", 130)
        os.close(fd)
        tolerating(gone, os.rename, os.path.join(BASE, "output", "bias.npy"), os.path.join(scope, "bias.npy"))
        tolerating(gone, os.rename, os.path.join(scope, "bias.npy"), os.path.join(BASE, "output", "bias.npy"))
        tolerating(gone, os.rename, scope, other)
        if number % 4 == 0:
            left = gone | {errno.ESTALE}  # it has a descriptor of a folder that was new, and went with the commit
            shutil.rmtree(other, onerror=lambda call, at, why: None if why[1].errno in left else raise_it(why[1]))


def raise_it(error):
    raise error


def remove_files(step, removed):
    """As a trainer does, on disk. REMOVED has it before it is gone."""
    removed[step] = True
    for file in sorted(os.listdir(SOURCE), key=lambda f: not f.endswith(".index")):
        if file.rpartition(".")[0] == step:
            os.unlink(os.path.join(SOURCE, file))


def trainer(removed):
    """Saves train-0, train-1, ... and keeps five, as tf.train.Saver does: all is written elsewhere and moved, the state file before what is
    old is removed."""
    work = os.path.join(SOURCE, "..", "trainer")
    os.makedirs(work)
    kept, number = [], 0
    while not stop.is_set():
        name = f"train-{number}"
        number += 1
        for key in "w", "w/Adam":
            np.save(os.path.join(work, "w.npy"), np.full(5000, number, np.float32))
        lines = f"bundle 1 0\ntensor {b'w'.hex()} 0 {work}/w.npy\ntensor {b'w/Adam'.hex()} 0 {work}/w.npy\n"
        subprocess.run([f"{BUILD}/write_bundle", f"{work}/{name}"], input=lines.encode(), check=True)
        for suffix in ".data-00000-of-00001", ".index":
            os.rename(f"{work}/{name}{suffix}", f"{SOURCE}/{name}{suffix}")
        kept.append(name)
        old, kept = kept[:-5], kept[-5:]
        with open(f"{work}/checkpoint", "w", encoding="utf-8") as file:
            print(f'model_checkpoint_path: "{name}"', *(f'all_model_checkpoint_paths: "{n}"' for n in kept), sep="\n", file=file)
        os.rename(f"{work}/checkpoint", f"{SOURCE}/checkpoint")
        for gone in old:
            remove_files(gone, removed)
        stop.wait(0.1)


# --- each step that was committed ------------------------------------------------------------------------------------


class Looker:
    def __init__(self, base, removed):
        self.base, self.removed = base, removed
        self.log = open(LOG, encoding="utf-8")
        self.seen = set()
        self.found = set()  # variable and number

    def number_of(self, path):
        array = np.load(path)
        numbers = set(array.ravel().tolist())
        assert len(numbers) == 1, f"{path} is torn: {numbers}"
        return int(numbers.pop())

    def look(self):
        """Into the steps that are new; all but the newest are removed."""
        steps = sorted((n for n in os.listdir(MOUNTED) if OURS.match(n)), key=lambda n: int(OURS.match(n)[1]))
        for step in steps:
            if step in ("model-100", "model-200") or step in self.seen:
                continue
            self.seen.add(step)
            at = os.path.join(MOUNTED, step)
            names = ["hidden/bias.npy", "hidden/kernel.npy", "output/kernel.npy"]
            names += [n for n in os.listdir(at) if n.startswith("new")]
            for name in names:
                if name.startswith("new") or read(os.path.join(at, name)) != self.base[name]:
                    self.found.add((name, self.number_of(os.path.join(at, name))))
        for step in steps[2:-8]:
            if step in self.seen:
                remove_files(step, self.removed)
        for line in self.log:
            missing = re.search(r"names (.*), which is not in its directory", line)
            assert not missing or missing[1] in self.removed, f"the log says: {line}"

    def run(self, found):
        while not stop.is_set():
            self.look()
            stop.wait(0.05)
        found.extend(self.found)
        self.found.clear()


# --- all of it -------------------------------------------------------------------------------------------------------


def said():
    try:
        return os.getxattr(BASE, "user.ckptfs.error").decode()
    except OSError as error:
        return error.strerror


def guarded(name, failed, call, *arguments):
    random.seed(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        call(*arguments)
    except Exception as error:  # whatever it is, the others need not go on
        broken.set()
        stop.set()
        where = traceback.extract_tb(error.__traceback__)[-1]
        failed.append(f"{name}: {type(error).__name__}: {error} (line {where.lineno}: {where.line}); the step says: {said()}")


def main():
    manager = multiprocessing.Manager()
    failed, found, removed = manager.list(), manager.list(), manager.dict()
    acknowledged = [manager.list() for _ in range(4)]
    steady = {}
    for root, _, names in os.walk(os.path.join(MOUNTED, "model-100")):
        steady.update({os.path.join(root, n): read(os.path.join(root, n)) for n in names if n.endswith(".npy")})
    for name in "embedding.npy", "global_step.npy", "output/bias/Momentum.npy", "hidden/kernel/Momentum.npy":
        steady[os.path.join(BASE, name)] = read(os.path.join(BASE, name))
    base = {n: read(os.path.join(BASE, n)) for n in ("hidden/bias.npy", "hidden/kernel.npy", "output/kernel.npy")}
    looker = Looker(base, removed)
    jobs = [(f"writer {n}", writer, n, acknowledged[n]) for n in range(4)]
    jobs += [(f"reader {n}", reader, n, steady) for n in range(4)]
    jobs += [(f"sync {f}", syncer, f) for f in (".", "model-200", "model-200/hidden", "model-200/output")]
    jobs += [("asker", asker), ("renamer", renamer), ("trainer", trainer, removed), ("looker", looker.run, found)]
    processes = [multiprocessing.Process(target=guarded, args=(job[0], failed, *job[1:])) for job in jobs]
    for process in processes:
        process.start()
    stop.wait(SECONDS)
    stop.set()
    end = time.monotonic() + 60
    for job, process in zip(jobs, processes):
        process.join(max(0, end - time.monotonic()))
        if process.is_alive():
            failed.append(f"{job[0]}: hangs")
            process.kill()
        elif process.exitcode:
            failed.append(f"{job[0]}: ended with {process.exitcode}")
    if not failed:
        if not sync("."):
            failed.append("the last sync is refused though nothing is open")
        looker.look()
        in_steps = set(map(tuple, found)) | looker.found
        wanted = {item for own in acknowledged for item in map(tuple, own)}
        failed.extend([f"lost: number {n} of {name}" for name, n in sorted(wanted - in_steps)])
        print(f"{len(wanted)} writes acknowledged, {len(in_steps)} seen in steps")
        if not wanted:
            failed.append("no write was acknowledged")
    print(*failed[:20], sep="\n", end="\n" if failed else "")
    sys.exit(bool(failed))


main()
