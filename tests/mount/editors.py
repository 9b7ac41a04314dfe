"""editors.py nano FILE OLD NEW: nano, on a terminal of its own, replaces OLD by NEW everywhere, saves FILE with a backup, and ends.
editors.py emacs FILE OLD NEW: the same by the steps that emacs 28 takes with its defaults. They are written down from its
manual, not recorded: the package is too large to be installed for this. It tries to lock FILE by a symbolic link, and makes do with a file; it saves by itself as
#FILE#; it renames FILE to FILE~, and writes it anew."""
import os
import pty
import select
import sys
import time


def nano(path, old, new):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", HOME="/nonexistent")
        os.execvp("nano", ["nano", "--ignorercfiles", "--backup", path])
    # Replace is ^\, all is A, save is ^O and enter, leave is ^X.
    for keys in "\x1c", old + "\r", new + "\r", "a", "\x0f", "\r", "\x18":
        quiet = time.monotonic() + 0.5
        while time.monotonic() < quiet:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    os.read(terminal, 65536)
                except OSError:
                    break
        os.write(terminal, keys.encode())
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass
    status = os.waitpid(pid, 0)[1]
    assert status == 0, status


def emacs(path, old, new):
    folder, name = os.path.split(path)
    lock, saved = os.path.join(folder, ".#" + name), os.path.join(folder, f"#{name}#")
    try:
        os.symlink("user@host.1:1", lock)
        raise AssertionError("a symbolic link was made in a step")
    except PermissionError:
        nonce = os.path.join(folder, ".#-emacsAb12Cd")
        fd = os.open(nonce, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, b"user@host.1:1")
        os.fchmod(fd, 0o644)
        os.close(fd)
        os.rename(nonce, lock)
    with open(path, encoding="utf-8") as file:
        text = file.read().replace(old, new).encode()
    for at in saved, path:
        if at == path:
            os.rename(path, path + "~")
        fd = os.open(at, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.write(fd, text)
        os.fsync(fd)
        os.close(fd)
    os.chmod(path, os.stat(path + "~").st_mode & 0o777)
    os.unlink(saved)
    os.unlink(lock)


{"nano": nano, "emacs": emacs}[sys.argv[1]](*sys.argv[2:])
