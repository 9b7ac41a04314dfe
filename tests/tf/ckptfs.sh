#!/usr/bin/env bash
# What ckptfs says of every variable of the fixtures is what TensorFlow and NumPy say.
. "$(dirname "$0")/../lib/mount.sh"
need_python
need strace script

"$CKPTFS_PYTHON" "$srcdir/tests/tf/ckptfs.py" "$builddir" "$fixtures" "$tmp" "$@"
