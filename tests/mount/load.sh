#!/usr/bin/env bash
# load.sh [SECONDS]: writers, readers, those that sync, ask and rename, and a trainer, all at once: see load.py. For ten minutes by hand:
# load.sh 600.
. "$(dirname "$0")/../lib/mount.sh"
need_python
[ -x "$builddir/write_bundle" ] || skip "no write_bundle in $builddir"

seconds=${1:-20}
mkdir "$tmp/training"
source=$tmp/training/net
cp -r "$srcdir/examples/net" "$source"
chmod -R u+w "$source"
mount_ckpt "$source" -o commit=1

# A daemon that dies while it tells the kernel something is not gone before its mount is given up, nor are those who wait for it.
give_up() {
  local i
  trap - EXIT ERR
  for ((i = 0; i < seconds + 150; i++)); do
    [ ! -e "$tmp/done" ] || return 0
    sleep 1
  done
  umount -f "$mnt"
}
give_up 2>/dev/null &
"$CKPTFS_PYTHON" "$srcdir/tests/mount/load.py" "$builddir" "$source" "$mnt" "$mnt.log" "$seconds" >"$tmp/out" 2>&1 || {
  umount -f "$mnt" 2>/dev/null || true
  fail "$(tail -n 30 "$tmp/out")"
}
touch "$tmp/done"
cat "$tmp/out"
unmount
[ ! -e "$source/.ckptfs" ] || fail "left: $(find "$source/.ckptfs")"
# A trainer may have removed a step just before the state file was written.
"$builddir/fsck.ckptfs" -n "$source" >"$tmp/out" 2>&1 || true
grep -qE "steps, [0-9]+ variables, [0-9]+ bytes verified" "$tmp/out" || fail "fsck: $(cat "$tmp/out")"
! grep -vE '^note: |/checkpoint: lists [^ ]*, which is gone$|bytes verified' "$tmp/out" || fail "fsck: $(cat "$tmp/out")"
