#!/usr/bin/env bash
# STEP.safetensors on a mount with -o safetensors: what the safetensors package reads of it, and what becomes of it when the step changes.
# What is done and expected stands in safetensors_mount.py.
. "$(dirname "$0")/../lib/mount.sh"
need cp find du rm
need_python

"$CKPTFS_PYTHON" "$srcdir/tests/tf/safetensors_mount.py" "$builddir" "$fixtures" "$tmp" "$@"
