#!/usr/bin/env python3
"""How long things take, beside what else could do them: tests/bench/bench.py [NAME]...

NAME: first_ls, steps, sequential, fsck; all of them without one. CKPTFS_BUILD is the folder with the programs (default:
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
        run('umount', self.path) if os.getuid() == 0 else run('fusermount3', '-u', self.path)
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


def main():
    known = {f.__name__: f for f in (first_ls, steps, sequential, fsck)}
    for name in sys.argv[1:] or known:
        known[name]()


main()
