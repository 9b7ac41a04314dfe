#!/usr/bin/env bash
# What takes ckptfs long: threads find what one thread finds, a terminal shows how far it is, and memory stays small.
. "$(dirname "$0")/../lib/mount.sh"
need_python
need strace taskset

"$CKPTFS_PYTHON" "$srcdir/tests/tf/work.py" "$builddir" "$tmp" "$@"
