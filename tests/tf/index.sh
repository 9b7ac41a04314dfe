#!/usr/bin/env bash
# An index that a commit makes of the base's holds, for the real TensorFlow, what it would if it had been written anew. What is done and expected
# stands in index.py.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
"$CKPTFS_PYTHON" "$srcdir/tests/tf/index.py" "$builddir" "$tmp" "$@"
