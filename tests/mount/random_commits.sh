#!/usr/bin/env bash
# random_commits.sh [COUNT [SEED...]]: a step's folder behaves as an ordinary one, also while others commit it: see random_commits.py. COUNT is
# how many changes are made for each seed.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need_python

count=${1:-100}
[ "$#" -gt 1 ] || set -- "$count" 1 2
for seed in "${@:2}"; do
  for timer in no yes; do
    copy_of linear
    new_mountpoint
    mkdir "$tmp/ordinary.$seed.$timer"
    "$CKPTFS_PYTHON" "$srcdir/tests/mount/random_commits.py" "$builddir" "$source" "$mnt" "$tmp/ordinary.$seed.$timer" "$seed" "$count" "$timer" \
      2>"$tmp/log" || fail "$(cat "$tmp/log")"
    nothing_is_lost
  done
done
