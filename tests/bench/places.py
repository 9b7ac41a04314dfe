"""What is mounted for a measurement: each mount is a context manager, and `path` is where it is."""
import functools
import os
import re
import shutil
import subprocess
import tempfile
import time

from measure import run, timed

BUILD = os.path.abspath(os.environ.get('CKPTFS_BUILD') or
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'build'))
PASSTHROUGH = os.environ.get('CKPTFS_PASSTHROUGH', '')  # the program; run.sh sets it
FSCK = f'{BUILD}/fsck.ckptfs'
CKPTFS = f'{BUILD}/ckptfs'
OURS = 'ckptfs'


def missing_peers():
    """Names of sides whose programs are not there."""
    programs = {'squashfuse': ['squashfuse_ll', 'mksquashfs'], 'bindfs': ['bindfs'], 'passthrough_ll': [PASSTHROUGH]}
    return {side for side, needed in programs.items() if not all(p and shutil.which(p) for p in needed)}


def knows_option(name):
    """Does this mount.ckptfs have the option? Earlier ones have fewer."""
    text = subprocess.run([f'{BUILD}/mount.ckptfs', '--help'], check=True, capture_output=True, text=True).stdout
    return re.search(rf'^ +{name}\b', text, re.MULTILINE) is not None


class Place:
    """Mounted by COMMAND, which goes to the background."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='ckptfs-bench.')
        try:
            self.took = timed(self.mount)
        except BaseException:
            os.rmdir(self.path)
            raise
        return self

    def mount(self):
        """What it says is shown if it fails; a pipe would be read until the daemon ends."""
        with tempfile.TemporaryFile('w+') as said:
            if subprocess.run(self.command(), check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=said).returncode:
                said.seek(0)
                raise RuntimeError(f'{self.command()}: {said.read()}')

    def __exit__(self, *_):
        # Someone else may look at a new mount for a moment.
        for _ in range(100):
            if subprocess.run(self.leave(), check=False, stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.05)
        else:
            run('umount', '-l', self.path)
        os.rmdir(self.path)

    def command(self):
        raise NotImplementedError

    def leave(self):
        return ['umount', self.path]


class Ckptfs(Place):
    def __init__(self, source, *options):
        self.source, self.options = source, options

    def command(self):
        return [f'{BUILD}/mount.ckptfs', self.source, self.path, *(word for o in self.options for word in ('-o', o))]

    def leave(self):
        return [f'{BUILD}/umount.ckptfs', self.path]  # which waits for the daemon's end

    @functools.cached_property
    def daemon(self):
        """Its process id."""
        return subprocess.run(['pgrep', '-f', f'mount.ckptfs .*{re.escape(self.path)}'], check=True,
                              capture_output=True, text=True).stdout.split()[-1]

    def forget_peak(self):
        """VmHWM begins anew."""
        with open(f'/proc/{self.daemon}/clear_refs', 'w', encoding='ascii') as f:
            f.write('5')

    def memory(self, field='VmRSS'):
        """MiB that the daemon has; with VmHWM the most it had."""
        with open(f'/proc/{self.daemon}/status', encoding='ascii') as f:
            return int(re.search(rf'^{field}:\s+(\d+) kB', f.read(), re.MULTILINE)[1]) / 1024


class Squashfs(Place):
    def __init__(self, image):
        self.image = image

    def command(self):
        return ['squashfuse_ll', self.image, self.path]


class Passthrough(Place):
    def __init__(self, source):
        self.source = source

    def command(self):
        return [PASSTHROUGH, '-o', f'source={self.source}', self.path]


class Bindfs(Place):
    def __init__(self, source):
        self.source = source

    def command(self):
        return ['bindfs', self.source, self.path]


class Folder:
    """The filesystem below, as a place."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
