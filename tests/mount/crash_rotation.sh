#!/usr/bin/env bash
# The daemon is killed at each call of a commit after which max_to_keep removes a step. That step is then there as a whole and in
# the state file, or it is in neither.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"

ck=$tmp/ck
options=max_to_keep=3

edit() { printf '\1' | dd of="$mnt/my-model-2000/w.npy" bs=1 seek=128 conv=notrunc status=none; }

prepare() {
  rm -rf "$ck"
  cp -r "$fixtures/linear" "$ck"
  chmod -R u+w "$ck"
  mount_hooked "$ck" -o "$options"
  edit
}

lists() { grep -q "^all_model_checkpoint_paths: \"$1\"" "$ck/checkpoint"; }

# is_right OLDEST: yes: it may still be there.
is_right() {
  local step file
  [ ! -e "$ck/.ckptfs" ] || fail "$context: left: $(find "$ck/.ckptfs")"
  "$builddir/fsck.ckptfs" -n "$ck" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
  grep -q '^model_checkpoint_path: "my-model-2001"' "$ck/checkpoint" || fail "$context: $(cat "$ck/checkpoint")"
  for step in my-model-1000 my-model-2000 my-model-2001; do
    lists "$step" || fail "$context: $step is not listed"
  done
  if [ "$1" = yes ] && lists my-model-0; then
    for file in "$fixtures/linear"/my-model-0.*; do
      cmp "$file" "$ck/${file##*/}" || fail "$context: my-model-0 is not whole"
    done
  else
    ! lists my-model-0 || fail "$context: my-model-0 is listed"
    [ -z "$(find "$ck" -name 'my-model-0.*')" ] || fail "$context: left: $(find "$ck" -name 'my-model-0.*')"
  fi
}

killed_before_a_step_is_gone() {
  local n=$start stayed=0
  while :; do
    n=$((n + stride))
    prepare
    arm "$n" kill
    run_armed sync "$mnt/my-model-2000"
    was_hit || break
    context="killed at call $n, $(cat "$hook.hit")"
    kill_daemon
    mount_ckpt "$ck" -o "$options"
    sync "$mnt/my-model-2000" || fail "$context: sync fails"
    cat "$mnt"/*/*.npy >"$tmp/out" || fail "$context: can't be read"
    unmount
    is_right yes
    ! lists my-model-0 || stayed=$((stayed + 1))
  done
  context="not killed"
  [ "$status" = 0 ] || fail "sync failed, and nothing was done to it"
  unmount
  is_right no
  [ "$n" -gt 40 ] || fail "a commit of $n calls?"
  echo "killed at calls, up to $((n - 1)); after $stayed of them the step stayed"
}

run_tests killed_before_a_step_is_gone
