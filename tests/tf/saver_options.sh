#!/usr/bin/env bash
# Options of a mount that are arguments of tf.train.Saver: after the same history both leave the same steps and the same state
# file. What is done and expected stands in saver_options.py.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/saver_options.py" "$builddir" "$tmp" "$@"
