#!/usr/bin/env python3
"""Writers and committers at once: race.py MOUNTED SECONDS FOLDER...

Each writer makes new variables in one step's folder, in various ways, while for each FOLDER (`.` or one in the mount) another process
syncs that again and again. A commit begins the step's folder anew, so each variable has to be in a step of its own time: none may be lost
or torn. Without a FOLDER, the mount's timer commits: the writers pause together, so that it does, and begin again at about that time.
"""

import errno
import io
import multiprocessing
import os
import random
import sys
import time

import numpy as np

MOUNTED, SECONDS, FOLDERS = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
BASE = os.path.join(MOUNTED, "my-model-0")
WRITERS = 3


def content(writer, number):
    array = np.full(1 + number * 97 % 5000, writer * 1000000 + number, np.int64)
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def put(name, data, way):
    path = os.path.join(BASE, name)
    if way == 0:
        with open(path, "wb") as file:
            file.write(data)
    elif way == 1:  # as rsync does
        hidden = os.path.join(BASE, "." + name + ".x")
        with open(hidden, "wb") as file:
            file.write(data)
        os.rename(hidden, path)
    elif way == 2:  # in pieces, and back
        with open(path, "wb", buffering=0) as file:
            for at in range(0, len(data), 1000):
                file.write(data[at : at + 1000])
            file.seek(0)
            file.write(data[:200])
    else:
        with open(path, "wb", buffering=0) as file:
            file.truncate(len(data))
            file.write(data)
            os.fsync(file.fileno())


def new_steps():
    return sum(name.startswith("my-model-") for name in os.listdir(MOUNTED)) - 3


def write(writer, counts, pause):
    end = time.monotonic() + SECONDS
    number = 0
    while number < 8 * SECONDS if pause else time.monotonic() < end:  # so that all pause equally often
        name = f"p{writer}_{number}.npy"
        for _ in range(1000):
            try:
                put(name, content(writer, number), number % 4)
                break
            except FileNotFoundError:
                pass  # a commit has taken away what was to be renamed: then it is done once more
        else:
            raise AssertionError(f"{name} can't be written")
        number += 1
        if pause and number % 8 == 0:
            pause.wait()
            time.sleep(random.uniform(0.95, 1.1))
            while new_steps() < number // 16:  # on a slow machine the timer has not come to it
                time.sleep(0.05)
    counts[writer] = number


def commit(folder, stop):
    while not stop.is_set():
        fd = os.open(os.path.join(MOUNTED, folder), os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file is half written
                raise
        finally:
            os.close(fd)


def found():
    """name -> contents, of all steps."""
    files = {}
    for step in os.listdir(MOUNTED):
        if step.startswith("my-model-"):
            for name in os.listdir(os.path.join(MOUNTED, step)):
                if name.startswith("p"):
                    with open(os.path.join(MOUNTED, step, name), "rb") as file:
                        files.setdefault(name, set()).add(file.read())
    return files


def main():
    stop = multiprocessing.Event()
    counts = multiprocessing.Array("l", WRITERS)
    pause = None if FOLDERS else multiprocessing.Barrier(WRITERS, timeout=60)
    committers = [multiprocessing.Process(target=commit, args=(folder, stop)) for folder in FOLDERS]
    writers = [multiprocessing.Process(target=write, args=(writer, counts, pause)) for writer in range(WRITERS)]
    for process in committers + writers:
        process.start()
    for process in writers:
        process.join()
    stop.set()
    for process in committers:
        process.join()
    commit_last = os.open(MOUNTED, os.O_RDONLY)
    os.fsync(commit_last)
    os.close(commit_last)
    assert not any(process.exitcode for process in committers + writers)
    files = found()
    for writer in range(WRITERS):
        for number in range(counts[writer]):
            name = f"p{writer}_{number}.npy"
            assert name in files, f"{name} is lost"
            assert files[name] == {content(writer, number)}, f"{name} is another"
    steps = new_steps()
    print(f"{sum(counts)} variables in {steps} steps")
    assert steps > 1


main()
