#!/usr/bin/env bash
# ckptfs dedup: TensorFlow reads of each step what it read before; what is said to be saved is; and whatever ends it, each step is whole.
. "$(dirname "$0")/../lib/mount.sh"
need_python

"$CKPTFS_PYTHON" "$srcdir/tests/tf/dedup.py" "$builddir" "$fixtures" "$tmp" "$@"
