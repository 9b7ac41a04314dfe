#!/usr/bin/env bash
# A step's folder behaves as an ordinary one, whatever is done in it: see random_ops.py. SEED... may be named.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need_python

[ "$#" != 0 ] || set -- 1 2 3 4 5 6
for seed; do
  copy_of linear
  new_mountpoint
  mkdir "$tmp/ordinary.$seed"
  "$CKPTFS_PYTHON" "$srcdir/tests/mount/random_ops.py" "$builddir" "$source" "$mnt" "$tmp/ordinary.$seed" "$seed" 400 2>"$tmp/log" ||
    fail "$(cat "$tmp/log")"
  nothing_is_lost
done
