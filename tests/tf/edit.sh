#!/usr/bin/env bash
# What ckptfs changes without a mount is, byte for byte, what the same commands change on a mount; and TensorFlow restores it.
. "$(dirname "$0")/../lib/mount.sh"
need_python

"$CKPTFS_PYTHON" "$srcdir/tests/tf/edit.py" "$builddir" "$fixtures" "$tmp" "$@"
