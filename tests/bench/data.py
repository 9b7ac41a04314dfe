"""Checkpoints and .npy files that are measured. Each is made when it is first asked for, below one folder."""
import functools
import os
import shutil
import struct
import subprocess

from measure import run
from places import BUILD, Ckptfs

MIB = 1 << 20


def mib(size):
    """As text."""
    return f'{size // MIB} MiB' if size < 1 << 30 else f'{size >> 30} GiB'


def npy_header(shape, fortran=False):
    text = f"{{'descr': '<f4', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', 118) + text.ljust(117) + b'\n'


def write_npy(path, shape, data, fortran=False):
    with open(path, 'wb') as f:
        f.write(npy_header(shape, fortran))
        f.write(data)


def random_npy(path, size):
    """float32 numbers of SIZE bytes in all, any bits."""
    with open(path, 'wb') as f:
        f.write(npy_header((size // 4,)))
        for start in range(0, size, 16 * MIB):
            f.write(os.urandom(min(size - start, 16 * MIB)))


def write_step(prefix, files):
    """A step of the pairs in FILES: the variable's name, the .npy file that it is made of."""
    lines = ''.join(f'tensor {name.encode().hex()} 0 {path}\n' for name, path in files)
    subprocess.run([f'{BUILD}/write_bundle', prefix], input='bundle 1 0\n' + lines, text=True, check=True)
    with open(f'{os.path.dirname(prefix)}/checkpoint', 'w', encoding='utf-8') as f:
        f.write(f'model_checkpoint_path: "{os.path.basename(prefix)}"\n')


def small_name(i):
    """Of the i-th of many small variables: 100 in a folder, so that no folder is the whole step."""
    return f'scope{i // 100}/v{i % 100}'


def link_files(source, target):
    """The checkpoint again, without its bytes; the state file is a file of its own."""
    for entry in os.scandir(source):
        place = f'{target}/{entry.name}'
        if entry.name == 'checkpoint':
            shutil.copy(entry.path, place)
        else:
            os.link(entry.path, place)


class Data:
    def __init__(self, root):
        self.root = root

    def made(self, name, make):
        """The path of NAME. MAKE writes it; it has its name when it is whole."""
        path = f'{self.root}/{name}'
        if not os.path.exists(path):
            part = f'{self.root}/making'
            os.makedirs(part, exist_ok=True)
            made = f'{part}/{name}'
            make(made)
            os.rename(made, path)
        return path

    def file(self, size, which=0):
        """A .npy file with SIZE bytes of numbers; another WHICH has others."""
        return self.made(f'file-{size}-{which}.npy', lambda path: random_npy(path, size))

    def one(self, size):
        """A directory whose step `one-1` has a variable `w` of SIZE bytes."""
        def make(path):
            os.mkdir(path)
            write_step(f'{path}/one-1', [('w', self.file(size))])
        return self.made(f'one-{size}', make)

    def numbers(self, size, which):
        """As `one`, with numbers as a model has them; another WHICH has others."""
        import numpy as np

        def make(path):
            os.mkdir(path)
            rng = np.random.default_rng(which)
            write_npy(f'{path}/w.npy', (size // 4,), rng.standard_normal(size // 4, dtype=np.float32).data)
            write_step(f'{path}/numbers-1', [('w', f'{path}/w.npy')])
            os.unlink(f'{path}/w.npy')
        return self.made(f'numbers-{size}-{which}', make)

    def blocks(self, count):
        """A directory whose step `blocks-1` has COUNT variables of 1 MiB, `b0` and on."""
        def make(path):
            os.mkdir(path)
            files = [(f'b{i}', f'{path}/b{i}.npy') for i in range(count)]
            for _, file in files:
                random_npy(file, MIB)
            write_step(f'{path}/blocks-1', files)
            for _, file in files:
                os.unlink(file)
        return self.made(f'blocks-{count}', make)

    def many(self, count):
        """A directory whose step `many-1` has COUNT variables of one number, as small_name names them."""
        def make(path):
            os.mkdir(path)
            number = f'{path}/number.npy'
            write_npy(number, (), bytes(4))
            write_step(f'{path}/many-1', ((small_name(i), number) for i in range(count)))
            os.unlink(number)
        return self.made(f'many-{count}', make)

    def tree(self, directory):
        """What cp -r makes of the step of one of these directories: the same files, for those that are compared with."""
        def make(path):
            with Ckptfs(directory, 'ro') as m:
                run('cp', '-r', f'{m.path}/{step_of(directory)}', path)
        return self.made(f'{os.path.basename(directory)}.tree', make)

    def squashfs(self, tree):
        """The same as an image for squashfuse, not compressed."""
        return self.made(f'{os.path.basename(tree)}.squashfs', lambda path: run(
            'mksquashfs', tree, path, '-no-progress', '-noI', '-noD', '-noF', '-noX'))

    @functools.cached_property
    def filesystem(self):
        return subprocess.run(['findmnt', '-no', 'FSTYPE', '-T', self.root], check=True, capture_output=True,
                              text=True).stdout.strip()


def step_of(directory):
    return f'{os.path.basename(directory).split("-")[0]}-1'
