#!/usr/bin/env bash
# Arguments of tf.train.Saver that choose the files of a step: TensorFlow restores what commits write with them. What is done and
# expected stands in saver_formats.py.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/saver_formats.py" "$builddir" "$fixtures" "$tmp" "$@"
