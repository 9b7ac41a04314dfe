#!/usr/bin/env python3
"""How long others wait meanwhile: tests/bench/beside.py [MIB [VARIABLES]]

A step commits MIB (1024), packed and not linked, and the index of another with VARIABLES (1,000,000) is parsed again and again.
Meanwhile stat, look-up and reads of 4 KiB are timed in the step that commits and in a third one; and before that, when nothing
goes on. The timer commits: while a folder is synced the kernel itself lets nobody look a name up in it. CKPTFS_BUILD is the folder
with the programs (default: build), in which write_bundle was made by `make check TESTS=`.

That is done ROUNDS (5) times. Each round has its 50th and 99th percentiles of both, and its ratios. Prints the median of each over
the rounds, and the smallest and the largest ratio of the 99th percentiles: on two processors they differ much from round to round.

Each of them asks the daemon: stat is one that the kernel may not answer (AT_STATX_FORCE_SYNC), each name is looked up once, and
what was read leaves the page cache. A request is due every INTERVAL; one that is late, as the last one took long, counts from when
it was due.

The last row is the machine's own: two processes that send each other a byte, and no ckptfs. It is what any request has to wait
for a processor meanwhile.
"""
import ctypes
import itertools
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from bench import BUILD, Mount, run

MIB = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
VARIABLES = int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
ROUNDS = int(os.environ.get('ROUNDS', '5'))
INTERVAL = 0.005
QUIET_SECONDS = 10
FILE_MIB = 16  # of each file that is committed, and of calm.npy
NAMES = 40000  # of variables that are looked up, each once: the first QUIET_NAMES before
QUIET_NAMES = 4000
PLACES = {'in the step': 'busy-1', 'elsewhere': 'other-1'}

AT_STATX_FORCE_SYNC, STATX_BASIC_STATS = 0x2000, 0x7ff
libc = ctypes.CDLL(None, use_errno=True)


# --- checkpoints ------------------------------------------------------------------------------------------------


def npy(path, shape, data, fortran=False):
    header = f"{{'descr': '<f4', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    with open(path, 'wb') as f:
        f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', 118) + header.ljust(117) + b'\n')
        f.write(data)


def write_step(prefix, names, files):
    """A step of variables: NAMES, all of them one number, and FILES, each with the .npy file that it is made of."""
    small = f'{os.path.dirname(prefix)}/small.npy'
    npy(small, (), bytes(4))
    tensors = itertools.chain(((name, small) for name in names), files)
    lines = ''.join(f'tensor {name.encode().hex()} 0 {path}\n' for name, path in tensors)
    subprocess.run([f'{BUILD}/write_bundle', prefix], input='bundle 1 0\n' + lines, text=True, check=True)
    os.unlink(small)


def make_source(folder):
    calm = f'{folder}/calm.npy'
    npy(calm, (FILE_MIB << 18,), os.urandom(FILE_MIB << 20))
    for name in PLACES.values():
        write_step(f'{folder}/{name}', (f'v{i}' for i in range(NAMES)), [('calm', calm)])
    write_step(f'{folder}/wide-1', (f'scope{i // 1000}/v{i}' for i in range(VARIABLES)), [])
    os.unlink(calm)


class Index:
    """The index of wide-1, and a copy of it. Each replaces the other, so that it is parsed again."""

    def __init__(self, source, spare):
        self.path, self.next = f'{source}/wide-1.index', f'{spare}/next'
        self.copies = itertools.cycle((f'{spare}/copy', f'{spare}/first'))
        os.link(self.path, f'{spare}/first')
        shutil.copy(self.path, f'{spare}/copy')

    def replace(self):
        os.link(next(self.copies), self.next)
        os.rename(self.next, self.path)


def write_draft(step):
    """MIB of files in Fortran order, which a commit has to turn round. Their bytes are in no other step."""
    side = 512 * int(FILE_MIB ** 0.5)
    data = bytearray(os.urandom(FILE_MIB << 20))
    for i in range(max(1, MIB // FILE_MIB)):
        data[:16] = os.urandom(16)
        npy(f'{step}/new{i}.npy', (side, side), data, fortran=True)


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


def echo(step, names):
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
    'byte there and back': echo,
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


def measure(mounted, names, work, results):
    """Times all kinds of requests in all places while WORK is called; a list of what they took is added to RESULTS."""
    go, stop = multiprocessing.Barrier(1 + len(ASKED)), multiprocessing.Event()
    asking = {}
    for place, what in ASKED:
        answer, end = multiprocessing.Pipe(False)
        step = f'{mounted}/{PLACES.get(place, "")}'
        process = multiprocessing.Process(target=ask, args=(step, what, names, go, stop, end))
        process.start()
        asking[place, what] = process, answer
    go.wait()
    work()
    stop.set()
    for key, (process, answer) in asking.items():
        results.setdefault(key, []).append(answer.recv())
        process.join()


# --- what goes on meanwhile -------------------------------------------------------------------------------------


def parse(step, index):
    """The seconds that it takes; without the time until the new index was noticed."""
    before = os.stat(step).st_ino
    index.replace()
    while os.stat(step).st_ino == before:
        time.sleep(0.001)
    start = time.perf_counter()
    os.stat(f'{step}/scope0')
    return time.perf_counter() - start


def await_commit(source):
    while not os.path.exists(f'{source}/.ckptfs/drafts/busy-1/commit'):
        time.sleep(0.01)


def commit_and_parse(source, mounted, index, commits, parses):
    """Until the commit that the timer has begun is done."""
    start = time.perf_counter()
    while not os.path.exists(f'{source}/busy-2.index'):
        parses.append(parse(f'{mounted}/wide-1', index))
    commits.append(time.perf_counter() - start)


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, int(len(times) * part))] * 1e3


def show(quiet, busy):
    print(f'{"ms, median of the rounds":36} {"quiet p50":>9} {"p99":>6} {"beside p50":>11} {"p99":>6} {"p50 x":>6} {"p99 x":>6}'
          f' {"from":>6} {"to":>6} {"longest":>8}')
    for place, what in quiet:
        rounds = [[percentile(times, part) for times in both for part in (0.5, 0.99)]
                  for both in zip(quiet[place, what], busy[place, what])]
        q50, q99, b50, b99 = (statistics.median(of_one) for of_one in zip(*rounds))
        x50, x99 = ([r[i + 2] / r[i] for r in rounds] for i in (0, 1))
        print(f'{f"{what} {place}":36} {q50:9.2f} {q99:6.2f} {b50:11.2f} {b99:6.2f} {statistics.median(x50):6.1f}'
              f' {statistics.median(x99):6.1f} {min(x99):6.1f} {max(x99):6.1f} {max(map(max, busy[place, what])) * 1e3:8.1f}')
    print('target: p99 x <= 10')


def main():
    quiet, busy, commits, parses = {}, {}, [], []
    with tempfile.TemporaryDirectory(dir='/var/tmp') as source, tempfile.TemporaryDirectory(dir='/var/tmp') as spare:
        make_source(source)
        index = Index(source, spare)
        kept = set(os.listdir(source))
        for _ in range(ROUNDS):
            with Mount(source, '-o', 'commit=1') as m:
                measure(m.path, range(QUIET_NAMES), lambda: time.sleep(QUIET_SECONDS), quiet)
                write_draft(f'{m.path}/busy-1')
                await_commit(source)
                measure(m.path, range(QUIET_NAMES, NAMES),
                        lambda: commit_and_parse(source, m.path, index, commits, parses), busy)
            for name in set(os.listdir(source)) - kept:
                os.unlink(f'{source}/{name}')
    print(f'{ROUNDS} commits of {MIB} MiB took {min(commits):.1f} to {max(commits):.1f} s; the index of {VARIABLES:,} variables'
          f' was parsed {len(parses)} times meanwhile, in {min(parses):.2f} to {max(parses):.2f} s')
    show(quiet, busy)


if __name__ == '__main__':
    main()
