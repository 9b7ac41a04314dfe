#!/usr/bin/env bash
# Every variable of every fixture, read by the library without a mount, as TensorFlow read it.
. "$(dirname "$0")/../lib/mount.sh"
need_python

for name in linear net dtypes sharded names many bigendian keras snappy v1 v1-sharded partitioned strings maxshard \
  rotation absolute; do
  echo "$name"
  "$builddir/vardump" "$fixtures/$name" >"$tmp/dump"
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/library.py" "$tmp/dump" "$fixtures/$name.expected.json"
done
"$builddir/vardump" "$fixtures/savedmodel/variables" >"$tmp/dump"
"$CKPTFS_PYTHON" "$srcdir/tests/tf/library.py" "$tmp/dump" "$fixtures/savedmodel.expected.json"
