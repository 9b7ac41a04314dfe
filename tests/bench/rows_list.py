"""Rows: steps with many variables, and directories with many steps."""
import itertools
import os

from data import link_files, small_name, step_of
from measure import cold, run, shell, timed
from places import OURS, Ckptfs, Folder, Squashfs, knows_option
from report import Line, Target


def tar(b):
    """tar of a step of small variables. It goes into a pipe: tar reads no file for /dev/null."""
    count = b.sizes.small
    directory = b.data.many(count)
    tree = b.data.tree(directory)
    image = b.data.squashfs(tree)

    def twice(place, step=''):
        with place as m:
            cold('tar', 'cat')
            return {what: timed(lambda: shell('tar -cf - -C "$1" . | cat', m.path + step)) for what in ('cold', 'warm')}

    figures = b.alternate({OURS: lambda: twice(Ckptfs(directory), f'/{step_of(directory)}'),
                           'disk': lambda: twice(Folder(tree)), 'squashfuse': lambda: twice(Squashfs(image))})
    for what, sides in figures.items():
        yield Line(f'tar of {count:,} small variables, {what}', sides, target=Target(0.5, 'squashfuse'))


def ls(b):
    """ls -lR again, which asks for extended attributes of each file; `noxattr` makes the kernel answer that."""
    count = b.sizes.small
    directory = b.data.many(count)
    tree = b.data.tree(directory)
    image = b.data.squashfs(tree)

    def again(place, step=''):
        with place as m:
            run('ls', '-lR', m.path + step)
            return {'': timed(lambda: run('ls', '-lR', m.path + step))}

    others = {'disk': lambda: again(Folder(tree)), 'squashfuse': lambda: again(Squashfs(image))}
    step = f'/{step_of(directory)}'
    work = f'ls -lR of {count:,}, warm'
    yield Line(work, b.alternate({OURS: lambda: again(Ckptfs(directory), step), **others})[''])
    if not knows_option('noxattr'):
        print('no noxattr: this mount.ckptfs does not have the option')
        return
    sides = b.alternate({OURS: lambda: again(Ckptfs(directory, 'noxattr'), step), **others})['']
    yield Line(f'{work}, noxattr', sides, target=Target(3, 'disk'))


def list_times(directory):
    """Of one new mount `mount` and the first `ls` of the step, of another `find`, and what the daemon has then."""
    step = step_of(directory)
    with Ckptfs(directory) as m:
        took = {'mount': m.took, 'ls': timed(lambda: run('ls', f'{m.path}/{step}'))}
    with Ckptfs(directory) as m:
        took['find'] = timed(lambda: run('find', f'{m.path}/{step}'))
        took['memory'] = m.memory()
    return took


def first_ls(b):
    """What has to be parsed first. TensorFlow makes the same list in its process."""
    for count in (b.sizes.small, b.sizes.many[-1]):
        directory = b.data.many(count)
        run('cat', f'{directory}/{step_of(directory)}.index')

        def tensorflow(prefix=f'{directory}/{step_of(directory)}'):
            took = b.tensorflow.ask('list_variables', prefix)
            return {'ls': took, 'find': took}

        wide = count == 1000000
        figures = b.alternate({OURS: lambda d=directory: list_times(d), 'TensorFlow': tensorflow},
                              b.sizes.slow_turns if wide else None)
        yield Line(f'first ls of {count:,} variables', figures['ls'], target=Target(0.5) if wide else None)
        yield Line(f'find of {count:,} variables', figures['find'], target=Target(2.5) if wide else None)
        yield Line(f'memory after find of {count:,} variables', figures['memory'], 'MiB', Target(100) if wide else None)


def two_steps(b):
    """Two steps are read in turn: a file that was not asked for before. The first time the step is parsed."""
    count = b.sizes.many[-1]
    source = b.data.many(count)
    firsts, laters = [], []
    with b.work() as d:
        link_files(source, d)
        for suffix in '.index', '.data-00000-of-00001':
            run('cp', f'{d}/many-1{suffix}', f'{d}/many-2{suffix}')
        with Ckptfs(d) as m:
            asked = itertools.count()
            for turn in range(2 * b.sizes.turns + 2):
                path = f'{m.path}/many-{turn % 2 + 1}/{small_name(next(asked) * 100)}.npy'
                (firsts if turn < 2 else laters).append(timed(lambda p=path: os.stat(p)) * 1e3)
    yield Line(f'two steps of {count:,} in turn: a look-up', {OURS: laters, 'its first, which parses': firsts}, 'ms',
               target=Target(0.1, 'its first, which parses'))


def steps_in(b, count, folder):
    """A directory of COUNT steps, all of them links to one."""
    link_files(b.data.many(100), folder)
    for i in range(2, count + 1):
        for suffix in '.index', '.data-00000-of-00001':
            os.link(f'{folder}/many-1{suffix}', f'{folder}/many-{i}{suffix}')


def step_times(directory, count):
    with Ckptfs(directory) as m:
        return {'mount': m.took, 'ls': timed(lambda: run('ls', m.path)),
                'ls of a step': timed(lambda: run('ls', f'{m.path}/many-{count // 2 + 1}'))}


def steps(b):
    """A directory with many steps."""
    count = b.sizes.steps
    with b.work() as d:
        steps_in(b, count, d)
        figures = b.alternate({OURS: lambda: step_times(d, count),
                               'ls of the directory': lambda: {'ls': timed(lambda: run('ls', d))}})
    full = count == 10000
    yield Line(f'mount of {count:,} steps', figures['mount'], target=Target(0.1) if full else None)
    yield Line(f'first ls of {count:,} steps', figures['ls'])
    yield Line(f'first ls in one of {count:,} steps', figures['ls of a step'], target=Target(0.02) if full else None)


ROWS = {f.__name__: f for f in (tar, ls, first_ls, two_steps, steps)}
