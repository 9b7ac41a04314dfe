"""Rows: files are read through the mount, and beside it.

"cold": nothing is cached; "shard cached": only what lies on disk is, and the mount is new; "warm": for the second time."""
import json
import os
import subprocess

from data import mib, step_of
from measure import cold, run, shell, timed
from places import FSCK, OURS, Ckptfs, Folder, Passthrough, Squashfs
from report import Line, Target


def cache_files(folder):
    """What lies in it on disk is cached."""
    shell('cat "$1"/*', folder)


def load(b):
    """np.load of all variables of a step, one after the other."""
    import numpy as np
    count = b.sizes.blocks
    directory = b.data.blocks(count)
    tree = b.data.tree(directory)

    def loaded(folder):
        for i in range(count):
            np.load(f'{folder}/b{i}.npy')

    def twice(place, step=''):
        with place as m:
            cold()
            return {what: timed(lambda: loaded(m.path + step)) for what in ('cold', 'warm')}

    def tensorflow():
        cold()
        return {what: b.tensorflow.ask('get_tensors', f'{directory}/{step_of(directory)}', count) for what in ('cold', 'warm')}

    b.tensorflow.ask('get_tensors', f'{directory}/{step_of(directory)}', count)  # its first is slower
    figures = b.alternate({OURS: lambda: twice(Ckptfs(directory), f'/{step_of(directory)}'),
                           'disk': lambda: twice(Folder(tree)), 'TensorFlow': tensorflow})
    for what, sides in figures.items():
        yield Line(f'np.load of {count:,} × 1 MiB, {what}', sides, target=Target(1.2, 'disk'))


def cat(b):
    """cat of all variables of a step."""
    count = b.sizes.blocks
    directory = b.data.blocks(count)
    image = b.data.squashfs(b.data.tree(directory))

    def twice(place, step=''):
        with place as m:
            return {what: timed(lambda: shell('cat "$1"/*.npy', m.path + step)) for what in ('shard cached', 'warm')}

    cache_files(directory)
    run('cat', image)
    figures = b.alternate({OURS: lambda: twice(Ckptfs(directory), f'/{step_of(directory)}'),
                           'squashfuse': lambda: twice(Squashfs(image))})
    for what, sides in figures.items():
        yield Line(f'cat of {count:,} × 1 MiB, {what}', sides, target=Target(1, 'squashfuse'))


def reads_per_second(file, jobs, reads, seed):
    """Thousands of reads of 4 KiB at random places by fio; READS in all."""
    cold('fio')
    command = ['fio', '--name=random', f'--filename={file}', '--readonly', '--rw=randread', '--bs=4k', '--ioengine=psync',
               f'--numjobs={jobs}', f'--io_size={reads // jobs * 4096}', '--norandommap', f'--randseed={seed}',
               '--group_reporting', '--output-format=json']
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout[done.stdout.index('{'):])['jobs'][0]['read']['iops'] / 1000


def random_sides(b, jobs):
    """For `alternate`: each side reads the large variable with each of JOBS."""
    directory = b.data.one(b.sizes.big)
    tree = b.data.tree(directory)
    seeds = {}

    def with_jobs(side, place, step=''):
        seeds[side] = seeds.get(side, 0) + 1  # the same for all sides in a turn
        with place as m:
            return {n: reads_per_second(f'{m.path}{step}/w.npy', n, b.sizes.random_reads, seeds[side]) for n in jobs}

    return {OURS: lambda: with_jobs(OURS, Ckptfs(directory), f'/{step_of(directory)}'),
            'passthrough_ll': lambda: with_jobs('passthrough_ll', Passthrough(tree)),
            'disk': lambda: with_jobs('disk', Folder(tree)),
            'squashfuse': lambda: with_jobs('squashfuse', Squashfs(b.data.squashfs(tree)))}


def random(b):
    """4 KiB at random places of a large variable."""
    for jobs, sides in b.alternate(random_sides(b, (1, 4))).items():
        yield Line(f'random 4 KiB, cold, {jobs} job{"s" if jobs > 1 else ""}', sides, 'thousands/s',
                   Target(1, 'passthrough_ll', at_least=True))


def dd(b):
    """A large variable from its begin to its end."""
    directory = b.data.one(b.sizes.big)
    tree = b.data.tree(directory)
    image = b.data.squashfs(tree)

    def read(m, step):
        return timed(lambda: run('dd', f'if={m.path}{step}/w.npy', 'of=/dev/null', 'bs=1M', 'status=none'))

    def three(make, below, step=''):
        with make() as m:
            cold('dd')
            took = {'cold': read(m, step)}
        shell('cat "$@"', *below)
        with make() as m:
            return {**took, 'shard cached': read(m, step), 'warm': read(m, step)}

    shards = [f'{directory}/{name}' for name in os.listdir(directory)]
    figures = b.alternate({OURS: lambda: three(lambda: Ckptfs(directory), shards, f'/{step_of(directory)}'),
                           'disk': lambda: three(lambda: Folder(tree), [f'{tree}/w.npy']),
                           'squashfuse': lambda: three(lambda: Squashfs(image), [image])})
    targets = {'cold': Target(1.05, 'disk'), 'shard cached': Target(0.67, 'squashfuse'), 'warm': Target(1, 'squashfuse')}
    for what, sides in figures.items():
        yield Line(f'dd of {mib(b.sizes.big)}, {what}', sides, target=targets[what])


def fsck(b):
    """All checksums, beside cat of the same files."""
    directory = b.data.one(b.sizes.big)

    def ours():
        cold(FSCK)
        return {'': timed(lambda: run(FSCK, '-n', directory))}

    def theirs():
        cold('cat')
        return {'': timed(lambda: cache_files(directory))}

    sides = b.alternate({OURS: ours, 'cat': theirs})['']
    yield Line(f'fsck.ckptfs of {mib(b.sizes.big)}, cold', sides, target=Target(1.11, 'cat'))


ROWS = {f.__name__: f for f in (load, cat, random, dd, fsck)}
