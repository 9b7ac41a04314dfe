"""Rows: files are written through the mount, and beside it."""
import os

from data import MIB, mib, step_of
from measure import alternate, run, settle, shell, timed
from places import OURS, Bindfs, Ckptfs, Folder
from report import Line, Target


def cp_big(b):
    """cp of a large .npy file over a variable, until it is committed; on disk: until fsync of the copy."""
    new = b.data.file(b.sizes.big, which=1)
    run('cat', new)

    def ours():
        with b.copy(b.data.one(b.sizes.big)) as d, Ckptfs(d) as m:
            step = f'{m.path}/one-1/'
            os.stat(f'{step}/w.npy')
            settle()
            took = timed(lambda: shell('cp "$1" "$2/w.npy" && sync "$2"', new, step))
            must_exist(f'{d}/one-2.index')
        return {'': took}

    def below(place):
        with b.work() as d, place(d) as m:
            settle()
            return {'': timed(lambda: shell('cp "$1" "$2" && sync "$2"', new, f'{m.path}/copy.npy'))}

    sides = b.alternate({OURS: ours, 'disk': lambda: below(Folder), 'bindfs': lambda: below(Bindfs)})['']
    yield Line(f'cp of {mib(b.sizes.big)} over a variable + sync', sides, target=Target(1.5, 'disk'))


def must_exist(path):
    if not os.path.exists(path):
        raise RuntimeError(f'no commit has made {path}')


def cp_many(b):
    """cp -r of a folder of .npy files as a new step, until it is committed; on disk: until syncfs."""
    count = b.sizes.blocks
    files = b.data.tree(b.data.blocks(count))
    shell('cat "$1"/*.npy', files)

    def ours():
        with b.work() as d, Ckptfs(d) as m:
            settle()
            took = timed(lambda: shell('cp -r "$1" "$2" && sync "$2/"', files, f'{m.path}/new-1'))
            must_exist(f'{d}/new-1.index')
        return {'': took}

    def below(place):
        with b.work() as d, place(d) as m:
            settle()
            return {'': timed(lambda: shell('cp -r "$1" "$2" && sync -f "$3"', files, f'{m.path}/new-1', d))}

    sides = b.alternate({OURS: ours, 'disk': lambda: below(Folder), 'bindfs': lambda: below(Bindfs)})['']
    yield Line(f'cp -r of {count:,} × 1 MiB + sync', sides, target=Target(2, 'disk'))


def edit(path, turn):
    """4 KiB in the middle of the array."""
    import numpy as np
    array = np.lib.format.open_memmap(path, mode='r+')
    middle = len(array) // 2
    array[middle:middle + 1024] = turn
    array.flush()


def edit_map(b):
    """A few numbers change through a mapping in a large variable; on disk: in a copy of it."""
    directory = b.data.one(b.sizes.big)
    file = f'{b.data.tree(directory)}/w.npy'
    run('cat', file)
    turns = iter(range(1, 1000))

    def ours():
        with b.copy(directory) as d, Ckptfs(d) as m:
            step = f'{m.path}/{step_of(directory)}/'
            os.stat(f'{step}/w.npy')
            settle()

            def work():
                edit(f'{step}/w.npy', next(turns))
                run('sync', step)
            took = timed(work)
            must_exist(f'{d}/one-2.index')
        return {'': took}

    def disk():
        with b.work() as d:
            settle()

            def work():
                run('cp', file, f'{d}/w.npy')
                edit(f'{d}/w.npy', next(turns))
                run('sync', f'{d}/w.npy')
            return {'': timed(work)}

    sides = b.alternate({OURS: ours, 'disk': disk})['']
    yield Line(f'4 KiB by open_memmap in {mib(b.sizes.big)} + sync', sides, target=Target(1.1, 'disk'))


def raw(b):
    """TensorFlow saves through a mount with `raw`, and restores, beside the directory itself; always under a new name."""
    b.tensorflow.ask('hold', 8, b.sizes.big // MIB)
    numbers = iter(range(1000))
    with b.work() as d, Ckptfs(d, 'raw') as m:
        def through(folder):
            prefix = f'{folder}/m-{next(numbers)}'
            settle()
            return {what: b.tensorflow.ask(what, prefix) for what in ('save', 'restore')}

        sides = {OURS: lambda: through(m.path), 'disk': lambda: through(d)}
        alternate(sides, 1)  # TensorFlow's first is slower
        figures = b.alternate(sides)
    b.tensorflow.ask('hold', 0, 0)  # it lets go of the memory
    size = mib(b.sizes.big)
    yield Line(f'SaveV2 of {size} with raw', figures['save'], target=Target(1.11, 'disk'))
    yield Line(f'RestoreV2 of {size} with raw', figures['restore'])


ROWS = {f.__name__: f for f in (cp_big, cp_many, edit_map, raw)}
