#!/usr/bin/env bash
# Mount options that are arguments of tf.train.Saver: commits do what the real Saver does with them. What is done and expected
# stands in saver_meta.py.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/saver_meta.py" "$builddir" "$fixtures" "$tmp" "$@"
