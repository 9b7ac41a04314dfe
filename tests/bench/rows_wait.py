"""Rows: how long others wait while a step commits.

A step commits a gigabyte, packed and not linked, and the index of another one is parsed again and again. Meanwhile stat, look-up
and reads of 4 KiB are timed in the step that commits and in a third one; and before that, when nothing goes on. The timer commits:
while a folder is synced the kernel itself lets nobody look a name up in it.

Each of them asks the daemon: stat is one that the kernel may not answer (AT_STATX_FORCE_SYNC), each name is looked up once, and
what was read leaves the page cache. A request is due every INTERVAL; one that is late, as the last one took long, counts from when
it was due.

The last row is the machine's own: two processes that send each other a byte, and no ckptfs. It is what any request has to wait for
a processor meanwhile.
"""
import ctypes
import itertools
import multiprocessing
import os
import random
import shutil
import socket
import time

from data import MIB, link_files, npy_header, write_npy, write_step
from measure import percentile, settle
from places import OURS, Ckptfs
from report import Line, Target

INTERVAL = 0.005
FILE_MIB = 16  # of each file that is committed, and of calm.npy
NAMES = 40000  # of variables that are looked up, each once: the first QUIET_NAMES before
QUIET_NAMES = 4000
PLACES = {'in the step': 'busy-1', 'elsewhere': 'other-1'}

AT_STATX_FORCE_SYNC, STATX_BASIC_STATS = 0x2000, 0x7ff
libc = ctypes.CDLL(None, use_errno=True)


# --- checkpoints ------------------------------------------------------------------------------------------------


def make_source(folder, wide):
    calm, number = f'{folder}/calm.npy', f'{folder}/number.npy'
    write_npy(calm, (FILE_MIB << 18,), os.urandom(FILE_MIB * MIB))
    write_npy(number, (), bytes(4))
    for name in PLACES.values():
        write_step(f'{folder}/{name}', [*((f'v{i}', number) for i in range(NAMES)), ('calm', calm)])
    for path in calm, number:
        os.unlink(path)
    link_files(wide, folder)


class Index:
    """The index of the wide step, and a copy of it. Each replaces the other, so that it is parsed again."""

    def __init__(self, source, spare):
        self.path, self.next = f'{source}/many-1.index', f'{spare}/next'
        self.copies = itertools.cycle((f'{spare}/copy', f'{spare}/first'))
        os.link(self.path, f'{spare}/first')
        shutil.copy(self.path, f'{spare}/copy')

    def replace(self):
        os.link(next(self.copies), self.next)
        os.rename(self.next, self.path)


def write_draft(step, mib):
    """MIB of files in Fortran order, which a commit has to turn round. Their bytes are in no other step."""
    side = 512 * int(FILE_MIB ** 0.5)
    data = bytearray(os.urandom(FILE_MIB * MIB))
    for i in range(max(1, mib // FILE_MIB)):
        data[:16] = os.urandom(16)
        with open(f'{step}/new{i}.npy', 'wb') as f:
            f.write(npy_header((side, side), fortran=True))
            f.write(data)


# --- requests ---------------------------------------------------------------------------------------------------


def stat_calm(step):
    buffer = ctypes.create_string_buffer(256)

    def request():
        if libc.statx(step, b'calm.npy', AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, buffer) < 0:
            raise OSError(ctypes.get_errno(), 'statx')
    return request


def look_up(step, names):
    names = iter(names)
    return lambda: os.stat(f'v{next(names)}.npy', dir_fd=step)


def read_calm(step):
    file = os.open('calm.npy', os.O_RDONLY, dir_fd=step)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)

    def request():
        at = random.randrange(FILE_MIB << 8) * 4096
        os.posix_fadvise(file, at, 4096, os.POSIX_FADV_DONTNEED)
        assert len(os.pread(file, 4096, at)) == 4096
    return request


def echo():
    """As many changes from one process to another and back as a request of a FUSE filesystem, and nothing else."""
    here, there = socket.socketpair()
    if os.fork() == 0:
        here.close()
        while there.recv(1):
            there.send(b'.')
        os._exit(0)
    there.close()

    def request():
        here.send(b'.')
        here.recv(1)
    return request


REQUESTS = {
    'stat': lambda step, names: stat_calm(step),
    'look-up': look_up,
    'read of 4 KiB': lambda step, names: read_calm(step),
    'byte there and back': lambda step, names: echo(),
}
ASKED = [*itertools.product(PLACES, ('stat', 'look-up', 'read of 4 KiB')), ('without ckptfs', 'byte there and back')]


def ask(step, what, names, go, stop, answer):
    """Makes requests from GO, where all wait until each has opened its files, to STOP. Answers with the seconds that each took."""
    request = REQUESTS[what](os.open(step, os.O_RDONLY | os.O_DIRECTORY), names)
    took = []
    go.wait()
    due = time.perf_counter()
    while not stop.is_set():
        early = due - time.perf_counter()
        if early > 0:
            time.sleep(early)
        start = time.perf_counter() if early > 0 else due
        request()
        took.append(time.perf_counter() - start)
        due += INTERVAL
    answer.send(took)


def measure(mounted, names, work):
    """Times all kinds of requests in all places while WORK is called: the 99th percentile of each, in ms."""
    fork = multiprocessing.get_context('fork')
    go, stop = fork.Barrier(1 + len(ASKED)), fork.Event()
    asking, found = {}, {}
    for place, what in ASKED:
        answer, end = fork.Pipe(False)
        step = f'{mounted}/{PLACES.get(place, "")}'
        process = fork.Process(target=ask, args=(step, what, names, go, stop, end))
        process.start()
        asking[place, what] = process, answer
    go.wait(60)
    work()
    stop.set()
    for key, (process, answer) in asking.items():
        found[key] = percentile(answer.recv(), 0.99) * 1e3
        process.join()
    return found


# --- what goes on meanwhile -------------------------------------------------------------------------------------


def parse(step, index):
    before = os.stat(step).st_ino
    index.replace()
    while os.stat(step).st_ino == before:
        time.sleep(0.001)
    os.stat(f'{step}/scope0')


def await_commit(source):
    while not os.path.exists(f'{source}/.ckptfs/drafts/busy-1/commit'):
        time.sleep(0.001)


def parse_until(committed, step, index):
    while not os.path.exists(committed):
        parse(step, index)


def round_of(b, source, index):
    with Ckptfs(source, 'commit=1') as m:
        quiet = measure(m.path, range(QUIET_NAMES), lambda: time.sleep(b.sizes.quiet_seconds))
        write_draft(f'{m.path}/busy-1', b.sizes.big // MIB)
        await_commit(source)
        busy = measure(m.path, range(QUIET_NAMES, NAMES),
                       lambda: parse_until(f'{source}/busy-2.index', f'{m.path}/many-1', index))
    return quiet, busy


def waits(b):
    """The 99th percentile of what requests take beside a commit, and when nothing goes on."""
    quiet, busy = ({key: [] for key in ASKED} for _ in range(2))
    with b.work() as source, b.work() as spare:
        make_source(source, b.data.many(b.sizes.many[-1]))
        index = Index(source, spare)
        kept = set(os.listdir(source))
        for _ in range(b.sizes.turns):
            settle()
            for found, of_round in zip((quiet, busy), round_of(b, source, index)):
                for key, p99 in of_round.items():
                    found[key].append(p99)
            for name in set(os.listdir(source)) - kept - {'.ckptfs'}:
                os.unlink(f'{source}/{name}')
    for place, what in ASKED:
        yield Line(f'p99 beside a commit: {what} {place}', {OURS: busy[place, what], 'quiet': quiet[place, what]}, 'ms',
                   Target(10, 'quiet') if place in PLACES else None)


ROWS = {f.__name__: f for f in (waits,)}
