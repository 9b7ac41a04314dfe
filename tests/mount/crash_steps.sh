#!/usr/bin/env bash
# The daemon is killed before each of its calls while a step is renamed, moved or removed. The next mount has the step under the
# one name or the other, or not at all, with all its files, and nothing else is left; what a trainer has saved under the old
# name meanwhile stays.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"

ck=$tmp/ck

# files_of DIR STEP: what they hold, and their names without the step's.
files_of() {
  local file
  for file in "$1/$2".* "$1/$2"-?????-of-????? "$1/$2"; do
    [ ! -f "$file" ] || echo "${file#"$1/$2"} $(sha256sum <"$file")"
  done
}

# is_whole STEP: it is the one that TensorFlow wrote.
is_whole() {
  diff <(files_of "$fixtures/$fixture" "$step") <(files_of "$ck" "$1") >&2 || fail "$context: $1 is not whole"
}

is_gone() {
  [ -z "$(files_of "$ck" "$1")" ] || fail "$context: there is $(files_of "$ck" "$1")"
}

# lists STEP: the state file calls it the latest; without STEP there is none.
lists() {
  local now
  now=$(sed -n 's/^model_checkpoint_path: "\(.*\)"$/\1/p' "$ck/checkpoint" 2>"$tmp/err" || true)
  [ "${now%-?????-of-*}" = "$1" ] || fail "$context: checkpoint says '$now'"
}

at_rest() {
  [ ! -e "$ck/.ckptfs" ] || fail "$context: left: $(find "$ck/.ckptfs")"
  "$builddir/fsck.ckptfs" -n "$ck" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
}

# --- what is done, and seen to ----------------------------------------------------------------------------

before_rename() { :; }
rename_it() { mv -T "$mnt/$step" "$mnt/best"; }
after_rename() {
  if [ -e "$mnt/$step" ]; then
    [ ! -e "$mnt/best" ] || fail "$context: it has both names"
    rename_it || fail "$context: can't be renamed any more"
  fi
  find "$mnt/best" -name '*.npy' -exec cat {} + >"$tmp/out" || fail "$context: can't be read"
  unmount
  is_whole best
  is_gone "$step"
  lists best
}
after_rename_resaved() {
  [ -z "$(files_of "$ck" best)" ] || is_whole best
}

# Into a folder that was made a moment ago.
before_move() { mkdir "$mnt/old"; }
move_it() { mv "$mnt/$step" "$mnt/old/"; }
after_move() {
  if [ -e "$mnt/$step" ] && [ -e "$mnt/old/$step" ]; then
    # between the two records, where one is synced: see directory/step_files.h
    twice=$((twice + 1))
    [ "$twice" -le 2 ] || fail "$context: it is in both folders"
    diff -r "$mnt/$step" "$mnt/old/$step" || fail "$context: the two differ"
    rm -r "${mnt:?}/$step"
  elif [ -e "$mnt/$step" ]; then
    [ -e "$mnt/old" ] || before_move
    move_it || fail "$context: can't be moved any more"
  fi
  find "$mnt/old/$step" -name '*.npy' -exec cat {} + >"$tmp/out" || fail "$context: can't be read"
  unmount
  is_whole "old/$step"
  is_gone "$step"
  lists ""
  [ ! -e "$ck/old/.ckptfs" ] || fail "$context: left: $(find "$ck/old/.ckptfs")"
}
after_move_resaved() {
  [ -z "$(files_of "$ck" "old/$step")" ] || is_whole "old/$step"
}

before_removal() { find "$mnt/$step" -mindepth 1 -delete; }
remove_it() { rmdir "$mnt/$step"; }
after_removal() {
  if [ -e "$mnt/$step" ]; then
    [ -z "$(find "$mnt/$step" -name '*.npy')" ] || fail "$context: variables are back"
    remove_it || fail "$context: can't be removed any more"
  fi
  unmount
  is_gone "$step"
  lists ""
}
after_removal_resaved() { :; }

# As TensorFlow does it: each file under another name first.
save_again() {
  local file
  for file in "$fixtures/$fixture/$step"*; do
    cp "$file" "$ck/new.tmp"
    mv "$ck/new.tmp" "$ck/${file##*/}"
  done
}

prepare() {
  rm -rf "$ck"
  cp -r "$fixtures/$fixture" "$ck"
  chmod -R u+w "$ck"
  mount_hooked "$ck" -o commit=sync
  "before_$1"
}

# The daemon has been killed: what the next mount makes of it.
next_mount() {
  mount_hooked "$ck" -o commit=sync
  "after_$1"
  at_rest
}

# The same, if a trainer was there first.
next_mount_resaved() {
  save_again
  mount_hooked "$ck" -o commit=sync
  ls "$mnt" "$mnt"/*/ >"$tmp/out" # what is in a folder is taken up when it is looked into
  unmount
  is_whole "$step"
  "after_$1_resaved"
  [ ! -e "$ck/.ckptfs/leaving" ] || fail "$context: left: $(find "$ck/.ckptfs")"
}

# stop_in OPERATION CALL FIXTURE STEP NEXT
stop_in() {
  local n=$start
  twice=0
  fixture=$3 step=$4
  while :; do
    n=$((n + stride))
    prepare "$1"
    arm "$n" kill
    run_armed "$2"
    was_hit || break
    context="$1 of $step, killed at call $n, $(cat "$hook.hit"), $5, lacking '${IO_HOOK_LACKS:-}'"
    kill_daemon
    "$5" "$1"
  done
  [ "$status" = 0 ] || fail "$1 failed, and nothing was done to it: $(cat "$tmp/err")"
  [ "$n" -gt 10 ] || fail "a $1 of $n calls?"
  unmount
  echo "$1 of $step, $5, lacking '${IO_HOOK_LACKS:-}': killed at calls, up to $((n - 1))"
}

for next in next_mount next_mount_resaved; do
  stop_in rename rename_it net my_net.ckpt "$next"
  stop_in removal remove_it net my_net.ckpt "$next"
  stop_in move move_it net my_net.ckpt "$next"
done
stop_in rename rename_it v1-sharded model-2 next_mount
stop_in removal remove_it v1-sharded model-2 next_mount
stop_in move move_it v1-sharded model-2 next_mount
export IO_HOOK_LACKS="links noreplace"
stop_in rename rename_it net my_net.ckpt next_mount
stop_in removal remove_it net my_net.ckpt next_mount
