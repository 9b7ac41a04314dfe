#!/usr/bin/env bash
# Each call of a commit fails once, and for good: sync(1), the log and user.ckptfs.error say so, nothing is lost, and
# when the cause is gone the edit is committed, once.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr

prepare_edit
options=commit=sync
shards=2

# check_told WORDS: a failed sync has been explained.
check_told() {
  grep -qF "my_net.ckpt: " "$mnt.log" || fail "$context: nothing in the log: $(cat "$mnt.log")"
  grep -qF "$1" "$mnt.log" || fail "$context: the log does not say '$1': $(cat "$mnt.log")"
  grep -qF "$1" "$tmp/err" || fail "$context: sync does not say '$1': $(cat "$tmp/err")"
}

# check_draft WORDS: it is there, as a whole, and says why.
check_draft() {
  getfattr -n user.ckptfs.error --only-values "$mnt/my_net.ckpt" >"$tmp/why" 2>/dev/null ||
    fail "$context: sync failed, and user.ckptfs.error says nothing"
  grep -qF "$1" "$tmp/why" || fail "$context: user.ckptfs.error does not say '$1': $(cat "$tmp/why")"
  check_step "$tmp/want" "$mnt/my_net.ckpt"
}

# fail_at ERRNO WORDS [on]: until a commit has fewer calls.
fail_at() {
  local n=0 failed=0 told ck=$tmp/ck
  while :; do
    n=$((n + 1))
    fresh "$ck"
    mount_hooked "$ck" -o "$options"
    edit "$mnt/my_net.ckpt"
    arm "$n" "$1" "${@:3}"
    run sync "$mnt/my_net.ckpt"
    context="call $n of the commit failed with $1 ${*:3}, $(cat "$hook.hit" 2>/dev/null || true)"
    disarm
    was_hit || break
    told=$status
    if [ "$told" != 0 ]; then
      failed=$((failed + 1))
      check_told "$2"
      # Else it is committed, and only the draft could not be removed.
      [ -e "$ck/my_net.ckpt-1.index" ] || check_draft "$2"
      check_old "$ck"
      check_status 0 sync "$mnt"
    fi
    check_step "$tmp/before" "$mnt/my_net.ckpt"
    check_step "$tmp/want" "$mnt/my_net.ckpt-1"
    unmount
    if [ -e "$ck/.ckptfs" ]; then
      [ "$told" != 0 ] || [ -z "$(find "$ck/.ckptfs" -type f ! -name lock)" ] ||
        grep -qF "can't be removed yet" "$mnt.log" ||
        fail "$context: nothing was said of what is left: $(find "$ck/.ckptfs")"
      # When that returns, what was left has been seen to.
      "$builddir/mount.ckptfs" "$ck" "$mnt" -o "$options"
      umount "$mnt"
    fi
    check_edited "$ck"
  done
  [ "$status" = 0 ] || fail "sync failed, and nothing was done to it"
  unmount
  check_edited "$ck"
  [ "$failed" -gt 15 ] || fail "only $failed of $((n - 1)) calls that failed made a commit fail"
  echo "$failed of $((n - 1)) calls that fail with $1 ${*:3} make a commit fail"
}

fail_at 28 "No space left on device"
fail_at 122 "Disk quota exceeded" on
fail_at 5 "Input/output error" on
