#!/usr/bin/env python3
"""What becomes of a file that is open when something happens to it: open_files.py BUILDDIR FIXTURES TEMPORARY [STATE[:EVENT]]

For each state of an open file and each event: a new mount, in which a file is brought into that state, and then the event happens.
After that the descriptor is written to, synced, read and closed, and the mount is synced. Of each cell that did not end as it should, a
line tells; docs/ARCHITECTURE.md has the table.
"""

import ctypes
import errno
import io
import mmap
import os
import shutil
import subprocess
import sys
import time

import numpy as np

BUILD, FIXTURES, TEMPORARY = sys.argv[1:4]
ONLY = sys.argv[4].split(":") if len(sys.argv) > 4 else []
LIBC = ctypes.CDLL(None, use_errno=True)
RENAME_EXCHANGE = 2
BEFORE, AFTER = b"\xa1\xb2\xc3\xd4", b"\xe5\xf6\x17\x28"  # what is written before and after the event
LENGTH = 3000
AT_BEFORE, AT_AFTER = 128 + 4 * 7, 128 + 4 * 1700


def npy(number):
    file = io.BytesIO()
    np.save(file, np.full(LENGTH, number, np.float32))
    return file.getvalue()


def patched(data, at, piece):
    return data[:at] + piece + data[at + len(piece) :]


class Cell:
    """One mount of a directory with the steps s-0 and s-9, each with a/x, a/y and b/z."""

    def __init__(self, name):
        self.source = os.path.join(TEMPORARY, "source")
        self.mounted = os.path.join(TEMPORARY, "mnt-" + name)
        shutil.rmtree(self.source, ignore_errors=True)
        shutil.copytree(os.path.join(TEMPORARY, "template"), self.source)
        os.mkdir(self.mounted)
        self.mount()
        self.step = os.path.join(self.mounted, "s-0")
        self.fd = self.map = self.refused = None

    def mount(self):
        with open(os.path.join(TEMPORARY, "log"), "wb") as log:
            self.daemon = subprocess.Popen(
                [f"{BUILD}/mount.ckptfs", self.source, self.mounted, "--foreground", "-o", "commit=sync"], stderr=log
            )
        while not os.path.ismount(self.mounted):
            assert self.daemon.poll() is None, "did not mount"
            time.sleep(0.01)

    def end(self):
        """The daemon lives, and ends well."""
        died = self.daemon.poll()
        unmounted = subprocess.run(["umount", self.mounted], stderr=subprocess.DEVNULL).returncode
        if unmounted:
            subprocess.run(["umount", "-l", self.mounted], check=True)
        status = self.daemon.wait()
        os.rmdir(self.mounted)
        assert died is None, f"the daemon died: {died}"
        assert status == 0, f"the daemon ended with {status}"
        assert unmounted == 0, "can't be unmounted"
        fsck = subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", self.source], capture_output=True, text=True)
        assert fsck.returncode == 0, f"fsck: {fsck.stdout}{fsck.stderr}"

    # --- paths and steps

    def at(self, path):
        return os.path.join(self.step, path)

    def put(self, path, data):
        with open(self.at(path), "wb") as file:
            file.write(data)

    def sync(self, path=""):
        fd = os.open(os.path.join(self.mounted, path), os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def steps(self):
        return [n for n in os.listdir(self.mounted) if os.path.isdir(os.path.join(self.mounted, n)) and n != "latest"]

    def newest(self):
        """The step that was saved last. It is not always the latest, which follows its base alone."""
        return max(self.steps(), key=lambda step: os.stat(os.path.join(self.mounted, step)).st_mtime_ns)

    def read(self, path, step=None):
        try:
            with open(os.path.join(self.mounted, step or self.newest(), path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    # --- the descriptor

    def open(self, path, flags):
        self.path = path
        self.fd = os.open(self.at(path), flags, 0o644)

    def write(self, at, piece):
        if self.map is not None:
            self.map[at : at + len(piece)] = piece
        else:
            assert os.pwrite(self.fd, piece, at) == len(piece)

    def flush(self):
        if self.map is not None:
            self.map.flush()
        else:
            os.fsync(self.fd)

    def content(self):
        if self.map is not None:
            return self.map[:]
        return os.pread(self.fd, 1 << 24, 0)

    def close(self):
        if self.map is not None:
            mapped, self.map = self.map, None
            mapped.close()
        elif self.fd is not None:
            fd, self.fd = self.fd, None
            os.close(fd)


# --- states: they set fd or map, `have` (its bytes now), `base` (its bytes if the draft is dropped, or None) ---------


def of_base(cell, flags=os.O_RDWR, path="a/x.npy"):
    cell.base = cell.have = cell.read(path, "s-0")
    cell.open(path, flags)


def unwritten(cell):
    of_base(cell)


def written(cell):
    of_base(cell)
    cell.write(AT_BEFORE, BEFORE)
    cell.have = patched(cell.have, AT_BEFORE, BEFORE)


def new_unwritten(cell):
    cell.base, cell.have = None, b""
    cell.open("a/new.npy", os.O_RDWR | os.O_CREAT | os.O_EXCL)


def new_written(cell):
    new_unwritten(cell)
    cell.have = npy(5)
    cell.write(0, cell.have)


def copy_into(cell, close):
    source = os.open(cell.at("b/z.npy"), os.O_RDONLY)
    new_unwritten(cell)
    cell.have, size, done = cell.read("b/z.npy", "s-0"), os.fstat(source).st_size, 0
    while done < size:
        done += os.copy_file_range(source, cell.fd, size - done)
    os.close(source)
    if close:
        cell.close()
        cell.open("a/new.npy", os.O_RDWR)


def copied(cell):
    copy_into(cell, True)


def being_copied(cell):
    copy_into(cell, False)


def read_only(cell):
    of_base(cell, os.O_RDONLY)


def read_only_new(cell):
    cell.base, cell.have = None, npy(5)
    cell.put("a/new.npy", cell.have)
    cell.open("a/new.npy", os.O_RDONLY)


def mapped(cell):
    of_base(cell)
    cell.map = mmap.mmap(cell.fd, 0)
    os.close(cell.fd)
    cell.fd = None


def mapped_written(cell):
    mapped(cell)
    cell.write(AT_BEFORE, BEFORE)
    cell.flush()
    cell.have = patched(cell.have, AT_BEFORE, BEFORE)


def text(cell):
    """It is written as a whole."""
    of_base(cell, path="meta_graph.pbtxt")


STATES = [
    unwritten,
    written,
    new_unwritten,
    new_written,
    copied,
    being_copied,
    read_only,
    read_only_new,
    mapped,
    mapped_written,
    text,
]
NEW = {new_unwritten, new_written, copied, being_copied, read_only_new}


def wait_until(call):
    """Or until it is to be feared that it never will be."""
    for _ in range(100):
        if call():
            return
        time.sleep(0.01)


# --- events: they set `path`, where the file is now, or None if it has no name ---------------------------------------


def nothing(cell):
    assert cell.content() == cell.have, f"reads {differ(cell.content(), cell.have)}"


def unlinked(cell):
    os.unlink(cell.at(cell.path))
    cell.path = None


def renamed(cell):
    os.rename(cell.at(cell.path), cell.at("b/moved.npy"))
    cell.path = "b/moved.npy"


def scope_renamed(cell):
    os.rename(cell.at("a"), cell.at("c"))
    cell.path = cell.path.replace("a/", "c/")


def exchanged(cell):
    cell.other = (cell.path, cell.read("b/z.npy", "s-0"))
    if LIBC.renameat2(-100, os.fsencode(cell.at(cell.path)), -100, os.fsencode(cell.at("b/z.npy")), RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), "renameat2")
    cell.path = "b/z.npy"


def replaced(cell):
    data = cell.read(cell.path, "s-0") if cell.path.endswith("pbtxt") else npy(6)
    cell.put(cell.path + ".new" if cell.path.endswith("pbtxt") else "a/.x.npy.Ab12", data)
    os.rename(cell.at(cell.path + ".new" if cell.path.endswith("pbtxt") else "a/.x.npy.Ab12"), cell.at(cell.path))
    cell.other, cell.path = (cell.path, data), None


def commit_another(cell):
    """A commit for another variable's sake. While a new file is half written there is none."""
    cell.put("a/y.npy", npy(8 + len(cell.steps())))
    try:
        cell.sync("s-0")
        assert cell.have, "half a file was committed"
    except OSError as error:
        if error.errno != errno.EINVAL or cell.have:
            raise


def committed(cell):
    commit_another(cell)


def committed_and_written(cell):
    commit_another(cell)
    write_after(cell)
    commit_another(cell)


def discarded(cell):
    os.setxattr(cell.step, "user.ckptfs.draft", b"discard")
    if cell.base is None:
        cell.path = None
        return
    cell.have = cell.base
    wait_until(lambda: cell.read(cell.path, "s-0") == cell.base)  # the kernel is told after the call has returned


def step_removed(cell):
    shutil.rmtree(cell.step)
    cell.path = None


def step_renamed(cell):
    try:
        os.rename(cell.step, os.path.join(cell.mounted, "t"))
    except OSError as error:
        if error.errno != errno.EINVAL or cell.have:  # it is committed first, but not with half a file
            raise


def step_replaced(cell):
    """As TensorFlow does: the files are written elsewhere, and moved."""
    for file in os.listdir(os.path.join(TEMPORARY, "theirs")):
        os.rename(shutil.copy(os.path.join(TEMPORARY, "theirs", file), os.path.join(TEMPORARY, "moved")), os.path.join(cell.source, file))
    # With a draft, what it shows stays.
    wait_until(lambda: os.path.isdir(os.path.join(cell.source, ".ckptfs")) or cell.read("a/x.npy", "s-0") == npy(101))


EVENTS = [
    nothing,
    unlinked,
    renamed,
    scope_renamed,
    exchanged,
    replaced,
    committed,
    committed_and_written,
    discarded,
    step_removed,
    step_renamed,
    step_replaced,
]


def is_senseless(state, event):
    if state is text and event in (renamed, scope_renamed, exchanged, replaced):
        return True  # a text has its one name
    if event is committed_and_written and state in (read_only, read_only_new):
        return True
    # The kernel learns a moment later that what it has in memory of a mapping is not so any more.
    return state is mapped_written and event is discarded


# --- after the event -------------------------------------------------------------------------------------------------


def write_after(cell):
    if not cell.have:
        cell.have = npy(5)
        cell.write(0, cell.have)
    if cell.have.startswith(b"\x93NUMPY"):
        cell.write(AT_AFTER, AFTER)
        cell.have = patched(cell.have, AT_AFTER, AFTER)
    else:
        at = cell.have.index(b'tensorflow_version: "') + len(b'tensorflow_version: "')
        cell.have = patched(cell.have, at, b"7" if cell.have[at] != ord("7") else b"6")
        os.ftruncate(cell.fd, 0)
        cell.write(0, cell.have)


def use(cell, writes):
    if writes:
        write_after(cell)
        cell.flush()
    content = cell.content()
    assert content == cell.have, f"reads {differ(content, cell.have)}"
    cell.close()


def differ(a, b):
    if a is None:
        return "nothing, it is not there"
    if len(a) != len(b):
        return f"{len(a)} bytes, expected {len(b)}"
    at = next(i for i in range(len(a)) if a[i] != b[i])
    return f"other bytes at {at}: {a[at:at+8]!r}, expected {b[at:at+8]!r}"


def nowhere(cell):
    for step in cell.steps():
        for root, _, names in os.walk(os.path.join(cell.mounted, step)):
            for name in names:
                with open(os.path.join(root, name), "rb") as file:
                    data = file.read()
                assert AFTER not in data and BEFORE not in data, f"what has no name is in {root}/{name}"
                assert not any(b'tensorflow_version: "' + d in data for d in (b"6", b"7")), f"what has no name is in {root}/{name}"


def check(cell, state, event):
    writes = state not in (read_only, read_only_new)
    if event is step_replaced:
        try:
            use(cell, writes)
            cell.sync()
        except OSError as error:
            if error.errno != errno.ESTALE or state is read_only:
                raise
            return
        if writes:
            assert any(cell.read(cell.path, step) == cell.have for step in cell.steps()), "what was written is in no step"
        return
    use(cell, writes)
    cell.sync()
    if cell.path is None:
        nowhere(cell)
    elif writes or event not in (nothing, committed, committed_and_written, discarded, step_renamed):
        found = cell.read(cell.path)
        assert found == cell.have, f"the newest step has in {cell.path} {differ(found, cell.have)}"
    if event in (exchanged, replaced):
        path, data = cell.other
        assert cell.read(path) == data, f"{path} is not what was put there"
    if event in (renamed, scope_renamed, unlinked) and state is not text:
        name = "a/x.npy" if state not in NEW else "a/new.npy"
        assert cell.read(name) is None, f"{name} is still there"
    if event is step_removed:
        assert "s-0" not in os.listdir(cell.mounted), "the step is still there"


def moved_and_open(cell):
    """What is documented: such a draft can't be committed before the file is closed."""
    of_base(cell)
    cell.write(AT_BEFORE, BEFORE)
    os.rename(cell.at("a/x.npy"), cell.at("a/moved.npy"))
    cell.write(AT_AFTER, AFTER)
    try:
        cell.sync("s-0")
        raise AssertionError("sync does not say that it is busy")
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
    why = os.getxattr(os.path.join(cell.mounted, "s-0"), "user.ckptfs.error")
    assert why == b"a/moved.npy: is open for writing", f"the reason is {why}"
    cell.close()
    cell.sync("s-0")
    want = patched(patched(cell.have, AT_BEFORE, BEFORE), AT_AFTER, AFTER)
    assert cell.read("a/moved.npy") == want, "the commit is another"


def sync_until(cell, stop):
    while not os.path.exists(stop):
        try:
            cell.sync("s-0")
        except OSError as error:
            if error.errno != errno.EINVAL:  # half a file
                os.write(2, f"sync: {error}\n".encode())
                os._exit(1)
    os._exit(0)


def truncated_over_commits(cell):
    """Files are cut and filled, through a descriptor and by path, while their step is committed again and again."""
    of_base(cell)
    stop = os.path.join(cell.source, "stop")
    children = [os.fork() or sync_until(cell, stop) for _ in range(2)]
    size = len(cell.have)
    try:
        for number in range(300):
            os.ftruncate(cell.fd, size)
            cell.put("b/z.npy", npy(number))
            if number % 50 == 0:
                os.ftruncate(cell.fd, 300)
                cell.write(0, cell.have)
        cell.close()
        reader = os.open(cell.at("a/y.npy"), os.O_RDONLY)
        for number in range(300):
            os.utime(reader)
            os.fchmod(reader, 0o600)
            os.truncate(cell.at("a/y.npy"), size)
            cell.put("b/z.npy", npy(number))
            cell.open("a/x.npy", os.O_RDWR)
            os.ftruncate(cell.fd, size)
            if number < 299:
                cell.close()
        os.close(reader)
        cell.have = patched(cell.have, AT_AFTER, AFTER)
        os.ftruncate(cell.fd, 0)
        cell.write(0, cell.have)
        cell.close()
    finally:
        with open(stop, "wb"):
            pass
        codes = [os.waitpid(pid, 0)[1] for pid in children]
        os.unlink(stop)
    assert codes == [0, 0], "sync has failed"
    cell.sync()
    assert any(cell.read("a/x.npy", step) == cell.have for step in cell.steps()), "the last of a/x is in no step"


def make_template():
    """s-0 and s-9; and in `theirs` another s-0."""
    template = os.path.join(TEMPORARY, "template")
    os.mkdir(template)
    cell = Cell("template")
    for step, first in ("s-0", 1), ("s-9", 91):
        cell.step = os.path.join(cell.mounted, step)
        for folder in "", "a", "b":
            os.makedirs(cell.at(folder), exist_ok=True)
        for number, path in enumerate(("a/x.npy", "a/y.npy", "b/z.npy")):
            cell.put(path, npy(first + number))
        cell.sync()
    cell.end()
    shutil.rmtree(template)
    shutil.copytree(cell.source, template)
    for step in "s-0", "s-9":
        shutil.copy(os.path.join(FIXTURES, "net", "my_net.ckpt.meta"), os.path.join(template, step + ".meta"))
    cell = Cell("theirs")
    os.mkdir(os.path.join(TEMPORARY, "theirs"))
    shutil.rmtree(cell.step)
    os.makedirs(cell.at("a"))
    cell.put("a/x.npy", npy(101))
    cell.put("a/w.npy", npy(102))
    cell.sync()
    cell.end()
    for file in os.listdir(cell.source):
        if file.startswith("s-0."):
            shutil.copy(os.path.join(cell.source, file), os.path.join(TEMPORARY, "theirs"))


def in_child(test, cell):
    """Why TEST fails, or nothing. A mapping may have died under it."""
    inner, outer = os.pipe()
    pid = os.fork()
    if pid == 0:
        why = ""
        try:
            test(cell)
        except (AssertionError, OSError, ValueError) as error:
            why = str(error) or repr(error)
        os.write(outer, why.encode())
        os._exit(0)
    os.close(outer)
    with os.fdopen(inner, "rb") as pipe:
        why = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return f"the process that has it open ended with {status}" if status else why


def run(name, test):
    """Whether it ends as it should."""
    cell = Cell(name)
    why = in_child(test, cell)
    try:
        cell.end()
    except AssertionError as error:
        why = str(error) if not why or "died" in str(error) else why
    if why:
        print(f"{name}: {why}")
        with open(os.path.join(TEMPORARY, "log"), encoding="utf-8", errors="replace") as log:
            print(*("    " + line for line in log.readlines()[-4:]), sep="", end="")
    return not why


def main():
    make_template()
    results = []
    for state in STATES:
        for event in EVENTS:
            if is_senseless(state, event) or (ONLY and [state.__name__, event.__name__][: len(ONLY)] != ONLY):
                continue

            def test(cell, state=state, event=event):
                state(cell)
                event(cell)
                check(cell, state, event)

            results.append(run(f"{state.__name__}-{event.__name__}", test))
    for test in moved_and_open, truncated_over_commits:
        if not ONLY or ONLY == [test.__name__]:
            results.append(run(test.__name__, test))
    print(f"{len(results)} cells, {results.count(False)} of them wrong")
    sys.exit(not all(results))


main()
