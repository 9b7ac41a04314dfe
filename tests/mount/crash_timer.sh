#!/usr/bin/env bash
# The daemon is killed at each call of the timer's commits: the folder shows the edit again, and it is published once. The same
# where allow_empty makes no step.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
. "$(dirname "$0")/../lib/write.sh"

ck=$tmp/ck
suffix=.index
timer=commit=600,compact=1
prepare_edit

# is_finished SECOND: the timer has made the last step.
is_finished() {
  [ -e "$ck/my_net.ckpt-$([ "$1" = yes ] && echo 2 || echo 1)$suffix" ] &&
    [ -e "$ck/.ckptfs/drafts/my_net.ckpt/published" ] && [ ! -e "$ck/.ckptfs/drafts/my_net.ckpt/commit" ]
}

# In the first commit of the draft, and in the second.
killed_in_the_timers_commit() {
  local n first second
  for second in no yes; do
    n=$start
    while :; do
      n=$((n + stride))
      fresh "$ck"
      mount_hooked "$ck" -o "$timer"
      first=$mnt/my_net.ckpt
      if [ $second = yes ]; then
        cp "$tmp/large.npy" "$first/hidden/large.npy"
        until is_finished no; do an_hour_passes; done
      fi
      edit "$first"
      arm "$n" kill
      until was_hit || is_finished $second; do an_hour_passes; done
      was_hit || break
      context="second commit: $second, killed at call $n, $(cat "$hook.hit")"
      kill_daemon
      disarm
      mount_ckpt "$ck" -o "$options"
      check_step "$tmp/want" "$mnt/my_net.ckpt"
      sync "$mnt/my_net.ckpt" || fail "$context: sync fails"
      check_step "$tmp/before" "$mnt/my_net.ckpt"
      check_step "$tmp/want" "$mnt/my_net.ckpt-$([ $second = yes ] && echo 2 || echo 1)"
      unmount
      [ ! -e "$ck/.ckptfs" ] || fail "$context: left: $(find "$ck/.ckptfs")"
      [ $second = yes ] || check_edited "$ck"
      check_equal "$context: steps" "$(find "$ck" -name '*.index' -o -name 'my_net.ckpt-[0-9]' | wc -l)" "$([ $second = yes ] && echo 3 || echo 2)"
      "$builddir/fsck.ckptfs" -n "$ck" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
    done
    kill_daemon
    disarm
    [ "$n" -gt 20 ] || fail "a commit of $n calls?"
    echo "killed at calls, up to $((n - 1))"
  done
}

# The draft is there, or it has ended and a meta graph is there alone.
killed_in_a_commit_without_variables() {
  local n=$start step
  while :; do
    n=$((n + stride))
    fresh "$ck"
    mount_hooked "$ck" -o "$options,allow_empty"
    step=$mnt/my_net.ckpt
    find "$step" -name '*.npy' -delete
    arm "$n" kill
    sync "$step" 2>/dev/null || true
    was_hit || break
    context="without variables, killed at call $n, $(cat "$hook.hit")"
    kill_daemon
    disarm
    mount_ckpt "$ck" -o "$options,allow_empty"
    if [ -z "$(find "$mnt/my_net.ckpt" -name '*.npy')" ]; then
      [ ! -e "$ck/my_net.ckpt-1.meta" ] || fail "$context: the meta graph is there, and the draft"
      sync "$mnt/my_net.ckpt" || fail "$context: sync fails"
    fi
    check_step "$tmp/before" "$mnt/my_net.ckpt"
    unmount
    cmp "$ck/my_net.ckpt.meta" "$ck/my_net.ckpt-1.meta" || fail "$context: no meta graph"
    [ ! -e "$ck/.ckptfs" ] || fail "$context: left: $(find "$ck/.ckptfs")"
    check_equal "$context: files" "$(find "$ck" -name 'my_net.ckpt-*' -printf '%f\n')" my_net.ckpt-1.meta
  done
  disarm
  unmount
  [ "$n" -gt 5 ] || fail "a commit of $n calls?"
  echo "killed at calls, up to $((n - 1))"
}

killed_in_the_commit_of_a_v1_file() {
  suffix=
  timer=commit=600,write_version=1
  options=commit=sync,write_version=1
  shards=0
  killed_in_the_timers_commit
}

run_tests killed_in_the_timers_commit killed_in_a_commit_without_variables killed_in_the_commit_of_a_v1_file
