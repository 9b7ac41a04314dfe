"""A figure with what it is compared with, and whether it is as it must be; the table of all, as text, Markdown and JSON."""
import dataclasses
import json
import os
import platform
import re
import statistics
import subprocess
import time

from places import OURS


@dataclasses.dataclass
class Target:
    """Ours is at most FACTOR times the side THAN; without one, at most FACTOR. With at_least: at least."""
    factor: float
    than: str | None = None
    at_least: bool = False

    def met(self, ours, theirs):
        value = ours / theirs if self.than else ours
        return value >= self.factor if self.at_least else value <= self.factor

    def text(self, unit):
        sign = '≥' if self.at_least else '≤'
        return f'{sign} {self.factor:g} × {self.than}' if self.than else f'{sign} {self.factor:g} {unit}'.rstrip()


@dataclasses.dataclass
class Line:
    """One line of the table. SIDES: by name, ours first, the numbers of all turns."""
    work: str
    sides: dict[str, list[float]]
    unit: str = 's'
    target: Target | None = None
    row: str = ''

    def median(self, side):
        return statistics.median(self.sides[side])

    def ratio(self):
        """Of our median to that of the side which the target names."""
        if not self.target or self.target.than not in self.sides or not self.median(self.target.than):
            return None
        return self.median(OURS) / self.median(self.target.than)

    def verdict(self):
        """Nothing where there is no target, or its side is not there."""
        if not self.target or (self.target.than and self.ratio() is None):
            return ''
        met = self.target.met(self.median(OURS), self.median(self.target.than) if self.target.than else None)
        return 'ok' if met else 'short'

    def cell(self, side):
        numbers = self.sides[side]
        text = short(self.median(side))
        return f'{text} ({short(min(numbers))}–{short(max(numbers))})' if len(numbers) > 1 else text

    def cells(self):
        ratio = self.ratio()
        peers = '; '.join(f'{side} {self.cell(side)}' for side in self.sides if side != OURS)
        return [f'{self.work}, {self.unit}' if self.unit else self.work, self.cell(OURS), peers,
                f'{ratio:.2f}' if ratio is not None else '', self.target.text(self.unit) if self.target else '', self.verdict()]

    def as_json(self):
        return {'row': self.row, 'work': self.work, 'unit': self.unit, 'sides': self.sides,
                'medians': {side: self.median(side) for side in self.sides}, 'ratio': self.ratio(),
                'target': self.target.text(self.unit) if self.target else None, 'verdict': self.verdict() or None}


@dataclasses.dataclass
class Curve:
    """SERIES: by name, the pairs of x and the numbers of all turns there. XS says what x is, YS what the numbers are."""
    name: str
    title: str
    xs: str
    ys: str
    series: dict[str, list[tuple[float, list[float]]]]

    def points(self, name):
        return [(x, statistics.median(numbers)) for x, numbers in self.series[name]]


def short(x):
    """Three digits, and no exponent; of what is counted, all."""
    if isinstance(x, int) or abs(x) >= 100:
        return f'{x:,.0f}'
    return f'{x:#.3g}'.rstrip('.')


HEAD = ['work', OURS, 'others', 'ratio', 'must be', '']
WIDTHS = [50, 22, 62, 6, 22, 5]


def text_line(cells):
    return '  '.join(c.ljust(w) for c, w in zip(cells, WIDTHS)).rstrip()


def markdown(lines):
    rows = [HEAD, ['---'] * len(HEAD)] + [line.cells() for line in lines]
    return ''.join('| ' + ' | '.join(row) + ' |\n' for row in rows)


def first_line(*command):
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return ''
    return ((done.stdout or done.stderr).splitlines() or [''])[0].strip()


def machine(filesystem):
    """Where it was measured, and with which versions of what."""
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        model = re.search(r'^model name\s*: (.*)$', f.read(), re.MULTILINE)
    here = os.path.dirname(os.path.abspath(__file__))
    return {
        'date': time.strftime('%Y-%m-%d'),
        'commit': first_line('git', '-C', here, 'describe', '--always', '--dirty'),
        'processor': f'{os.cpu_count()} × {model[1] if model else platform.machine()}',
        'memory': f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        'kernel': platform.release(),
        'disk': filesystem,
        'libfuse': first_line('pkg-config', '--modversion', 'fuse3'),
        'squashfuse': first_line('dpkg-query', '-W', '-f', '${Version}', 'squashfuse'),
    }


def write_json(path, about, lines, curves):
    with open(path, 'w', encoding='utf-8') as f:
        json.dump({'about': about, 'lines': [line.as_json() for line in lines],
                   'curves': [dataclasses.asdict(c) for c in curves]}, f, indent=1, ensure_ascii=False)


def write_table(path, about, lines):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(', '.join(f'{name} {value}' for name, value in about.items() if value) + '\n\n' + markdown(lines))
