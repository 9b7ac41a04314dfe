#!/usr/bin/env python3
"""requests.py FILE COMMAND...: how often FILE is opened, by anyone, while the command runs."""
import ctypes
import os
import struct
import subprocess
import sys

IN_OPEN = 0x20
IN_CLOSE = 0x18  # between two opens that follow each other: of equal events inotify keeps one
LIBC = ctypes.CDLL(None, use_errno=True)

notify = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
if notify < 0 or LIBC.inotify_add_watch(notify, os.fsencode(sys.argv[1]), IN_OPEN | IN_CLOSE) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
subprocess.run(sys.argv[2:], check=True, stdout=subprocess.DEVNULL)
opens = 0
while True:
    try:
        events = os.read(notify, 1 << 16)
    except BlockingIOError:
        break
    while events:
        _, mask, _, length = struct.unpack_from("iIII", events)
        events = events[16 + length:]
        opens += mask & IN_OPEN != 0
print(opens)
