#!/usr/bin/env python3
"""Measures ckptfs beside what else could do the work: `run.sh` sets up what this needs, and starts it.

main.py [NAME...] [--quick]: rows of the table and curves by name, all without one. `--help` lists them.
"""
import argparse
import contextlib
import dataclasses
import functools
import os
import signal
import sys
import tempfile

import curves
import rows_commit
import rows_list
import rows_read
import rows_tool
import rows_wait
import rows_write
from data import Data, link_files
from measure import alternate
from places import BUILD, missing_peers
from report import HEAD, Curve, machine, text_line, write_json, write_table
from warm_tf import WarmTF

ROWS = {name.replace('_', '-'): function
        for module in (rows_write, rows_read, rows_list, rows_commit, rows_wait, rows_tool, curves)
        for name, function in module.ROWS.items()}


@dataclasses.dataclass
class Sizes:
    """How much is measured. `turns` is how often each side's turn comes, `slow_turns` where a turn takes ten seconds."""
    turns: int = 5
    slow_turns: int = 3
    big: int = 1 << 30  # bytes of the one large variable
    blocks: int = 1000  # variables of 1 MiB
    small: int = 20000  # variables that tar and ls see
    many: tuple = (10000, 100000, 1000000)  # variables
    rewritten: int = 100000  # variables that TensorFlow still reads and writes again
    steps: int = 10000
    commits: int = 1000
    random_reads: int = 8192
    step_mib: tuple = (64, 1024, 4096)
    quiet_seconds: float = 10
    curve_variables: tuple = (100, 1000, 10000, 100000, 1000000)
    curve_steps: tuple = (1, 10, 100, 1000, 10000)
    curve_bytes: tuple = (1 << 10, 32 << 10, 1 << 20, 32 << 20, 1 << 30, 4 << 30)
    curve_jobs: tuple = (1, 2, 4, 8)


QUICK = Sizes(turns=3, slow_turns=2, big=64 << 20, blocks=100, small=2000, many=(1000, 10000), rewritten=1000, steps=1000,
              commits=30, random_reads=1024, step_mib=(64,), quiet_seconds=2, curve_variables=(100, 1000, 10000),
              curve_steps=(1, 10, 100, 1000), curve_bytes=(1 << 10, 32 << 10, 1 << 20, 32 << 20), curve_jobs=(1, 2, 4))


class Bench:
    """What a row is given: sizes, data, and the peers that are there."""

    def __init__(self, sizes, root):
        self.sizes, self.root = sizes, root
        self.data = Data(root)
        self.missing = missing_peers()

    def alternate(self, sides, turns=None):
        """As in `measure`, without the sides that are not there."""
        return alternate({name: side for name, side in sides.items() if name not in self.missing},
                         turns or self.sizes.turns)

    @contextlib.contextmanager
    def work(self):
        """An empty folder on the disk that is measured."""
        with tempfile.TemporaryDirectory(dir=self.root, prefix='work.') as path:
            yield path

    @contextlib.contextmanager
    def copy(self, directory):
        """The checkpoint directory again, for a commit."""
        with self.work() as path:
            link_files(directory, path)
            yield path

    @functools.cached_property
    def tensorflow(self):
        return WarmTF()

    def close(self):
        if 'tensorflow' in self.__dict__:
            self.tensorflow.close()


def measure(bench, names):
    """All lines and curves; each line is printed when it is there."""
    lines, drawn = [], []
    print(text_line(HEAD), flush=True)
    for name in names:
        for result in ROWS[name](bench):
            if isinstance(result, Curve):
                drawn.append(result)
                continue
            result.row = name
            lines.append(result)
            print(text_line(result.cells()), flush=True)
    return lines, drawn


def draw(found, folder):
    if not found:
        return
    try:
        import plot  # it needs matplotlib
    except ImportError as e:
        print(f'no pictures of the curves: {e}')
        return
    for curve in found:
        plot.draw(curve, f'{folder}/{curve.name}.png')


def main():
    parser = argparse.ArgumentParser(prog='run.sh', description='Measures ckptfs beside what else could do the work.',
                                     epilog='names: ' + ' '.join(ROWS))
    parser.add_argument('names', metavar='NAME', nargs='*', help='a row of the table, or a curve; all without one')
    parser.add_argument('--quick', action='store_true', help='less data, fewer turns')
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in ROWS]
    if unknown:
        parser.error(f'there is no {unknown[0]}; names: {" ".join(ROWS)}')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = os.environ.get('CKPTFS_BENCH_OUT') or f'{BUILD}/bench'
    os.makedirs(out, exist_ok=True)
    with contextlib.ExitStack() as stack:
        root = os.environ.get('CKPTFS_BENCH_DATA')
        if root:
            root = f'{root}/quick' if arguments.quick else root
            os.makedirs(root, exist_ok=True)
        else:
            root = stack.enter_context(tempfile.TemporaryDirectory(
                dir=os.environ.get('TMPDIR', '/var/tmp'), prefix='ckptfs-bench.'))
        bench = stack.enter_context(contextlib.closing(Bench(QUICK if arguments.quick else Sizes(), os.path.realpath(root))))
        for side in sorted(bench.missing):
            print(f'no {side}')
        lines, found = measure(bench, arguments.names or ROWS)
        about = machine(bench.data.filesystem)
    draw(found, out)
    write_json(f'{out}/results.json', about, lines, found)
    write_table(f'{out}/table.md', about, lines)
    print(f'{sum(line.verdict() == "ok" for line in lines)} ok, {sum(line.verdict() == "short" for line in lines)} short; '
          f'{out}/results.json, table.md{", and a picture of each curve" if found else ""}')


if __name__ == '__main__':
    main()
