#!/usr/bin/env bash
# TensorFlow restores what src/format writes, and what TensorFlow wrote is written again as it was.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3
"$CKPTFS_PYTHON" "$srcdir/tests/tf/write.py" "$builddir/write_bundle" "$tmp"

real=${CKPTFS_REAL:-$srcdir/../shared/real}
[ ! -d "$real" ] || find "$real" -name '*.index' -exec "$builddir/write_bundle" -c {} +
