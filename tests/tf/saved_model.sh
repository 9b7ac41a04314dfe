#!/usr/bin/env bash
# What is written in a SavedModel is what tf.saved_model.load gets, and what was there before can be had again. What is done
# and expected stands in saved_model.py.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/saved_model.py" "$builddir" "$fixtures/../cases/savedmodel" "$tmp" "$@"
