#!/usr/bin/env bash
# The daemon is killed before each of its calls that change something, in a commit and in the recovery after that. The
# next mount has the edit, once, and every step restores in TensorFlow.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need_python

results=$tmp/results
mkdir "$results"
prepare_edit

# take_up DIR: what is in it is committed, and it comes to rest.
take_up() {
  mount_ckpt "$1" -o "$options"
  sync "$mnt" || fail "$context: sync failed after the recovery"
  check_step "$tmp/want" "$mnt/my_net.ckpt-1"
  check_step "$tmp/before" "$mnt/my_net.ckpt"
  unmount
  check_edited "$1"
}

# edited DIR: it has a draft with the edit, and nothing is committed.
edited() {
  fresh "$1"
  mount_hooked "$1" -o "$options"
  edit "$mnt/my_net.ckpt"
}

# In the commit.
n=$start
while :; do
  n=$((n + stride))
  ck=$results/commit-$n
  edited "$ck"
  arm "$n" kill
  run_armed sync "$mnt/my_net.ckpt"
  if ! was_hit; then
    [ "$status" = 0 ] || fail "sync failed, and nothing was done to it"
    unmount
    check_edited "$ck"
    break
  fi
  context="killed at call $n of the commit, $(cat "$hook.hit")"
  [ "$status" != 0 ] || fail "$context: sync said all was well"
  kill_daemon
  take_up "$ck"
done
[ "$n" -gt 20 ] || fail "a commit of $n calls?"
echo "killed at calls of a commit, up to $((n - 1))"

# In the recovery: of a draft, of a commit half way, of one that is as good as done.
for at in 1 $((n / 2)) $((n * 3 / 5)) $((n * 4 / 5)) $((n - 1 - stride)); do
  kills_in_recovery "$results/recovery-$at-%d" "$at" edited take_up my_net.ckpt -o "$options"
done

TF_CPP_MIN_LOG_LEVEL=3 "$CKPTFS_PYTHON" "$srcdir/tests/mount/crash.py" "$tmp/want" "$tmp/before" "$results"
