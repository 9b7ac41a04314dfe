#!/usr/bin/env bash
# Messages as text, and text as messages, compared with protobuf for Python.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export srcdir builddir TF_CPP_MIN_LOG_LEVEL=3
"$CKPTFS_PYTHON" "$srcdir/tests/tf/textpb.py" "${CKPTFS_REAL:-$srcdir/../shared/real}"
