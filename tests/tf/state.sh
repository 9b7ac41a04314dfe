#!/usr/bin/env bash
# TensorFlow reads the state file as src/directory/state_update.c changes it, and goes on from there.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=
"$CKPTFS_PYTHON" "$srcdir/tests/tf/state.py" "$builddir/state_tool" "$tmp"
