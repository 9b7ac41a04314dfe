#!/usr/bin/env bash
# As crash.sh, on the filesystems of below.sh.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
. "$(dirname "$0")/../lib/below.sh"

prepare_edit
every_nth 3 # the calls are those of crash.sh

# rclone would write for seconds what it has in its cache: it is not mounted anew, and what it shows is looked at.
stop_in_commits() {
  local n=$start
  while :; do
    n=$((n + stride))
    on "$1" killed
    mount_hooked "$below" -o "$options"
    edit "$mnt/my_net.ckpt"
    arm "$n" kill
    run_armed sync "$mnt"
    was_hit || break
    context="$1, killed at call $n, $(cat "$hook.hit")"
    kill_daemon 2>/dev/null
    [ "$1" = rclone ] || anew
    mount_hooked "$below" -o "$options"
    sync "$mnt" || fail "$context: sync failed after the recovery: $(cat "$mnt.log")"
    check_step "$tmp/want" "$mnt/my_net.ckpt-1"
    check_step "$tmp/before" "$mnt/my_net.ckpt"
    unmount
    check_edited "$below"
    drop_below
  done
  [ "$status" = 0 ] || fail "$1: sync failed, and nothing was done to it: $(cat "$tmp/err" "$mnt.log")"
  [ "$n" -gt 20 ] || fail "$1: a commit of $n calls?"
  unmount
  drop_below
  rm -r "$ck"
  echo "$1: killed at calls of a commit, up to $((n - 1))"
}

for name in $kinds; do
  stop_in_commits "$name"
done
