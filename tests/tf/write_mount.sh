#!/usr/bin/env bash
# What is written through a mount, by NumPy and by other tools, is what the real TensorFlow restores, and all else is as it
# was. What is done and expected stands in write_mount.py.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/write_mount.py" "$builddir" "$fixtures" "$tmp" "$@"
