#!/usr/bin/env bash
# load.sh [SECONDS]: writers, readers, those that sync, ask and rename, and a trainer, all at once: see load.py. For ten minutes by hand:
# load.sh 600.
. "$(dirname "$0")/../lib/mount.sh"
need_python
[ -x "$builddir/write_bundle" ] || skip "no write_bundle in $builddir"

mkdir "$tmp/work"
source=$tmp/work/net
cp -r "$srcdir/examples/net" "$source"
chmod -R u+w "$source"
mount_ckpt "$source" -o commit=1
"$CKPTFS_PYTHON" "$srcdir/tests/mount/load.py" "$builddir" "$source" "$mnt" "$mnt.log" "${1:-20}" >"$tmp/out" 2>&1 ||
  fail "$(tail -n 30 "$tmp/out")"
cat "$tmp/out"
unmount
[ ! -e "$source/.ckptfs" ] || fail "left: $(find "$source/.ckptfs")"
"$builddir/fsck.ckptfs" -n "$source" >"$tmp/out" 2>&1 || fail "fsck: $(cat "$tmp/out")"
