#!/usr/bin/env bash
# Checkpoints of other projects, below CKPTFS_REAL, read as TensorFlow reads them.
. "$(dirname "$0")/../lib/mount.sh"
need_python

real=${CKPTFS_REAL:-$srcdir/../shared/real}
[ -d "$real" ] || skip_optional "no folder of checkpoints: set CKPTFS_REAL"
mount_ckpt "$real" -o ro
"$CKPTFS_PYTHON" "$srcdir/tests/tf/live_digests.py" "$real" "$mnt"
