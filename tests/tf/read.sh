#!/usr/bin/env bash
# Every variable of every fixture, V1 and V2, reads as TensorFlow read it.
. "$(dirname "$0")/../lib/mount.sh"
need_python

pairs=()
for name in linear net dtypes sharded names many bigendian savedmodel keras snappy v1 v1-sharded partitioned \
  strings maxshard rotation absolute; do
  mount_ckpt "$fixtures/$name"
  pairs+=("$mnt" "$fixtures/$name.expected.json")
done

# A SavedModel's checkpoint directory by itself.
mount_ckpt "$fixtures/savedmodel/variables"
pairs+=("$mnt" "$fixtures/savedmodel.expected.json")

"$CKPTFS_PYTHON" "$srcdir/tests/tf/digests.py" "${pairs[@]}"
