#!/usr/bin/env python3
"""Random changes in a step's folder and in an ordinary one: random_ops.py BUILDDIR SOURCE MOUNTED ORDINARY SEED COUNT

Each call must end alike in both, and both must look the same; after a commit the new step is what the ordinary folder is,
less empty folders and temporary files.  All variables are of one shape, so that each may take the place of any other.
Sometimes the daemon is killed, and the next one has to go on with the draft as it was.
"""

import ctypes
import errno
import io
import os
import random
import shutil
import subprocess
import sys
import time

import numpy as np

BUILD, SOURCE, MOUNTED, ORDINARY = sys.argv[1:5]
SEED, COUNT = map(int, sys.argv[5:])
TEXTS = ("variables.tsv", "meta_graph.pbtxt")
LIBC = ctypes.CDLL(None, use_errno=True)
random.seed(SEED)


def array(number, n):
    file = io.BytesIO()
    np.save(file, np.full(n, number, np.float32))
    return file.getvalue()


class Random:
    COMMIT = "sync"
    SIZES = (5, 5000, 100000)

    def __init__(self):
        self.size = random.choice(self.SIZES)
        self.number = 0
        self.base = "base-0"
        self.log = []
        self.mount()
        step, kept = os.path.join(MOUNTED, self.base), os.path.join(ORDINARY, self.base)
        os.mkdir(step)
        os.mkdir(kept)
        for folder in "", "d0", "d0/d1", "d2":
            for root in step, kept:
                os.makedirs(os.path.join(root, folder), exist_ok=True)
            for name in random.sample(range(5), 3):
                self.number += 1
                for root in step, kept:
                    with open(os.path.join(root, folder, f"f{name}.npy"), "wb") as file:
                        file.write(array(self.number, self.size))
        self.sync()
        self.number_of_steps = 1
        self.begin(self.base)

    def begin(self, base):
        """What is changed from here on: the folder of BASE."""
        self.base = base
        self.step = os.path.join(MOUNTED, base)
        self.kept = os.path.join(ORDINARY, base)
        self.work = os.path.join(ORDINARY, "work")
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.kept, self.work)

    def sync(self):
        fd = os.open(MOUNTED, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    # --- names

    def folders(self):
        return [os.path.relpath(path, self.work).removeprefix("./").removeprefix(".") for path, _, _ in os.walk(self.work)]

    def files(self):
        return [os.path.join(f, n) for f in self.folders() for n in os.listdir(os.path.join(self.work, f)) if n.endswith(".npy")]

    def new_file(self):
        return os.path.join(random.choice(self.folders()), f"f{random.randrange(5)}.npy")

    def temporary(self):
        return os.path.join(random.choice(self.folders()), f".f{random.randrange(3)}.npy")

    def new_folder(self):
        return os.path.join(random.choice(self.folders()), f"d{random.randrange(4)}")

    def file(self):
        return random.choice(self.files() or [self.new_file()]) if random.random() < 0.9 else self.new_file()

    def folder(self):
        return random.choice(self.folders()[1:] or [self.new_folder()]) if random.random() < 0.9 else self.new_folder()

    # --- changes: the same in both folders

    def both(self, what, call, opened=None):
        """OPENED: the file that is open for writing meanwhile."""
        self.log.append(what)
        codes = []
        for root in self.work, self.step:
            try:
                call(root)
                codes.append(0)
            except OSError as error:
                codes.append(errno.errorcode[error.errno])
        assert codes[0] == codes[1] or set(codes) == {"EEXIST", "ENOTEMPTY"}, f"{what}: {codes[1]}, expected {codes[0]}"

    def write(self):
        path, self.number = random.choice((self.file, self.file, self.temporary))(), self.number + 1
        data = array(self.number, self.size)

        def call(root):
            with open(os.path.join(root, path), "wb") as file:
                file.write(data)

        self.both(f"write {path}", call, path)

    def patch(self):
        path, self.number = self.file(), self.number + 1
        at = 128 + random.randrange(self.size * 4)
        data = bytes([self.number % 256]) * min(random.randrange(1, 9000), 128 + self.size * 4 - at)

        def call(root):
            fd = os.open(os.path.join(root, path), os.O_RDWR)
            os.pwrite(fd, data, at)
            os.close(fd)

        self.both(f"patch {path} at {at}", call, path)

    def refill(self):
        """Cut, and written again through one descriptor."""
        path, self.number = self.file(), self.number + 1
        data = array(self.number, self.size)

        def call(root):
            fd = os.open(os.path.join(root, path), os.O_RDWR)
            os.ftruncate(fd, 0)
            os.pwrite(fd, data[:1000], 0)
            os.pwrite(fd, data[1000:], 1000)
            os.close(fd)

        self.both(f"refill {path}", call, path)

    def copy(self):
        """By copy_file_range, in one or two pieces; also from a step that is not changed."""
        from_base = random.random() < 0.5
        source, path = self.file(), self.new_file()
        cut = random.choice((None, 100, 3000))

        def call(root):
            other = {self.work: self.kept, self.step: os.path.join(MOUNTED, "base-0")}[root] if from_base else root
            if from_base:
                other = other if root is self.step else os.path.join(ORDINARY, "base-0")
            a = os.open(os.path.join(other, source), os.O_RDONLY)
            if os.path.exists(os.path.join(root, path)) and os.path.samefile(os.path.join(other, source), os.path.join(root, path)):
                os.close(a)
                return
            try:
                b = os.open(os.path.join(root, path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            except OSError:
                os.close(a)
                raise
            size, done = os.fstat(a).st_size, 0
            while done < size:
                done += os.copy_file_range(a, b, cut if cut and not done else size - done)
            os.close(a)
            os.close(b)

        if from_base and self.base == "base-0":
            return
        if not from_base and os.path.normpath(source) == os.path.normpath(path):
            return
        self.both(f"copy {'base-0/' if from_base else ''}{source} {path}", call, path)

    def rename(self):
        flags = random.choice((0, 0, 0, 1, 2))
        if random.random() < 0.6:
            a, b = self.file(), random.choice((self.file, self.new_file))()
        else:
            a, b = self.folder(), random.choice((self.folder, self.new_folder))()

        if os.path.basename(b).startswith(".") or (flags == 2 and os.path.basename(a).startswith(".")):
            return  # a variable stays one, whatever its name

        def call(root):
            if LIBC.renameat2(-100, os.fsencode(os.path.join(root, a)), -100, os.fsencode(os.path.join(root, b)), flags):
                raise OSError(ctypes.get_errno(), "renameat2")

        self.both(f"rename {a} {b} {flags}", call)

    def unlink(self):
        path = self.file()
        self.both(f"unlink {path}", lambda root: os.unlink(os.path.join(root, path)))

    def mkdir(self):
        path = self.new_folder()
        self.both(f"mkdir {path}", lambda root: os.mkdir(os.path.join(root, path)))

    def rmdir(self):
        path = self.folder()
        self.both(f"rmdir {path}", lambda root: os.rmdir(os.path.join(root, path)))

    def remove_tree(self):
        path = self.folder()
        self.both(f"rm -r {path}", lambda root: shutil.rmtree(os.path.join(root, path)))

    # --- what they have become

    def tree(self, root):
        found = {}
        for path, folders, names in os.walk(root):
            at = os.path.relpath(path, root)
            found[at] = None
            for name in names:
                if at != "." or name not in TEXTS:
                    with open(os.path.join(path, name), "rb") as file:
                        found[os.path.normpath(os.path.join(at, name))] = file.read()
        return found

    def compare(self, a, b):
        for path in sorted(a.keys() | b.keys()):
            assert path in a, f"{path} is not expected"
            assert path in b, f"{path} is missing"
            assert a[path] == b[path], f"{path} has other contents: {a[path][:140]!r} {b[path][:140]!r}"

    def look(self):
        self.compare(self.tree(self.work), self.tree(self.step))

    def saved(self, tree):
        """As a step: no empty folders, no temporary files."""
        files = {p: c for p, c in tree.items() if c is not None and not os.path.basename(p).startswith(".")}
        folders = {"."}
        for path in files:
            while path := os.path.dirname(path):
                folders.add(path)
        return {**dict.fromkeys(folders), **files}

    def is_as_before(self):
        """The kernel is told after the call has returned which names are other files again."""
        for tries in range(500):
            try:
                self.compare(self.tree(self.kept), self.tree(self.step))
                return
            except AssertionError:
                if tries == 499:
                    raise
                time.sleep(0.01)

    def commit(self):
        self.log.append("commit")
        want, before = self.saved(self.tree(self.work)), self.saved(self.tree(self.kept))
        steps = set(os.listdir(MOUNTED))
        if want == {".": None}:
            self.discard()  # a step without variables waits for some
            return
        self.sync()
        new = set(os.listdir(MOUNTED)) - steps
        if want == before:
            assert not new, new
            self.begin(self.base)
            return
        self.number_of_steps += 1
        assert new == {f"base-{self.number_of_steps - 1}"}, new
        (name,) = new
        self.compare(want, self.tree(os.path.join(MOUNTED, name)))
        self.is_as_before()
        shutil.rmtree(os.path.join(ORDINARY, name), ignore_errors=True)
        for path, content in want.items():
            if content is not None:
                at = os.path.join(ORDINARY, name, path)
                os.makedirs(os.path.dirname(at), exist_ok=True)
                with open(at, "wb") as file:
                    file.write(content)
        self.begin(random.choice((name, name, self.base)))

    def discard(self):
        self.log.append("discard")
        os.setxattr(self.step, "user.ckptfs.draft", b"discard")
        self.is_as_before()
        self.begin(self.base)

    def restart(self):
        self.log.append("restart")
        self.daemon.kill()
        self.daemon.wait()
        subprocess.run(["umount", "-l", MOUNTED], check=True)
        self.mount()

    def mount(self):
        self.daemon = subprocess.Popen([f"{BUILD}/mount.ckptfs", SOURCE, MOUNTED, "--foreground", "-o", f"commit={self.COMMIT}"])
        while not os.path.ismount(MOUNTED):
            assert self.daemon.poll() is None, "did not mount"
            time.sleep(0.01)

    def unmount(self):
        subprocess.run(["umount", MOUNTED], check=True)
        assert self.daemon.wait() == 0, "the daemon has failed"

    def run(self):
        changes = [self.write] * 5 + [self.patch] * 3 + [self.refill] + [self.copy] * 4 + [self.rename] * 6 + [self.unlink] * 2
        changes += [self.mkdir] * 2 + [self.rmdir, self.remove_tree]
        for number in range(COUNT):
            random.choice(changes)()
            if number % 5 == 0:
                self.look()
            if random.random() < 0.04:
                random.choice((self.commit, self.commit, self.commit, self.discard, self.restart))()
                self.look()
        self.commit()
        self.unmount()


def main(kind=Random):
    test = kind()
    try:
        test.run()
    except BaseException:
        print(f"seed {SEED}; the last changes:", *test.log[-25:], sep="\n  ", file=sys.stderr)
        raise
    print(f"seed {SEED}: {len(test.log)} changes, {test.number_of_steps} steps")


if __name__ == "__main__":
    main()
