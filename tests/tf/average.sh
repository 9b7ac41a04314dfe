#!/usr/bin/env bash
# ckptfs average, cast and merge: what TensorFlow reads of the new steps is what NumPy and ml_dtypes make of the old ones.
. "$(dirname "$0")/../lib/mount.sh"
need_python

"$CKPTFS_PYTHON" "$srcdir/tests/tf/average.py" "$builddir" "$fixtures" "$tmp" "$@"
