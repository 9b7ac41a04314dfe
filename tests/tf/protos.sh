#!/usr/bin/env bash
# proto/ describes the messages that TensorFlow has.
. "$(dirname "$0")/../lib/mount.sh"
need_python

export srcdir PROTOC_C=${PROTOC_C:-protoc-c} TF_CPP_MIN_LOG_LEVEL=3
"$CKPTFS_PYTHON" "$srcdir/tests/tf/protos.py"
