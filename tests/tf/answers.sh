#!/usr/bin/env bash
# What README.md answers under "Questions and answers" is so, by TensorFlow and NumPy.
without_fuse=yes
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/answers.py" "$builddir" "$fixtures" "$tmp" "$@"
