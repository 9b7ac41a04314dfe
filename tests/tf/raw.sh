#!/usr/bin/env bash
# A mount with `raw` is TensorFlow's directory. What is done and expected stands in raw.py.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/raw.py" "$builddir" "$fixtures" "$tmp" "$@"
