#!/usr/bin/env bash
# As crash.sh, for a user who may write to the directory and to whom the files do not belong: there are no hard links to
# them (fs.protected_hardlinks), so that a commit copies.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
[ "$(id -u)" = 0 ] || skip_optional "only root can make files of two owners"
[ "$(cat /proc/sys/fs/protected_hardlinks)" = 1 ] || skip_optional "fs.protected_hardlinks is off"
need_user

prepare_edit
chmod 644 "$tmp"/*.npy
chmod 777 "$tmp" # io_hook.hit is theirs
ck=$tmp/ck

mount_theirs() {
  new_mountpoint
  chown 65534:65534 "$mnt"
  rm -f "$hook" "$hook.hit"
  start_daemon "${unprivileged[@]}" env LD_PRELOAD="$builddir/io_hook.so" IO_HOOK="$hook" \
    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
    "$builddir/mount.ckptfs" "$ck" "$mnt" --foreground -o "$options,uid=65534"
}

n=$start
while :; do
  n=$((n + stride))
  fresh "$ck"
  chmod -R go-w "$ck"
  chown 65534:65534 "$ck" "$ck/checkpoint"
  mount_theirs
  as_user cp "$tmp/large.npy" "$mnt/my_net.ckpt/hidden/large.npy"
  arm "$n" kill
  run_armed as_user sync "$mnt/my_net.ckpt"
  was_hit || break
  context="killed at call $n, $(cat "$hook.hit")"
  kill_daemon
  mount_theirs
  as_user sync "$mnt" || fail "$context: sync failed after the recovery"
  as_user cat "$mnt/my_net.ckpt-1/hidden/large.npy" | cmp - "$tmp/large.npy"
  as_user cat "$mnt/my_net.ckpt-1/output/weights.npy" | cmp - "$tmp/before/output/weights.npy"
  unmount
  check_old "$ck"
  left=$(find "$ck" -mindepth 1 | wc -l)
  [ "$left" = 8 ] || fail "$context: strays: $(find "$ck" -mindepth 1)"
  "$builddir/fsck.ckptfs" -n "$ck" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
done
[ "$status" = 0 ] || fail "sync failed, and nothing was done to it: $(cat "$tmp/err")"
[ "$n" -gt 20 ] || fail "a commit of $n calls?"
[ -n "$(find "$ck" -name 'my_net.ckpt-1.data-*' -links 1)" ] || fail "nothing was copied"
echo "killed at calls, up to $((n - 1))"
