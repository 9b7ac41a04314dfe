#!/usr/bin/env bash
# ckptfs export and import: what the safetensors package reads and writes, and what TensorFlow restores of it.
. "$(dirname "$0")/../lib/mount.sh"
need_python

"$CKPTFS_PYTHON" "$srcdir/tests/tf/safetensors_files.py" "$builddir" "$fixtures" "$tmp" "$@"
