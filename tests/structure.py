#!/usr/bin/env python3
"""Is the house in order? tests/structure.py SOURCE_DIR BUILD_DIR

Prints each offence against these rules with its place, one a line, and ends with 1 if there is one:

  - A folder of src/ calls, and includes, only folders that stand behind it in ORDER.
  - No files call each other in a circle, and no headers include each other in one.
  - What a draft is in memory is known to draft/ and commit/ alone: no other folder includes PRIVATE, also not by another header.
  - Not too many files in a folder, lines in a file or lines in a function.

Calls are what the object files' symbols say (nm), so each file of src/ must be compiled in BUILD_DIR.
"""
import collections
import glob
import os
import re
import subprocess
import sys

ORDER = ['cli', 'verb', 'make', 'edit', 'tool fuse', 'raw', 'view', 'check commit dedup', 'draft', 'directory', 'safetensors', 'step', 'format', 'message', 'zip', 'base']
RANK = {folder: rank for rank, folders in enumerate(ORDER) for folder in folders.split()}
PRIVATE, MAY_KNOW = 'draft/draft_state.h', ('draft', 'commit')
MAX_FILES, MAX_LINES, MAX_FUNCTION = 18, 600, 70

Link = collections.namedtuple('Link', 'place what')  # place: FILE:LINE; what: "includes HEADER" or "uses SYMBOL of FILE"


def may_use(file, other):
    """Files are named FOLDER/NAME. Two folders of one rank know nothing of each other."""
    folder, behind = os.path.dirname(file), os.path.dirname(other)
    return folder == behind or RANK[folder] < RANK[behind]


def read_sources(source):
    """The lines of each file of src/, by FOLDER/NAME."""
    sources = {}
    for path in sorted(glob.glob(f'{source}/src/*/*')):
        with open(path, encoding='utf-8') as f:
            sources[os.path.relpath(path, f'{source}/src')] = f.read().splitlines()
    return sources


# --- sizes ----------------------------------------------------------------------------------------------------


def check_folders(sources):
    count = collections.Counter(os.path.dirname(file) for file in sources if file.endswith('.c'))
    for folder in sorted({os.path.dirname(file) for file in sources}):
        if folder not in RANK:
            yield f'src/{folder}: not one of {" ".join(ORDER)}'
        if count[folder] > MAX_FILES:
            yield f'src/{folder}: {count[folder]} .c files, more than {MAX_FILES}'


def functions(lines):
    """(name, first line, last line) of each. The braces around its body stand in the first column, as .clang-format has it."""
    for opening, line in enumerate(lines):
        if line != '{':
            continue
        first = opening
        while first and re.match(r'[A-Za-z_\t ]', lines[first - 1]) and not lines[first - 1].endswith((';', '*/')):
            first -= 1
        name = re.search(r'(\w+)\(', ' '.join(lines[first:opening]))
        last = next((i for i in range(opening, len(lines)) if lines[i].startswith('}')), len(lines) - 1)
        yield name.group(1) if name else '?', first + 1, last + 1


def check_lengths(sources):
    for file, lines in sources.items():
        if len(lines) > MAX_LINES:
            yield f'src/{file}: {len(lines)} lines, more than {MAX_LINES}'
        for name, first, last in functions(lines):
            if last - first >= MAX_FUNCTION:
                yield f'src/{file}:{first}: {name} has {last - first + 1} lines, more than {MAX_FUNCTION}'


# --- who uses whom --------------------------------------------------------------------------------------------


def includes(sources):
    """links[file][included] of files of src/; others' headers and generated ones are left out."""
    links = collections.defaultdict(dict)
    for file, lines in sources.items():
        for number, line in enumerate(lines, 1):
            found = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if found and found.group(1) in sources:
                links[file][found.group(1)] = Link(f'src/{file}:{number}', f'includes {found.group(1)}')
    return links


def object_of(build, file):
    """The newest, if one was left by a Makefile that gave it another prefix. None: there is none."""
    folder, name = os.path.split(file)
    wanted = re.compile(r'(\w+-)?' + re.escape(name[:-2]) + r'\.o')
    paths = [path for path in glob.glob(f'{build}/src/{folder}/*.o') if wanted.fullmatch(os.path.basename(path))]
    return max(paths, key=os.path.getmtime, default=None)


def symbols_of(path):
    """The global symbols that an object file defines, and those that it needs."""
    output = subprocess.run([os.environ.get('NM', 'nm'), '-P', '-g', path], check=True, capture_output=True, text=True).stdout
    symbols = [line.split()[:2] for line in output.splitlines() if line]
    needed = {name for name, kind in symbols if kind in 'Uvw'}
    return {name for name, _ in symbols} - needed, needed


def place_of(file, lines, symbol):
    """Where the file first has the word, in a function and not in a comment."""
    for number, line in enumerate(lines, 1):
        if re.match(rf'\s+(?!\s|/\*|\* ).*?\b{re.escape(symbol)}\b', line):
            return f'src/{file}:{number}'
    return f'src/{file}'


def calls(sources, objects):
    """links[file][other] of .c files. What none of our objects defines, of libraries and sanitizers, is no link."""
    symbols = {file: symbols_of(path) for file, path in objects.items()}
    homes = collections.defaultdict(set)
    for file, (defined, _) in symbols.items():
        for symbol in defined:
            homes[symbol].add(file)
    links = collections.defaultdict(dict)
    for file, (_, needed) in symbols.items():
        for symbol in sorted(needed):
            for other in homes[symbol]:
                links[file].setdefault(other, Link(place_of(file, sources[file], symbol), f'uses {symbol} of {other}'))
    return links


# --- the order and circles ------------------------------------------------------------------------------------


def check_order(links):
    for file in links:
        for other, link in links[file].items():
            if os.path.dirname(file) in RANK and os.path.dirname(other) in RANK and not may_use(file, other):
                yield f'{link.place}: {link.what}, which is not behind {os.path.dirname(file)} in the order'


def reachable(links, start):
    seen, waiting = set(), [start]
    while waiting:
        for other in links.get(waiting.pop(), ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def check_circles(links):
    """Each link that is a part of a circle."""
    reach = {file: reachable(links, file) for file in links}
    for file in sorted(links):
        for other, link in sorted(links[file].items()):
            if file in reach.get(other, ()):
                yield f'{link.place}: {link.what}, which leads back: a circle'


def check_private(links):
    for file in links:
        for other, link in links[file].items():
            from_outside = os.path.dirname(file) not in MAY_KNOW and os.path.dirname(other) in MAY_KNOW
            if from_outside and PRIVATE in reachable(links, other) | {other}:
                yield f'{link.place}: {link.what}, by which it knows {PRIVATE}: that is for {" and ".join(MAY_KNOW)} alone'


def check(source, build):
    sources = read_sources(source)
    objects = {file: object_of(build, file) for file in sources if file.endswith('.c')}
    yield from check_folders(sources)
    yield from check_lengths(sources)
    for links in includes(sources), calls(sources, {file: path for file, path in objects.items() if path}):
        yield from check_order(links)
        yield from check_circles(links)
    yield from check_private(includes(sources))
    for file, path in objects.items():
        if not path:
            yield f'src/{file}: not compiled in {build}'
    if not objects:
        yield f'{source}/src: no sources'


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    offences = list(check(*sys.argv[1:]))
    for offence in offences:
        print(offence)
    sys.exit(1 if offences else 0)


main()
