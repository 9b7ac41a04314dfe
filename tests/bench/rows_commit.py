"""Rows: what a commit of little in a large step takes."""
import glob
import os
import random

from data import MIB, mib, random_npy, small_name, step_of, write_npy
from measure import run, settle, shell, timed
from places import OURS, Ckptfs
from report import Curve, Line, Target


def commit_by_cp(npy, step, file):
    """Seconds until a new step has it."""
    return timed(lambda: shell('cp "$1" "$2/$3" && sync "$2/"', npy, step, file))


def files_of(folder):
    """The inodes below the folder, with the bytes that each takes on disk."""
    found = {}
    for base, folders, names in os.walk(folder):
        for name in folders + names:
            st = os.lstat(os.path.join(base, name))
            found[st.st_ino] = st.st_blocks * 512
    return found


def new_on_disk(before, after):
    """MiB."""
    return sum(size for inode, size in after.items() if inode not in before) / MIB


def commit_one_of(b, count):
    """A commit of one number in a step of COUNT that was read before: seconds; MiB of the daemon at its peak, above what it
    began with, and above what it had before the commit."""
    directory = b.data.many(count)
    with b.copy(directory) as d, Ckptfs(d) as m:
        start = m.memory()
        step = f'{m.path}/{step_of(directory)}'
        os.stat(f'{step}/{small_name(1)}.npy')
        number = f'{d}/number'
        write_npy(number, (), os.urandom(4))
        settle()
        read, peak = m.memory(), m.memory('VmHWM')
        m.forget_peak()
        took = commit_by_cp(number, step, f'{small_name(0)}.npy')
        if not os.path.exists(f'{d}/many-2.index'):
            raise RuntimeError('no step many-2')
        highest = m.memory('VmHWM')
        return {'': took, 'memory': max(peak, highest) - start, 'added': highest - read}


def commit_one(b):
    """TensorFlow reads all and writes all: where that takes more than ten seconds it is left out."""
    targets = {10000: 0.02, 100000: 0.05, 1000000: 0.25}
    for count in b.sizes.many:
        directory = b.data.many(count)
        prefix = f'{directory}/{step_of(directory)}'
        sides = {OURS: lambda c=count: commit_one_of(b, c)}
        if count <= b.sizes.rewritten // 10:
            sides['TensorFlow'] = lambda p=prefix: {'': b.tensorflow.ask('rewrite', p, f'{p}-again')}
        figures = b.alternate(sides)
        if count == b.sizes.rewritten:
            figures['']['TensorFlow'] = [b.tensorflow.ask('rewrite', prefix, f'{prefix}-again')]
        target = targets.get(count)
        yield Line(f'commit of one of {count:,} variables', figures[''], target=Target(target) if target else None)
        index = os.path.getsize(f'{prefix}.index') / MIB
        yield Line(f'memory at its peak, of {count:,}', {OURS: figures['memory'][OURS], 'index': [index]}, 'MiB',
                   Target(2, 'index') if count >= 100000 else None)
        yield Line(f'memory that the commit adds, of {count:,}', {OURS: figures['added'][OURS], 'index': [index]}, 'MiB')


def commit_size(b):
    """1 MiB changes in steps of several sizes, each made by TensorFlow, which reads and writes all of it for that."""
    for size in b.sizes.step_mib:
        with b.work() as source:
            b.tensorflow.ask('make', f'{source}/model-1', size)
            new = f'{source}/new'

            def ours():
                with b.copy(source) as d, Ckptfs(d) as m:
                    os.stat(f'{m.path}/model-1/small.npy')
                    random_npy(new, MIB)
                    settle()
                    before = files_of(d)
                    took = commit_by_cp(new, f'{m.path}/model-1', 'small.npy')
                    return {'': took, 'disk': new_on_disk(before, files_of(d))}

            def tensorflow():
                settle()
                return {'': b.tensorflow.ask('rewrite', f'{source}/model-1', f'{source}/again-1')}

            figures = b.alternate({OURS: ours, 'TensorFlow': tensorflow}, b.sizes.slow_turns)
        name = mib(size * MIB)
        yield Line(f'commit of 1 MiB of {name}', figures[''], target=Target(0.01 if size >= 4096 else 0.1, 'TensorFlow'))
        yield Line(f'new on disk for 1 MiB of {name}', figures['disk'], 'MiB', Target(1.2))


def commits(b):
    """Commits one after the other through `latest`, of 1 MiB each: of another variable each time, in no order."""
    count, blocks = b.sizes.commits, b.sizes.blocks
    seconds, shards, memory = [], [], []
    with b.copy(b.data.blocks(blocks)) as d, b.work() as spare, Ckptfs(d) as m:
        npy = f'{spare}/new.npy'
        run('ls', '-R', f'{m.path}/latest/')
        at_first = m.memory()
        before = files_of(d)
        order = random.Random(13)
        for i in range(1, count + 1):
            random_npy(npy, MIB)
            seconds.append((i, [commit_by_cp(npy, f'{m.path}/latest', f'b{order.randrange(blocks)}.npy')]))
            if i % max(1, count // 50) == 0:  # what all these files are listed for
                step = os.readlink(f'{m.path}/latest')
                shards.append((i, [len(glob.glob(f'{d}/{step}.data-*'))]))
                memory.append((i, [m.memory()]))
        names = len(os.listdir(d))
        disk = new_on_disk(before, files_of(d))
    times = [numbers[0] for _, numbers in seconds]
    part = max(1, count // 10)
    yield Line(f'one of {count:,} commits: the last tenth', {OURS: times[-part:], 'the first tenth': times[:part]},
               target=Target(1.25, 'the first tenth'))
    yield Line(f'shards after {count:,} commits', {OURS: shards[-1][1]}, '', Target(12) if count == 1000 else None)
    yield Line(f'names in the directory after {count:,}', {OURS: [names]}, '')
    yield Line(f'new on disk for {count:,} commits', {OURS: [disk], 'changed': [count]}, 'MiB', Target(3, 'changed'))
    yield Line(f'memory after {count:,} commits, above before', {OURS: [memory[-1][1][0] - at_first]}, 'MiB', Target(10))
    yield Curve('commits', f'{count:,} commits of 1 MiB through latest', 'commit', 'seconds; shards; MiB',
                {'seconds of the commit': seconds, 'shards of the step': shards, 'MiB of the daemon': memory})


ROWS = {f.__name__: f for f in (commit_one, commit_size, commits)}
