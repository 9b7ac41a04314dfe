#!/usr/bin/env bash
# One mount writes to a directory; others are told who that is, and may read.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"

prepare_edit
ck=$tmp/ck
fresh "$ck"

mount_ckpt "$ck" -o "$options"
writer=$mnt
pid=${daemons[$writer]}

# refused: a second mount for writing says so, and changes nothing.
refused() {
  new_mountpoint
  run "$builddir/mount.ckptfs" "$ck" "$mnt" --foreground -o "$options"
  [ "$status" = 32 ] || fail "$1: a second mount for writing ends with $status, not 32"
  ! is_mounted "$mnt" || fail "$1: mounted twice for writing"
  grep -qF -- "-o ro" "$tmp/err" || fail "$1: does not say how: $(cat "$tmp/err")"
  grep -qF "process $pid" "$tmp/err" || fail "$1: does not say that process $pid has it: $(cat "$tmp/err")"
}

refused "without a draft"
[ "$(find "$ck" -mindepth 1 | wc -l)" = 4 ] || fail "the lock leaves a trace: $(ls -A "$ck")"
edit "$writer/my_net.ckpt"
refused "with a draft"
refused "and again"
check_step "$tmp/want" "$writer/my_net.ckpt"

# A reader beside it sees steps, not drafts, and new ones as they come.
mount_ckpt "$ck" -o ro
reader=$mnt
check_step "$tmp/before" "$reader/my_net.ckpt"
[ ! -e "$reader/my_net.ckpt-1" ] || fail "a step before its commit"
sync "$writer"
check_step "$tmp/want" "$reader/my_net.ckpt-1"
[ "$(readlink "$reader/latest")" = my_net.ckpt-1 ] || fail "the reader's latest is $(readlink "$reader/latest")"
if touch "$reader/my_net.ckpt/new.npy" 2>"$tmp/err"; then fail "a reader writes"; fi
grep -qF "Read-only file system" "$tmp/err" || fail "a reader that writes is told: $(cat "$tmp/err")"

# One that comes from elsewhere only sees the file in .ckptfs.
rm "$writer/my_net.ckpt/hidden/weights.npy"
[ -e "$ck/.ckptfs/lock" ] || fail "no lock with a draft"
grep -qF "process $pid" "$ck/.ckptfs/lock" || fail "the lock says: $(cat "$ck/.ckptfs/lock")"

# A writer that was killed holds nothing any more, and its draft is the next one's.
kill_daemon "$writer"
mount_ckpt "$ck" -o "$options"
writer=$mnt
pid=${daemons[$writer]}
[ ! -e "$writer/my_net.ckpt/hidden/weights.npy" ] || fail "what the killed one did is lost"
refused "after a kill"
sync "$writer"
[ -e "$ck/my_net.ckpt-2.index" ] || fail "the draft of the killed one was not committed"
unmount "$writer"
[ ! -e "$ck/.ckptfs" ] || fail "left: $(find "$ck/.ckptfs")"

# When it is gone, the next one may.
mount_ckpt "$ck" -o "$options"
cp "$tmp/weights.npy" "$mnt/my_net.ckpt/hidden/weights.npy"
sync "$mnt"
[ -e "$ck/my_net.ckpt-3.index" ] || fail "the next writer can't write"
unmount
unmount "$reader"
[ ! -e "$ck/.ckptfs" ] || fail "left: $(find "$ck/.ckptfs")"
