#!/usr/bin/env bash
# A commit was interrupted when its step was there, and the state file can't be written when it is to be finished: nothing says that it is
# finished, nothing can be changed in the draft, and when the state file can be written again it is finished, once.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr

prepare_edit
ck=$tmp/ck

# The call behind the one that links the index.
n=0
until [ -e "$ck/my_net.ckpt-1.index" ]; do
  n=$((n + 1))
  [ "$n" -lt 200 ] || fail "no commit comes to its end"
  [ "$n" = 1 ] || kill_daemon
  fresh "$ck"
  mount_hooked "$ck" -o "$options"
  edit "$mnt/my_net.ckpt"
  arm "$n" kill
  run_armed sync "$mnt"
  was_hit || fail "the commit was not killed before it was done"
done
kill_daemon
[ -e "$ck/.ckptfs/drafts/my_net.ckpt" ] || fail "there is no draft any more"

context="the state file can't be written"
mv "$ck/checkpoint" "$tmp/checkpoint"
mkdir "$ck/checkpoint"
mount_hooked "$ck" -o "$options"
find "$mnt" >"$tmp/out"
! grep -qE "is finished" "$mnt.log" || fail "$context: $(cat "$mnt.log")"
grep -qF "can't be finished yet" "$mnt.log" || fail "$context: the log does not tell: $(cat "$mnt.log")"
[ -e "$ck/.ckptfs/drafts/my_net.ckpt" ] || fail "$context: the draft is gone"
check_step "$tmp/want" "$mnt/my_net.ckpt-1"
! cp "$tmp/large.npy" "$mnt/my_net.ckpt/more.npy" 2>"$tmp/err" || fail "$context: the draft can be changed"
grep -qF "busy" "$tmp/err" || fail "$context: $(cat "$tmp/err")"
! sync "$mnt/my_net.ckpt" 2>/dev/null || fail "$context: sync says that it is done"

context="the state file can be written again"
rmdir "$ck/checkpoint"
mv "$tmp/checkpoint" "$ck/checkpoint"
sync "$mnt/my_net.ckpt" || fail "$context: $(cat "$mnt.log")"
check_step "$tmp/want" "$mnt/my_net.ckpt-1"
check_step "$tmp/before" "$mnt/my_net.ckpt"
unmount
check_edited "$ck"
