#!/usr/bin/env bash
# .npz archives: what NumPy reads of what ckptfs wrote, what NumPy wrote and ckptfs reads, and what others may have written.
. "$(dirname "$0")/../lib/mount.sh"
need_python

"$CKPTFS_PYTHON" "$srcdir/tests/tf/npz.py" "$builddir" "$fixtures" "$tmp" "$@"
