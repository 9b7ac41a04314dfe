#!/usr/bin/env bash
# The daemon is killed before each of its calls in one operation of a draft. The next mount has the state before the
# operation or the one after it, never a mixture.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"

prepare_edit
ck=$tmp/ck

# Before the operation: on the step as it was saved, and on one with a draft.
no_draft() {
  :
}
a_draft() {
  edit "$1"
  make_npy 70000 102 >"$1/.temporary"
  mkdir "$1/empty"
}

# What is tried, in the folder of the step; all of these are one call.
make_folder() { mkdir "$1/new"; }
remove_base() { rm "$1/hidden/weights.npy"; }
remove_new() { rm "$1/hidden/large.npy"; }
remove_folder() { rmdir "$1/empty"; }
move_base() { mv "$1/hidden/weights.npy" "$1/moved.npy"; }
move_again() { mv "$1/hidden/bias.npy" "$1/hidden/biases.npy"; }
move_new() { mv "$1/hidden/large.npy" "$1/largest.npy"; }
move_over() { mv "$1/.temporary" "$1/hidden/large.npy"; }
move_scope() { mv "$1/hidden" "$1/seen"; }
move_scope_again() { mv "$1/out" "$1/output"; }
move_scope_down() { mv "$1/out" "$1/hidden/out"; }
move_over_folder() { mv -T "$1/out" "$1/empty"; }
refer() { cp "$1"/out*/weights.npy "$1/copy.npy"; }
in_place() { printf x | dd of="$1/hidden/weights.npy" bs=1 seek=200 conv=notrunc status=none; }

# states STEP: what is seen of it; its name if it is not there.
state_of() {
  digest "$1"
}

# stop_in BEFORE OPERATION
stop_in() {
  local n=0 step
  fresh "$ck"
  mount_ckpt "$ck" -o commit=sync
  step=$mnt/my_net.ckpt
  "$1" "$step"
  state_of "$step" >"$tmp/state.0"
  "$2" "$step"
  state_of "$step" >"$tmp/state.1"
  ! cmp -s "$tmp/state.0" "$tmp/state.1" || fail "$2 does nothing"
  kill_daemon
  # It all comes back.
  mount_ckpt "$ck" -o commit=sync
  context="$1, $2, killed after it"
  check_state 1 1
  kill_daemon
  while :; do
    n=$((n + 1))
    fresh "$ck"
    mount_hooked "$ck" -o commit=sync
    "$1" "$mnt/my_net.ckpt"
    stat "$mnt/my_net.ckpt/hidden/weights.npy" "$mnt/my_net.ckpt/hidden" >"$tmp/out" 2>&1
    arm "$n" kill
    run_armed "$2" "$mnt/my_net.ckpt"
    was_hit || break
    context="$1, $2, killed at call $n, $(cat "$hook.hit")"
    kill_daemon
    mount_ckpt "$ck" -o commit=sync
    check_state 0 1
    ! grep -q "can't" "$mnt.log" || fail "$context: $(cat "$mnt.log")"
    # It can be gone on with.
    cp "$tmp/weights.npy" "$mnt/my_net.ckpt/after.npy" || fail "$context: nothing can be written any more"
    sync "$mnt" || fail "$context: can't be committed"
    unmount
    check_old "$ck"
    [ "$(find "$ck" -name '*.index' | wc -l)" = 2 ] || fail "$context: $(ls -A "$ck")"
    [ ! -e "$ck/.ckptfs" ] || fail "$context: left: $(find "$ck/.ckptfs")"
    "$builddir/fsck.ckptfs" -n "$ck" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
  done
  [ "$status" = 0 ] || fail "$1, $2 failed, and nothing was done to it: $(cat "$tmp/err")"
  [ "$n" -gt 1 ] || fail "$1, $2 changes nothing on disk"
  kill_daemon
  echo "$1, $2: killed at $((n - 1)) calls"
}

# check_state FIRST LAST: the step is in one of these states.
check_state() {
  local i
  state_of "$mnt/my_net.ckpt" >"$tmp/state.now"
  for i in $(seq "$1" "$2"); do
    ! cmp -s "$tmp/state.now" "$tmp/state.$i" || return 0
  done
  diff "$tmp/state.0" "$tmp/state.now" >&2 || true
  fail "$context: neither the state before nor the one after"
}

for op in make_folder remove_base move_base move_scope refer in_place; do
  stop_in no_draft "$op"
done
for op in make_folder remove_base remove_new remove_folder move_base move_again move_new move_over move_scope \
  move_scope_again move_scope_down move_over_folder refer in_place; do
  stop_in a_draft "$op"
done
