"""Rows: `ckptfs` without a mount, beside cmp, cat and cp of the same bytes."""
import os
import re
import shutil
import subprocess
import time

from data import link_files, mib, step_of
from measure import cold, run, settle, shell, timed
from places import CKPTFS, OURS
from report import Line, Target


def tool(*command, status=0):
    """Runs ckptfs. Seconds."""
    def work():
        p = subprocess.run([CKPTFS, *command], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        assert p.returncode == status, (command, p.returncode)
    return timed(work)


def peak(*command):
    """MiB that a run of ckptfs has in memory at its peak."""
    most = 0
    with subprocess.Popen([CKPTFS, *command], stdin=subprocess.DEVNULL) as p:
        while p.poll() is None:
            with open(f'/proc/{p.pid}/status', encoding='ascii') as f:
                found = re.search(r'^VmHWM:\s+(\d+) kB', f.read(), re.MULTILINE)
            most = max(most, int(found[1])) if found else most
            time.sleep(0.005)
    assert p.returncode == 0, command
    return most / 1024


def tool_start(b):
    """The program alone, and a list of many variables."""
    directory = b.data.many(b.sizes.small)
    step = f'{directory}/{step_of(directory)}'
    took = b.alternate({OURS: lambda: {'start': tool('--version'), 'ls': tool('ls', '-lR', step)}})
    yield Line('ckptfs --version', took['start'], target=Target(0.005))
    yield Line(f'ckptfs ls -lR of {b.sizes.small:,} variables', took['ls'], target=Target(0.05))


def tool_stat(b):
    """The numbers of all variables of a step, beside cat of its bytes."""
    for directory, what in ((b.data.blocks(b.sizes.blocks), f'{b.sizes.blocks:,} × 1 MiB'),
                            (b.data.many(b.sizes.small), f'{b.sizes.small:,} small variables')):
        step = f'{directory}/{step_of(directory)}'
        sides = b.alternate({OURS: lambda step=step: {'': tool('stat', step)},
                             'cat': lambda d=directory: {'': timed(lambda: shell('cat "$1"/*', d))}})['']
        yield Line(f'ckptfs stat of {what}, cached', sides)


def tool_diff(b):
    """Two steps of which no piece is the same, beside cmp of two equal files of that size; and two that share all but 1 MiB."""
    size = b.sizes.big
    one, other = b.data.numbers(size, 0), b.data.numbers(size, 1)
    a = f'{one}/{step_of(one)}'
    shard = f'{a}.data-00000-of-00001'
    with b.work() as work:
        shutil.copy(shard, f'{work}/again')
        sides = b.alternate({OURS: lambda: {'': tool('diff', a, f'{other}/{step_of(other)}', status=1)},
                             'cmp': lambda: {'': timed(lambda: run('cmp', shard, f'{work}/again'))}})['']
    yield Line(f'ckptfs diff of {mib(size)} that differ everywhere, cached', sides, target=Target(1.11, 'cmp'))
    directory = b.data.blocks(b.sizes.blocks)
    with b.work() as work:
        link_files(directory, work)
        run(CKPTFS, 'cp', f'{directory}/blocks-1/b1', f'{work}/blocks-1/b0')
        sides = b.alternate({OURS: lambda: {'': tool('diff', f'{work}/blocks-1', f'{work}/blocks-2', status=1)}})['']
    yield Line(f'ckptfs diff of {b.sizes.blocks:,} × 1 MiB that share all but one', sides, target=Target(0.05))


def tool_average(b):
    """Three steps become one, beside cat of all and cp of one; to the end of sync."""
    size = b.sizes.big
    directories = [b.data.numbers(size, which) for which in range(3)]
    steps = [f'{d}/{step_of(d)}' for d in directories]
    shards = [f'{step}.data-00000-of-00001' for step in steps]

    def ours():
        with b.work() as work:
            link_files(directories[0], work)
            settle()
            cold(CKPTFS)
            took = timed(lambda: (run(CKPTFS, 'average', f'{work}/{os.path.basename(steps[0])}', *steps[1:], '-o', 'mean'), os.sync()))
            run(CKPTFS, 'rm', '-r', f'{work}/mean')
            settle()
            return {'time': took, 'memory': peak('average', f'{work}/{os.path.basename(steps[0])}', *steps[1:], '-o', 'mean')}

    def disk():
        with b.work() as work:
            settle()
            cold('cp', 'cat')
            return {'time': timed(lambda: (shell('cat "$2" "$3" | cat >/dev/null; cp "$1" "$4"', *shards, f'{work}/mean'), os.sync()))}

    figures = b.alternate({OURS: ours, 'cat and cp': disk}, b.sizes.slow_turns)
    yield Line(f'ckptfs average of three of {mib(size)} + sync, cold', figures['time'], target=Target(1.11, 'cat and cp'))
    yield Line(f'memory of ckptfs average of three of {mib(size)}', figures['memory'], 'MiB', Target(64))


def tool_convert(b):
    """A step becomes a .safetensors file, and that a step, beside cp; to the end of sync."""
    directory = b.data.numbers(b.sizes.big, 0)
    step = f'{directory}/{step_of(directory)}'

    def once(ways):
        with b.work() as work:
            took = {}
            for what, command in ways(work).items():
                settle()
                took[what] = timed(lambda c=command: (run(*c), os.sync()))
            return took

    run('cat', f'{step}.data-00000-of-00001')
    figures = b.alternate({
        OURS: lambda: once(lambda work: {'export': (CKPTFS, 'export', step, f'{work}/x.safetensors'),
                                         'import': (CKPTFS, 'import', f'{work}/x.safetensors', f'{work}/new/x-1')}),
        'cp': lambda: once(lambda work: {'export': ('cp', f'{step}.data-00000-of-00001', f'{work}/x'),
                                         'import': ('cp', f'{work}/x', f'{work}/y')})})
    for what, sides in figures.items():
        yield Line(f'ckptfs {what} of {mib(b.sizes.big)} + sync, cached', sides, target=Target(1.11, 'cp'))


ROWS = {f.__name__: f for f in (tool_start, tool_stat, tool_diff, tool_average, tool_convert)}
