"""Curves: how a time grows with the number of variables or steps, with bytes, and with readers. Each but the last also
gives lines: the exponent with which it grows in its last part. (The curve of commits is among their rows.)"""
import math
import os

from data import step_of, write_npy
from measure import cold, run, settle, shell, timed
from places import OURS, Ckptfs
from report import Curve, Line, Target
from rows_commit import commit_by_cp, commit_one_of
from rows_list import list_times, step_times, steps_in
from rows_read import random_sides


def exponent(points):
    """p, if it grows like x^p between the last two."""
    (x0, y0), (x1, y1) = points[-2:]
    return math.log(y1 / y0) / math.log(x1 / x0)


def growth(curve, name, most=1.1):
    """A line: the exponent. 1 is linear; by 0.1 more at most, as figures are not exact."""
    return Line(f'growth of {name} with {curve.xs}: exponent', {OURS: [exponent(curve.points(name))]}, '', Target(most))


def curve_variables(b):
    """First ls, find and a commit of one in steps of more and more variables."""
    series = {'first ls': [], 'find': [], 'commit of one': []}
    for count in b.sizes.curve_variables:
        directory = b.data.many(count)
        run('cat', f'{directory}/{step_of(directory)}.index')
        listed = b.alternate({OURS: lambda d=directory: list_times(d)}, b.sizes.slow_turns)
        committed = b.alternate({OURS: lambda c=count: commit_one_of(b, c)}, b.sizes.slow_turns)
        for name, numbers in ('first ls', listed['ls']), ('find', listed['find']), ('commit of one', committed['']):
            series[name].append((count, numbers[OURS]))
    curve = Curve('variables', 'Steps of many variables', 'variables', 'seconds', series)
    yield curve
    for name in series:
        yield growth(curve, name)


def curve_steps(b):
    """The mount and the first ls of directories with more and more steps."""
    series = {'mount': [], 'ls': [], 'ls of a step': []}
    for count in b.sizes.curve_steps:
        with b.work() as d:
            steps_in(b, count, d)
            figures = b.alternate({OURS: lambda: step_times(d, count)})
        for name, points in series.items():
            points.append((count, figures[name][OURS]))
    curve = Curve('steps', 'Directories of many steps', 'steps', 'seconds', series)
    yield curve
    for name in series:
        yield growth(curve, name)


def curve_sizes(b):
    """A variable of more and more bytes: written and committed, read cold, and a small one committed beside it."""
    series = {name: [] for name in ('cp + sync', 'cp + sync, disk', 'dd, cold', 'dd, cold, disk', 'commit of 4 B beside it')}

    def read(file):
        cold('dd')
        return timed(lambda: run('dd', f'if={file}', 'of=/dev/null', 'bs=1M', 'status=none'))

    def ours(file):
        with b.work() as d, b.work() as spare, Ckptfs(d) as m:
            step = f'{m.path}/s-1'
            os.mkdir(step)
            settle()
            written = commit_by_cp(file, step, 'w.npy')
            number = f'{spare}/number.npy'
            write_npy(number, (), bytes(4))
            settle()
            beside = commit_by_cp(number, step, 'number.npy')
            return {'cp + sync': written, 'commit of 4 B beside it': beside, 'dd, cold': read(f'{step}/w.npy')}

    def disk(file):
        with b.work() as d:
            settle()
            written = timed(lambda: shell('cp "$1" "$2" && sync "$2"', file, f'{d}/w.npy'))
            return {'cp + sync': written, 'dd, cold': read(f'{d}/w.npy')}

    for size in b.sizes.curve_bytes:
        file = b.data.file(size)
        run('cat', file)
        figures = b.alternate({OURS: lambda: ours(file), 'disk': lambda: disk(file)}, b.sizes.slow_turns)
        for name, sides in figures.items():
            for side, numbers in sides.items():
                series[name if side == OURS else f'{name}, disk'].append((size, numbers))
    curve = Curve('sizes', 'A variable of many bytes', 'bytes', 'seconds', series)
    yield curve
    for name in 'cp + sync', 'dd, cold':
        yield growth(curve, name)
    yield growth(curve, 'commit of 4 B beside it', 0.1)


def curve_readers(b):
    """Random reads of 4 KiB by more and more readers."""
    figures = b.alternate(random_sides(b, b.sizes.curve_jobs), b.sizes.slow_turns)
    series = {}
    for jobs, sides in figures.items():
        for side, numbers in sides.items():
            series.setdefault(side, []).append((jobs, numbers))
    yield Curve('readers', 'Random reads of 4 KiB, cold', 'readers', 'thousands/s', series)


ROWS = {f.__name__: f for f in (curve_variables, curve_steps, curve_sizes, curve_readers)}
