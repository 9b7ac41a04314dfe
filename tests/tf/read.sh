#!/usr/bin/env bash
# Every variable of every V2 fixture reads as TensorFlow read it.
. "$(dirname "$0")/../lib/mount.sh"
need_python

for name in linear net dtypes sharded names many bigendian savedmodel keras snappy partitioned \
  strings maxshard rotation absolute; do
  echo "$name"
  mount_ckpt "$fixtures/$name"
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/digests.py" "$mnt" "$fixtures/$name.expected.json" --skip-v1
  unmount
done

# A SavedModel's checkpoint directory by itself.
mount_ckpt "$fixtures/savedmodel/variables"
"$CKPTFS_PYTHON" "$srcdir/tests/tf/digests.py" "$mnt" "$fixtures/savedmodel.expected.json"
