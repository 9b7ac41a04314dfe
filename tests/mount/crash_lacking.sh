#!/usr/bin/env bash
# As crash.sh, on filesystems that lack something: renameat2(2) that can refuse to replace (NFS), hard links as well (some
# FUSE filesystems), or readdir(3) that tells what an entry is (XFS without ftype, NFS). There are none of those here, so the hook answers for them.
# The same of commits that write a V1 file.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"

prepare_edit
ck=$tmp/ck

# stop_in_commits WHAT-IS-LACKING
stop_in_commits() {
  local n=$start
  export IO_HOOK_LACKS=$1
  while :; do
    n=$((n + stride))
    fresh "$ck"
    mount_hooked "$ck" -o "$options"
    edit "$mnt/my_net.ckpt"
    arm "$n" kill
    run_armed sync "$mnt" # which locks the folder that the new step appears in
    was_hit || break
    context="lacking '$1', killed at call $n, $(cat "$hook.hit")"
    kill_daemon
    mount_hooked "$ck" -o "$options"
    sync "$mnt" || fail "$context: sync failed after the recovery"
    check_step "$tmp/want" "$mnt/my_net.ckpt-1"
    check_step "$tmp/before" "$mnt/my_net.ckpt"
    unmount
    check_edited "$ck"
  done
  context="lacking '$1'"
  [ "$status" = 0 ] || fail "$context: sync failed, and nothing was done to it: $(cat "$tmp/err")"
  [ "$n" -gt 20 ] || fail "$context: a commit of $n calls?"
  unmount
  check_edited "$ck"
  echo "lacking '$1': killed at calls of a commit, up to $((n - 1))"
}

stop_in_commits noreplace
stop_in_commits "links noreplace"

# The new step is one file.
options=commit=sync,write_version=1
shards=0
stop_in_commits ""
stop_in_commits "links noreplace"
options=commit=sync,compact=1
shards=3

# Of the draft that is taken up, the folders are to be found: nothing else looks at what an entry is.
export IO_HOOK_LACKS=d_type
context="lacking 'd_type'"
fresh "$ck"
mkdir "$ck/folder"
mv "$ck"/my_net.ckpt.* "$ck/checkpoint" "$ck/folder"
mount_hooked "$ck" -o "$options"
edit "$mnt/folder/my_net.ckpt"
kill_daemon
mount_hooked "$ck" -o "$options"
check_step "$tmp/want" "$mnt/folder/my_net.ckpt"
sync "$mnt/folder/my_net.ckpt" || fail "$context: sync failed"
check_step "$tmp/want" "$mnt/folder/my_net.ckpt-1"
check_step "$tmp/before" "$mnt/folder/my_net.ckpt"
unmount
check_edited "$ck/folder"
