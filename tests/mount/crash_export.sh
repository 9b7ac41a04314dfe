#!/usr/bin/env bash
# The daemon is killed before each of its calls that change something, in a commit over the step of a SavedModel and in the
# recovery after that. Before the commit point there is the old model, from then on the new one, and the next mount leaves
# nothing else.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"

model=$fixtures/../cases/savedmodel/1
fresh_model() {
  rm -rf "$1"
  cp -r "$model" "$1"
  chmod -R u+w "$1"
}

prepare_values() {
  fresh_model "$tmp/prepare"
  mount_ckpt "$tmp/prepare" -o ro
  cp -r "$mnt/variables/variables" "$tmp/old"
  unmount
  chmod -R u+w "$tmp/old"
  cp -r "$tmp/old" "$tmp/new"
  edit_model "$tmp/new"
}

# edit_model STEP: the first variable has other bytes.
edit_model() {
  head -c -4 "$tmp/old/w.npy" >"$tmp/w.npy"
  printf '\001\002\003\004' >>"$tmp/w.npy"
  cp "$tmp/w.npy" "$1/w.npy"
}

edited() {
  fresh_model "$1"
  mount_hooked "$1" -o commit=sync
  edit_model "$mnt/variables/variables"
}

# loadable DIR: what a loader finds at this moment is the old model or the new one, whole.
loadable() {
  local link=$tmp/loadable
  rm -rf "$link"
  mkdir "$link"
  cp "$1"/variables/variables.* "$link"
  mount_ckpt "$link" -o ro
  digest "$mnt/variables" >"$tmp/have.txt"
  unmount
  for want in old new; do
    digest "$tmp/$want" | cmp -s - "$tmp/have.txt" && return
  done
  fail "$context: a loader finds neither the old model nor the new one"
}

# take_up DIR: what is in it is committed, and it comes to rest: as the new model, with the old one kept.
take_up() {
  loadable "$1"
  mount_ckpt "$1" -o commit=sync
  stat "$mnt/variables/variables" >/dev/null # the folder is looked at, and the draft taken up
  sync "$mnt" || fail "$context: sync failed after the recovery"
  check_step "$tmp/new" "$mnt/variables/variables"
  check_step "$tmp/old" "$mnt/variables/variables-1"
  unmount
  check_rest "$1"
}

# names DIR: in $tmp/have.txt, without the numbers of shards.
names() {
  find "$1/variables" -mindepth 1 -printf '%P\n' | sed 's/-of-.*//' | LC_ALL=C sort >"$tmp/have.txt"
}

check_rest() {
  names "$1"
  cat >"$tmp/want.txt" <<END
variables-1.data-00000
variables-1.index
variables.data-00000
variables.data-00001
variables.index
END
  diff "$tmp/want.txt" "$tmp/have.txt" >&2 || fail "$context: stray files in $1"
  cmp "$model/variables/variables.index" "$1/variables/variables-1.index" || fail "$context: the old step was changed"
  "$builddir/fsck.ckptfs" -n "$1/variables" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
}

# killed_in_commit: at each call of a commit.
killed_in_commit() {
  n=$start
  while :; do
    n=$((n + stride))
    edited "$ck"
    arm "$n" kill
    run_armed sync "$mnt/variables/variables"
    if ! was_hit; then
      [ "$status" = 0 ] || fail "sync failed, and nothing was done to it"
      unmount
      check_rest "$ck"
      break
    fi
    context="killed at call $n of the commit, $(cat "$hook.hit"), lacking '${IO_HOOK_LACKS:-}'"
    kill_daemon
    take_up "$ck"
  done
  [ "$n" -gt 20 ] || fail "a commit of $n calls?"
  echo "killed at calls of a commit, up to $((n - 1))"
}

killed_in_recovery() {
  local at
  for at in $((n / 2)) $((n * 3 / 5)) $((n * 3 / 4)) $((n - 3 - stride)); do
    kills_in_recovery "$ck" "$at" edited take_up variables/variables -o commit=sync
  done
}

# killed_on_the_way_back: at each call of a rename over the step.
killed_on_the_way_back() {
  fresh_model "$tmp/committed"
  mount_ckpt "$tmp/committed" -o commit=sync
  edit_model "$mnt/variables/variables"
  unmount
  check_rest "$tmp/committed"
  n=$start
  while :; do
    n=$((n + stride))
    rm -rf "$ck"
    cp -r "$tmp/committed" "$ck"
    mount_hooked "$ck" -o commit=sync
    stat "$mnt/variables/variables-1" >/dev/null
    arm "$n" kill
    run_armed mv -T "$mnt/variables/variables-1" "$mnt/variables/variables"
    was_hit || break
    context="killed at call $n of the way back, $(cat "$hook.hit"), lacking '${IO_HOOK_LACKS:-}'"
    kill_daemon
    loadable "$ck"
    mount_ckpt "$ck" -o commit=sync
    if [ -e "$mnt/variables/variables-1" ]; then
      check_step "$tmp/old" "$mnt/variables/variables-1"
      mv -T "$mnt/variables/variables-1" "$mnt/variables/variables" || fail "$context: there is no way back any more"
    fi
    check_step "$tmp/old" "$mnt/variables/variables"
    unmount
    check_back
  done
  [ "$status" = 0 ] || fail "it can't be renamed, and nothing was done to it: $(cat "$tmp/err")"
  unmount
  check_back
  echo "killed at calls of the way back, up to $((n - 1))"
}

# Nothing is there but one step.
check_back() {
  names "$ck"
  printf '%s\n' variables.data-00000 variables.index | diff - "$tmp/have.txt" >&2 ||
    fail "$context: stray files"
  "$builddir/fsck.ckptfs" -n "$ck/variables" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
}

ck=$tmp/model
prepare_values
killed_in_commit
every_nth 2
killed_in_recovery
killed_on_the_way_back
export IO_HOOK_LACKS=links
killed_in_commit
