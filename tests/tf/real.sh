#!/usr/bin/env bash
# Checkpoints of other projects, below CKPTFS_REAL: read as TensorFlow reads them, and edited with a part of each hidden.
. "$(dirname "$0")/../lib/mount.sh"
need_python

real=${CKPTFS_REAL:-$srcdir/../shared/real}
[ -d "$real" ] || skip_optional "no folder of checkpoints: set CKPTFS_REAL"
mount_ckpt "$real" -o ro
"$CKPTFS_PYTHON" "$srcdir/tests/tf/live_digests.py" "$real" "$mnt"

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/real_seen.py" "$builddir" "$fixtures" "$tmp" "$real"
