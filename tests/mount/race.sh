#!/usr/bin/env bash
# What is written while commits go on is in one of the steps: see race.py.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need_python

writable linear
"$CKPTFS_PYTHON" "$srcdir/tests/mount/race.py" "$mnt" "${1:-120}"
nothing_is_lost
unmount
