#!/usr/bin/env python3
"""What programs do with the files of a directory that is mounted with `raw`: raw.py SOURCE MOUNTED TEST...

SOURCE is the directory, MOUNTED where it is mounted.  Each test makes its own files and removes them.
"""

import ctypes
import errno
import fcntl
import mmap
import multiprocessing
import os
import random
import shutil
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_NOREPLACE = -100, 1
PAGE = mmap.PAGESIZE


def equal(what, have, want):
    assert have == want, f"{what}: {short(have)}, expected {short(want)}"


def short(value):
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}... ({len(value)})"


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read()


def write(path, data, flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
    fd = os.open(path, flags, 0o644)
    try:
        equal("written", os.write(fd, data), len(data))
    finally:
        os.close(fd)


def error_of(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "no error"


def rename_noreplace(old, new):
    if LIBC.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), RENAME_NOREPLACE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Files:
    """A file of each name in the directory, and the same in the mount."""

    def __init__(self, source, mounted):
        self.source, self.mounted = source, mounted

    def below(self, name):
        return os.path.join(self.source, name)

    def at(self, name):
        return os.path.join(self.mounted, name)

    def both(self, name, data):
        """Whoever looks finds DATA."""
        equal(f"{name} in the mount", read(self.at(name)), data)
        equal(f"{name} in the directory", read(self.below(name)), data)
        equal(f"size of {name} in the mount", os.stat(self.at(name)).st_size, len(data))
        equal(f"size of {name} in the directory", os.stat(self.below(name)).st_size, len(data))


# --- open files ---------------------------------------------------------------------------------------------


def removed_while_open(files):
    for name in "events.1", "gone.data-00000-of-00001", "gone.index":
        write(files.at(name), b"first")
        fd = os.open(files.at(name), os.O_RDWR)
        equal("links", os.fstat(fd).st_nlink, 1)
        os.unlink(files.at(name))
        assert name not in os.listdir(files.mounted)
        equal("in the directory", os.path.exists(files.below(name)), False)
        equal("links", os.fstat(fd).st_nlink, 0)
        equal("bytes", os.pread(fd, 100, 0), b"first")
        os.pwrite(fd, b"second", 5)
        os.ftruncate(fd, 9)
        os.fchmod(fd, 0o600)
        equal("size", os.fstat(fd).st_size, 9)
        write(files.at(name), b"another")
        equal("bytes", os.pread(fd, 100, 0), b"firstseco")
        os.fsync(fd)
        os.close(fd)
        files.both(name, b"another")
        os.unlink(files.at(name))


def replaced_while_open(files):
    write(files.at("old"), b"old")
    write(files.at("new"), b"new one")
    with open(files.at("old"), "rb", buffering=0) as old, open(files.at("new"), "r+b", buffering=0) as new:
        os.rename(files.at("new"), files.at("old"))
        equal("the one replaced", old.read(), b"old")
        equal("links of the one replaced", os.fstat(old.fileno()).st_nlink, 0)
        new.seek(0, os.SEEK_END)
        new.write(b" more")
        files.both("old", b"new one more")
        equal("its number", os.fstat(new.fileno()).st_ino, os.stat(files.at("old")).st_ino)
    os.unlink(files.at("old"))


def flags_of_open(files):
    equal("not there", error_of(os.open, files.at("x"), os.O_RDWR), "ENOENT")
    fd = os.open(files.at("x"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
    equal("mode", os.fstat(fd).st_mode & 0o7777, 0o640)
    equal("there", error_of(os.open, files.at("x"), os.O_RDWR | os.O_CREAT | os.O_EXCL), "EEXIST")
    equal("a hole", os.pwrite(fd, b"end", 10000), 3)
    files.both("x", bytes(10000) + b"end")
    os.ftruncate(fd, 3)
    files.both("x", bytes(3))
    equal("past the end", os.pread(fd, 10, 3), b"")
    os.close(fd)
    fd = os.open(files.at("x"), os.O_WRONLY)
    equal("no reading", error_of(os.read, fd, 1), "EBADF")
    os.close(fd)
    fd = os.open(files.at("x"), os.O_RDONLY)
    equal("no writing", error_of(os.write, fd, b"x"), "EBADF")
    os.close(fd)
    write(files.at("x"), b"abc")
    os.truncate(files.at("x"), 5)
    files.both("x", b"abc\0\0")
    equal("a file is no folder", error_of(os.open, files.at("x"), os.O_DIRECTORY), "ENOTDIR")
    equal("a file is no folder", error_of(os.stat, files.at("x/y")), "ENOTDIR")
    os.unlink(files.at("x"))


def pieces_of_any_size(files):
    """TensorFlow writes in pieces of 4,096 and 8,384,512 bytes."""
    numbers, data = random.Random(1), random.Random(2).randbytes(20_000_000)
    fd = os.open(files.at("big"), os.O_RDWR | os.O_CREAT, 0o644)
    at = 0
    while at < len(data):
        size = numbers.choice((1, 100, 4096, 8_384_512, numbers.randrange(300_000)))
        at += os.write(fd, data[at : at + size])
    equal("while open", os.pread(fd, len(data), 0) == data, True)
    for _ in range(200):
        at, size = numbers.randrange(len(data)), numbers.randrange(300_000)
        assert os.pread(fd, size, at) == data[at : at + size], (at, size)
    os.close(fd)
    files.both("big", data)
    os.unlink(files.at("big"))


# --- others -------------------------------------------------------------------------------------------------


def changed_behind_the_mount(files):
    """No page, no size and no name is an old one, whether it is open or not."""
    old, new = b"a" * (3 * PAGE), b"b" * (5 * PAGE)
    write(files.below("f"), old)
    fd = os.open(files.at("f"), os.O_RDWR)
    files.both("f", old)
    equal("open", os.pread(fd, 1 << 20, 0), old)
    for data in new, old, b"", old, new[:PAGE], new + old:
        write(files.below("f"), data)
        equal("size of the open file", os.fstat(fd).st_size, len(data))
        files.both("f", data)
        equal("open", os.pread(fd, 1 << 20, 0), data)
    # the same size, and the time as it was
    times = os.stat(files.below("f"))
    with open(files.below("f"), "r+b", buffering=0) as file:
        file.write(b"c" * PAGE)
    os.utime(files.below("f"), ns=(times.st_atime_ns, times.st_mtime_ns))
    files.both("f", b"c" * PAGE + (new + old)[PAGE:])
    # another file of that name
    write(files.below("g"), b"another")
    os.rename(files.below("g"), files.below("f"))
    files.both("f", b"another")
    equal("the old one is open", len(os.pread(fd, 1 << 20, 0)), 8 * PAGE)
    os.close(fd)
    os.unlink(files.below("f"))
    equal("removed", error_of(os.stat, files.at("f")), "ENOENT")
    write(files.below("f"), b"again")
    files.both("f", b"again")
    os.rename(files.below("f"), files.below("g"))
    equal("renamed", error_of(os.stat, files.at("f")), "ENOENT")
    files.both("g", b"again")
    os.unlink(files.below("g"))


def read_at_once(files):
    """What is written through the mount is what the others read, there and in the directory, before it is closed."""
    want = b""
    with open(files.at("log"), "wb", buffering=0) as one, open(files.at("log"), "rb", buffering=0) as other:
        for number in range(200):
            piece = b"%d " % number * number
            one.write(piece)
            want += piece
            equal("the other", os.pread(other.fileno(), len(want) + 10, 0), want)
            files.both("log", want)
    os.unlink(files.at("log"))


def append(path, letter, count, size):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    for number in range(count):
        os.write(fd, f"{letter}{number:07} ".encode() * size + b"\n")
    os.close(fd)


def writers_append(files):
    """Two through the mount, one in the directory: each line is there once, and whole."""
    count, size = 300, 100
    write(files.at("log"), b"")
    places = {"a": files.at, "b": files.at, "c": files.below}
    processes = [
        multiprocessing.Process(target=append, args=(place("log"), letter, count, size)) for letter, place in places.items()
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        equal("a writer", process.exitcode, 0)
    lines = read(files.at("log")).decode().splitlines()
    want = sorted(" ".join([f"{letter}{number:07}"] * size) + " " for letter in places for number in range(count))
    equal("lines", len(lines), len(want))
    assert sorted(lines) == want, "a line is not whole"
    equal("in the directory", read(files.below("log")), read(files.at("log")))
    os.unlink(files.at("log"))


def two_writers_of_a_file(files):
    """Each writes its own half."""
    write(files.at("two"), bytes(64 * PAGE))
    with open(files.at("two"), "r+b", buffering=0) as one, open(files.at("two"), "r+b", buffering=0) as other:
        for number in range(64):
            file, byte = (one, b"1") if number % 2 else (other, b"2")
            os.pwrite(file.fileno(), byte * PAGE, number * PAGE)
            os.pwrite(file.fileno(), byte, (number * 7919) % (64 * PAGE) // PAGE * PAGE)
        equal("one reads what the other wrote", read(files.at("two")), os.pread(other.fileno(), 1 << 20, 0))
    files.both("two", read(files.below("two")))
    os.unlink(files.at("two"))


def mapped(files):
    data = random.Random(3).randbytes(10 * PAGE + 100)
    write(files.at("map"), data)
    with open(files.at("map"), "r+b", buffering=0) as file:
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            equal("mapped", view[:], data)
        with mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED) as view:
            view[PAGE : PAGE + 5] = b"hello"
            view[len(data) - 3 :] = b"end"
            view.flush()
            data = data[:PAGE] + b"hello" + data[PAGE + 5 : -3] + b"end"
            files.both("map", data)
            view[0:2] = b"HI"
            equal("before it is flushed", os.pread(file.fileno(), 2, 0), b"HI")
    files.both("map", b"HI" + data[2:])
    with open(files.at("map"), "rb", buffering=0) as file:
        with mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
            view[0:2] = b"no"
    files.both("map", b"HI" + data[2:])
    # not seen: a page that was there before the file was changed in the directory
    write(files.below("map"), b"x" * len(data))
    with open(files.at("map"), "rb", buffering=0) as file:
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            equal("mapped again", view[:], b"x" * len(data))
    os.unlink(files.at("map"))


def copied_in_the_kernel(files):
    data = random.Random(4).randbytes(3_000_000)
    write(files.at("from"), data)
    with open(files.at("from"), "rb", buffering=0) as old, open(files.at("to"), "wb", buffering=0) as new:
        left = len(data)
        while left:
            left -= os.copy_file_range(old.fileno(), new.fileno(), left)
        equal("to the middle", os.copy_file_range(old.fileno(), new.fileno(), 10, 0, 1000), 10)
    data = data[:1000] + data[:10] + data[1010:]
    files.both("to", data)
    with open(files.at("to"), "rb", buffering=0) as old, open(files.at("sent"), "wb", buffering=0) as new:
        at = 0
        while at < len(data):
            at += os.sendfile(new.fileno(), old.fileno(), at, len(data) - at)
    files.both("sent", data)
    for name in "from", "to", "sent":
        os.unlink(files.at(name))


def try_locks(path, answer):
    fd = os.open(path, os.O_RDWR)
    for lock in fcntl.flock, fcntl.lockf:
        answer.send(error_of(lock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
        fcntl.flock(fd, fcntl.LOCK_UN)


def locked(files):
    write(files.at("lock"), b"x")
    with open(files.at("lock"), "r+b", buffering=0) as file:
        for held in (), (fcntl.flock, fcntl.lockf), ():
            for lock in held:
                lock(file, fcntl.LOCK_EX)
            answer, end = multiprocessing.Pipe(False)
            process = multiprocessing.Process(target=try_locks, args=(files.at("lock"), end))
            process.start()
            for _ in range(2):
                equal("the other's lock", answer.recv(), "EAGAIN" if held else "no error")
            process.join()
            fcntl.flock(file, fcntl.LOCK_UN)
            fcntl.lockf(file, fcntl.LOCK_UN)
    os.unlink(files.at("lock"))


# --- names --------------------------------------------------------------------------------------------------


def long_names(files):
    longest, longer = "n" * 255, "n" * 256
    write(files.at("f"), b"x")
    write(files.at(longest), b"long")
    files.both(longest, b"long")
    for function, *arguments in (
        (write, files.at(longer), b"x"),
        (os.stat, files.at(longer)),
        (os.mkdir, files.at(longer)),
        (os.rename, files.at("f"), files.at(longer)),
        (os.unlink, files.at(longer)),
    ):
        equal(function.__name__, error_of(function, *arguments), "ENAMETOOLONG")
    os.rename(files.at(longest), files.at("é" * 127))
    files.both("é" * 127, b"long")
    os.unlink(files.at("é" * 127))
    os.unlink(files.at("f"))
    for name in b"\xff\xfe", b"a\nb", b"%2F", b" ", b"\\", b"a%":
        path = os.fsencode(files.mounted) + b"/" + name
        write(path, name)
        equal("listed", name in os.listdir(os.fsencode(files.mounted)), True)
        equal("in the directory", read(os.fsencode(files.source) + b"/" + name), name)
        os.unlink(path)


def renamed(files):
    write(files.at("a"), b"a")
    write(files.at("b"), b"b")
    equal("noreplace", error_of(rename_noreplace, files.at("a"), files.at("b")), "EEXIST")
    files.both("b", b"b")
    os.rename(files.at("a"), files.at("b"))
    files.both("b", b"a")
    equal("gone", error_of(os.stat, files.at("a")), "ENOENT")
    rename_noreplace(files.at("b"), files.at("a"))
    files.both("a", b"a")
    os.mkdir(files.at("folder"))
    os.rename(files.at("a"), files.at("folder/a"))
    files.both("folder/a", b"a")
    equal("over a folder", error_of(os.rename, files.at("folder/a"), files.at("folder")), "ENOTEMPTY")
    os.mkdir(files.at("folder/sub"))
    equal("over a folder", error_of(os.rename, files.at("folder/a"), files.at("folder/sub")), "EISDIR")
    equal("a folder over a file", error_of(os.rename, files.at("folder/sub"), files.at("folder/a")), "ENOTDIR")
    equal("into itself", error_of(os.rename, files.at("folder"), files.at("folder/sub/x")), "EINVAL")
    equal("not empty", error_of(os.rmdir, files.at("folder")), "ENOTEMPTY")
    equal("no folder", error_of(os.rmdir, files.at("folder/a")), "ENOTDIR")
    equal("no file", error_of(os.unlink, files.at("folder/sub")), "EISDIR")
    os.mkdir(files.at("empty"))
    os.rename(files.at("folder"), files.at("empty"))
    files.both("empty/a", b"a")
    os.mkdir(files.at("folder"))
    equal("over one that has something", error_of(os.rename, files.at("folder"), files.at("empty")), "ENOTEMPTY")
    os.rename(files.at("empty/a"), files.at("a"))
    os.rmdir(files.at("empty/sub"))
    os.rmdir(files.at("empty"))
    os.rmdir(files.at("folder"))
    os.unlink(files.at("a"))


# --- anything -----------------------------------------------------------------------------------------------

NAMES = ["a", "b", "m-1.index", "m-1.data-00000-of-00001", "m-1.meta", "m-1.index.tempstate1", "events.out"]
FOLDERS = ["", "sub", "m-1_temp", "sub/in"]


class Both:
    """The same is done in the mount and in an ordinary folder: what comes of it is the same."""

    def __init__(self, files, ordinary, numbers):
        self.files, self.ordinary, self.numbers = files, ordinary, numbers
        self.open = []  # pairs of descriptors

    def path(self):
        return os.path.join(self.numbers.choice(FOLDERS), self.numbers.choice(NAMES))

    def act(self):
        act = self.numbers.choice(
            [self.write] * 3 + [self.rename] * 3 + [self.unlink, self.truncate, self.mkdir, self.rmdir, self.rename_folder]
            + [self.hold] * 2 + [self.held_write, self.held_read, self.held_read, self.close, self.chmod, self.noreplace]
        )  # fmt: skip
        act()

    def same(self, what, function, *paths, behind=True):
        """Sometimes it is done behind the mount."""
        root = self.files.source if behind and self.numbers.random() < 0.3 else self.files.mounted
        have, want = (self.answer(function, [os.path.join(at, path) for path in paths]) for at in (root, self.ordinary))
        where = "behind it" if root == self.files.source else ""
        equal(" ".join([what, *paths, where]), have, want)

    def answer(self, function, paths):
        try:
            return function(*paths)
        except OSError as error:
            return errno.errorcode[error.errno]

    def write(self):
        data = self.numbers.randbytes(self.numbers.choice((0, 10, 5000, 70000)))
        flags = self.numbers.choice((os.O_CREAT, os.O_CREAT | os.O_TRUNC, os.O_CREAT | os.O_EXCL, os.O_APPEND, os.O_TRUNC))
        self.same(f"write {flags:o}", lambda path: write(path, data, os.O_WRONLY | flags), self.path())

    def rename(self):
        self.same("rename", os.rename, self.path(), self.path())

    def noreplace(self):
        self.same("rename_noreplace", rename_noreplace, self.path(), self.path())

    def rename_folder(self):
        self.same("rename", os.rename, self.numbers.choice(FOLDERS[1:]), self.numbers.choice(FOLDERS[1:]))

    def unlink(self):
        self.same("unlink", os.unlink, self.path())

    def truncate(self):
        size = self.numbers.randrange(10000)
        self.same("truncate", lambda path: os.truncate(path, size), self.path())

    def chmod(self):
        mode = self.numbers.choice((0o600, 0o644, 0o444))
        self.same("chmod", lambda path: os.chmod(path, mode), self.path())

    def mkdir(self):
        self.same("mkdir", os.mkdir, self.numbers.choice(FOLDERS[1:]))

    def rmdir(self):
        self.same("rmdir", os.rmdir, self.numbers.choice(FOLDERS[1:]))

    def hold(self):
        path, descriptors = self.path(), []
        self.same("open", lambda path: descriptors.append(os.open(path, os.O_RDWR)), path, behind=False)
        if descriptors:
            self.open.append(descriptors)

    def held(self, function):
        if self.open:
            one, other = self.numbers.choice(self.open)
            equal("an open file", function(one), function(other))

    def held_write(self):
        data, at = self.numbers.randbytes(self.numbers.randrange(3000)), self.numbers.randrange(6000)
        self.held(lambda fd: os.pwrite(fd, data, at))

    def held_read(self):
        self.held(lambda fd: (os.fstat(fd).st_size, os.fstat(fd).st_nlink, os.pread(fd, 1 << 20, 0)))

    def close(self):
        if self.open:
            for fd in self.open.pop(self.numbers.randrange(len(self.open))):
                os.close(fd)

    def compare(self):
        want = tree(self.ordinary)
        equal("in the mount", tree(self.files.mounted), want)
        equal("in the directory", tree(self.files.source), want)


def tree(root):
    """What is in it, less what is no file of the directory: drafts, and the folders of steps."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in list(folders):
            if name in (".ckptfs", "m-1", "latest"):
                folders.remove(name)
            else:
                found[os.path.relpath(os.path.join(folder, name), root)] = "folder"
        for name in names:
            path = os.path.join(folder, name)
            status = os.stat(path)
            found[os.path.relpath(path, root)] = (status.st_mode, status.st_size, status.st_nlink, read(path))
    return found


def anything(files):
    ordinary = files.source + "-ordinary"
    for seed in range(int(os.environ.get("SEEDS", "6"))):
        os.mkdir(ordinary)
        both = Both(files, ordinary, random.Random(seed))
        try:
            for number in range(250):
                both.act()
                if number % 10 == 0:
                    both.compare()
            both.compare()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, act {number}: {error}") from error
        while both.open:
            both.close()
        for name in os.listdir(files.source):
            path = files.below(name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        shutil.rmtree(ordinary)


def main():
    files = Files(*sys.argv[1:3])
    for name in sys.argv[3:]:
        globals()[name](files)


if __name__ == "__main__":
    main()
