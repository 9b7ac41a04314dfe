#!/usr/bin/env python3
"""Writers and a committer at once: race.py MOUNTED COUNT

Each writer makes new variables in one step's folder, in various ways, while another process commits that folder again and
again. A commit begins the folder anew, so each variable has to be in a step of its own time: none may be lost or torn.
"""

import errno
import io
import multiprocessing
import os
import sys

import numpy as np

MOUNTED, COUNT = sys.argv[1], int(sys.argv[2])
BASE = os.path.join(MOUNTED, "my-model-0")
# A commit takes folder and file away between two calls: then it is done once more.
AGAIN = {errno.ENOENT, errno.ESTALE}


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


def write(writer):
    for number in range(COUNT):
        name = f"p{writer}_{number}.npy"
        for _ in range(1000):
            try:
                put(name, content(writer, number), number % 4)
                break
            except OSError as error:
                if error.errno not in AGAIN:
                    raise
        else:
            raise AssertionError(f"{name} can't be written")


def commit(stop):
    while not stop.is_set():
        fd = os.open(BASE, os.O_RDONLY)
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
    committer = multiprocessing.Process(target=commit, args=(stop,))
    writers = [multiprocessing.Process(target=write, args=(writer,)) for writer in range(3)]
    for process in [committer, *writers]:
        process.start()
    for process in writers:
        process.join()
    stop.set()
    committer.join()
    commit_last = os.open(MOUNTED, os.O_RDONLY)
    os.fsync(commit_last)
    os.close(commit_last)
    assert not any(process.exitcode for process in [committer, *writers])
    files = found()
    for writer in range(3):
        for number in range(COUNT):
            name = f"p{writer}_{number}.npy"
            assert name in files, f"{name} is lost"
            assert files[name] == {content(writer, number)}, f"{name} is another"
    steps = sum(name.startswith("my-model-") for name in os.listdir(MOUNTED)) - 3
    print(f"{3 * COUNT} variables in {steps} steps")
    assert steps > 1


main()
