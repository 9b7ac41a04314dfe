"""Runs the tests of a script that are named, or all, and tells how each went; mounts."""

import os
import subprocess
import sys
import tempfile
import time
import traceback


class Mount:
    """BUILD/mount.ckptfs shows SOURCE in a new folder of FOLDER, at .at, until the end of the `with`."""

    def __init__(self, build, source, options, folder):
        self.source = source
        self.at = tempfile.mkdtemp(dir=folder, prefix="at.")
        self.daemon = subprocess.Popen([f"{build}/mount.ckptfs", source, self.at, "--foreground", "-o", options])
        while not os.path.ismount(self.at):
            assert self.daemon.poll() is None, "did not mount"
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0]:  # whose traceback has files open
            subprocess.run(["umount", "-l", self.at], check=True)
            self.daemon.kill()
        else:
            subprocess.run(["umount", self.at], check=True)
            assert self.daemon.wait() == 0

    def sync(self, step="latest"):
        fd = os.open(os.path.join(self.at, step, "."), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def run(tests, names):
    failed = {}
    for test in tests:
        if names and test.__name__ not in names:
            continue
        start = time.monotonic()
        try:
            test()
        except Exception:
            failed[test.__name__] = traceback.format_exc()
            print(failed[test.__name__], flush=True)
        print(f"{test.__name__}: {'FAILED' if test.__name__ in failed else 'ok'}, {time.monotonic() - start:.1f} s", flush=True)
    for name, why in failed.items():  # once more: of a long log only the end may be shown
        print(f"FAIL: {name}: {why}", file=sys.stderr)
    sys.exit(bool(failed))
