#!/usr/bin/env python3
"""How long things take, beside what else could do them: tests/bench/bench.py [NAME]...

NAME: first_ls, steps, sequential, fsck, commit; all of them without one. CKPTFS_BUILD is the folder with the programs (default:
build). As root caches are dropped before what is called cold. The two sides of a comparison take turns, ROUNDS times;
medians are printed, and the ratio of the medians. CKPTFS_PYTHON, if set, is a Python with TensorFlow to compare with.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(os.environ.get('ROUNDS', '7'))
HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, '..', 'assets', 'fixtures')
BUILD = os.path.abspath(os.environ.get('CKPTFS_BUILD', os.path.join(HERE, '..', '..', 'build')))
SIZE = 1 << 30


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def timed(function):
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3


def drop_caches():
    os.sync()
    with open('/proc/sys/vm/drop_caches', 'w') as f:
        f.write('3')


class Mount:
    def __init__(self, source, *options):
        self.source, self.options = source, options

    def __enter__(self):
        self.path = tempfile.mkdtemp()
        self.took = timed(lambda: run(f'{BUILD}/mount.ckptfs', self.source, self.path, *self.options))
        return self

    def __exit__(self, *_):
        run(f'{BUILD}/umount.ckptfs', self.path)  # which waits for the daemon's end
        os.rmdir(self.path)


def show(name, milliseconds, target=''):
    low, high = min(milliseconds), max(milliseconds)
    print(f'{name:58} {statistics.median(milliseconds):9.1f} ms  ({low:.1f} to {high:.1f})  {target}')
    return statistics.median(milliseconds)


def ratio(name, ours, theirs, target=''):
    print(f'{name:58} {ours / theirs:9.2f} x   {target}')


def tensorflow_lists(prefix):
    """What TensorFlow takes for the same list in its process: the first time, and the later ones."""
    code = ('import time, tensorflow as tf\n'
            f'for i in range({ROUNDS}):\n'
            '    t = time.perf_counter(); n = len(tf.train.list_variables(%r))\n'
            '    print((time.perf_counter() - t) * 1e3)\n' % prefix)
    env = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    out = subprocess.run([os.environ['CKPTFS_PYTHON'], '-c', code], check=True, env=env, capture_output=True, text=True)
    return [float(x) for x in out.stdout.split()]


def first_ls():
    """`ls` and `find` just after the mount, the index not in memory."""
    mounts, lists, finds = [], [], []
    for _ in range(ROUNDS):
        with Mount(f'{FIXTURES}/many') as m:
            mounts.append(m.took)
            lists.append(timed(lambda: run('ls', f'{m.path}/model-1')))
        with Mount(f'{FIXTURES}/many') as m:
            finds.append(timed(lambda: run('find', m.path)))
    show('many (20,000 variables): mount', mounts)
    show('many: first ls of the step', lists, 'target < 20 (for 400 variables)')
    ours = show('many: find, cold index', finds)
    if 'CKPTFS_PYTHON' in os.environ:
        theirs = tensorflow_lists(f'{FIXTURES}/many/model-1')
        print(f'{"many: TensorFlow list_variables, its first":58} {theirs[0]:9.1f} ms')
        ratio('many: find beside it', ours, theirs[0], 'target <= 1')


def steps():
    """A directory with 10,000 steps, all links to one."""
    with tempfile.TemporaryDirectory() as d:
        for suffix in ('.index', '.data-00000-of-00001'):
            shutil.copy(f'{FIXTURES}/net/my_net.ckpt{suffix}', f'{d}/m-0{suffix}')
            for i in range(1, 10000):
                os.link(f'{d}/m-0{suffix}', f'{d}/m-{i}{suffix}')
        mounts, lists, inside, plain = [], [], [], []
        for _ in range(ROUNDS):
            plain.append(timed(lambda: run('ls', d)))
            with Mount(d) as m:
                mounts.append(m.took)
                lists.append(timed(lambda: run('ls', m.path)))
                inside.append(timed(lambda: run('ls', f'{m.path}/m-5000')))
    show('10,000 steps: mount', mounts, 'target < 100')
    ours = show('10,000 steps: first ls', lists)
    ratio('10,000 steps: beside ls of the directory itself', ours, show('10,000 steps: ls of the directory', plain))
    show('10,000 steps: ls in one of them', inside, 'target < 20')


def big_checkpoint(d):
    """1 GiB in one variable, written by TensorFlow."""
    code = ('import tensorflow as tf\n'
            f'w = tf.random.normal([{SIZE // 4 // 16384}, 16384])\n'
            'tf.raw_ops.SaveV2(prefix=%r, tensor_names=["w"], shape_and_slices=[""], tensors=[w])\n' % f'{d}/big-1')
    subprocess.run([os.environ['CKPTFS_PYTHON'], '-c', code], check=True, capture_output=True)
    return f'{d}/big-1.data-00000-of-00001'


def sequential():
    """cat of a variable of 1 GiB through the mount, beside cat of its shard."""
    with tempfile.TemporaryDirectory(dir='/var/tmp') as d:
        shard = big_checkpoint(d)
        times = {}
        for _ in range(ROUNDS):
            drop_caches()
            times.setdefault('cat of the shard, cold', []).append(timed(lambda: run('cat', shard)))
            with Mount(d) as m:
                drop_caches()
                times.setdefault('cat of the variable, cold', []).append(timed(lambda: run('cat', f'{m.path}/big-1/w.npy')))
            run('cat', shard)
            with Mount(d) as m:
                times.setdefault('cat of the shard, cached', []).append(timed(lambda: run('cat', shard)))
                times.setdefault('cat of the variable, shard cached', []).append(timed(lambda: run('cat', f'{m.path}/big-1/w.npy')))
                times.setdefault('cat of the variable, again', []).append(timed(lambda: run('cat', f'{m.path}/big-1/w.npy')))
        median = {name: show('1 GiB: ' + name, t) for name, t in times.items()}
        ratio('1 GiB: variable beside shard, cold', median['cat of the variable, cold'], median['cat of the shard, cold'])
        ratio('1 GiB: variable again beside shard', median['cat of the variable, again'], median['cat of the shard, cached'])


def fsck():
    """fsck.ckptfs of 1 GiB beside cat of the same files, cold."""
    with tempfile.TemporaryDirectory(dir='/var/tmp') as d:
        shard = big_checkpoint(d)
        cats, fscks = [], []
        for _ in range(ROUNDS):
            drop_caches()
            cats.append(timed(lambda: run('cat', shard)))
            drop_caches()
            fscks.append(timed(lambda: run(f'{BUILD}/fsck.ckptfs', '-n', d)))
        theirs = show('1 GiB: cat, cold', cats)
        ours = show('1 GiB: fsck.ckptfs, cold', fscks)
        ratio('1 GiB: speed of fsck beside cat', theirs, ours, 'target >= 0.8')


class TensorFlow:
    """A process in which it is loaded: makes steps, and writes them anew."""
    CODE = '''
import glob, os, sys, time
import tensorflow as tf

def make(prefix, mib):
    sizes = [1] + [32] * ((mib - 1) // 32) + [(mib - 1) % 32]
    tensors = [tf.random.normal([n * 64, 4096]) for n in sizes]
    names = ["small"] + [f"large/{i}" for i in range(1, len(sizes))]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)
    with open(os.path.join(os.path.dirname(prefix), "checkpoint"), "w") as f:
        f.write(f'model_checkpoint_path: "{os.path.basename(prefix)}"\\n')
    return 0

def rewrite(prefix, _):
    start = time.perf_counter()
    types = tf.train.load_checkpoint(prefix).get_variable_to_dtype_map()
    names, whole = sorted(types), [""] * len(types)
    tensors = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=names, shape_and_slices=whole, dtypes=[types[n] for n in names])
    tf.raw_ops.SaveV2(prefix=prefix + "-again", tensor_names=names, shape_and_slices=whole, tensors=tensors)
    took = (time.perf_counter() - start) * 1e3
    for path in glob.glob(prefix + "-again.*"):
        os.unlink(path)
    return took

for line in sys.stdin:
    what, prefix, mib = line.split()
    print({"make": make, "rewrite": rewrite}[what](prefix, int(mib)), flush=True)
'''

    def __enter__(self):
        env = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
        self.process = subprocess.Popen([os.environ['CKPTFS_PYTHON'], '-c', self.CODE], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def ask(self, what, prefix, mib=0):
        print(what, prefix, mib, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def files_of(folder):
    """The inodes below the folder, with the bytes that each takes on disk."""
    found = {}
    for base, folders, names in os.walk(folder):
        for name in folders + names:
            st = os.lstat(os.path.join(base, name))
            found[st.st_ino] = st.st_blocks * 512
    return found


def random_npy(path):
    """1 MiB of float32 numbers, as the variable `small` has."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (64, 4096), }"
    with open(path, 'wb') as f:
        f.write(b'\x93NUMPY\x01\x00v\x00' + header.ljust(117) + b'\n' + os.urandom(1 << 20))


def edit(mounted, directory, npy):
    """cp over a variable of the latest step and sync: what they take in ms, what is new on disk in MiB."""
    random_npy(npy)
    os.sync()
    before = files_of(directory)
    names = set(os.listdir(directory))
    copied = timed(lambda: run('cp', npy, f'{mounted}/latest/small.npy'))
    synced = timed(lambda: run('sync', f'{mounted}/latest/'))
    assert len([n for n in set(os.listdir(directory)) - names if n.endswith('.index')]) == 1
    after = files_of(directory)
    return copied, synced, sum(n for ino, n in after.items() if ino not in before) / 2**20


def commit_of(tf, mib, rounds):
    """1 MiB of a step with MIB is written anew, beside TensorFlow that reads and writes all of it; then ten times in a chain."""
    name = f'{mib} MiB' if mib < 1024 else f'{mib // 1024} GiB'
    ours, syncs, theirs, new = [], [], [], []
    with tempfile.TemporaryDirectory(dir='/var/tmp') as d, tempfile.TemporaryDirectory() as t:
        if os.statvfs(d).f_bavail * os.statvfs(d).f_frsize < mib * 3 << 20:
            print(f'{name}: not enough room on disk')
            return
        tf.ask('make', f'{d}/model-1', mib)
        for i in range(max(rounds, ROUNDS)):
            with Mount(d) as m:
                copied, synced, disk = edit(m.path, d, f'{t}/new.npy')
            ours.append(copied + synced)
            syncs.append(synced)
            new.append(disk)
            if i < rounds:
                theirs.append(tf.ask('rewrite', f'{d}/model-1'))
        median = show(f'{name}: cp of 1 MiB and sync', ours, 'target <= 50')
        show(f'{name}: of this the sync', syncs)
        print(f'{name + ": new on disk, the most":58} {max(new):9.2f} MiB  target <= 1.2')
        their_median = show(f'{name}: TensorFlow reads and writes all', theirs)
        ratio(f'{name}: TensorFlow beside it', their_median, median, 'target >= 100 (4 GiB)')
        with Mount(d) as m:
            chain = [edit(m.path, d, f'{t}/new.npy') for _ in range(10)]
        show(f'{name}: each of ten edits through latest/', [copied + synced for copied, synced, _ in chain], 'target <= 50')
        print(f'{name + ": new on disk for the ten":58} {sum(disk for _, _, disk in chain):9.2f} MiB  target <= 12')


def commit():
    """An edit of 1 MiB through to the new step, in steps of several sizes."""
    with TensorFlow() as tf:
        for mib, rounds in ((64, ROUNDS), (1024, ROUNDS), (4096, 2)):
            commit_of(tf, mib, rounds)


def main():
    known = {f.__name__: f for f in (first_ls, steps, sequential, fsck, commit)}
    for name in sys.argv[1:] or known:
        known[name]()


if __name__ == '__main__':
    main()
