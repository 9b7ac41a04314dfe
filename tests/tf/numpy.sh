#!/usr/bin/env bash
# Files are byte for byte what numpy.save writes.
. "$(dirname "$0")/../lib/mount.sh"
need_python

for step in linear/my-model-2000 dtypes/numeric strings/text bigendian/numeric partitioned/model-3; do
  echo "$step"
  mount_ckpt "$fixtures/${step%/*}"
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/numpy_save.py" "$mnt/${step#*/}"
  unmount
done
