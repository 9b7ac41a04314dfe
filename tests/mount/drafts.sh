#!/usr/bin/env bash
# A draft from its first change on: what it tells, when it is committed, what is refused and stays, and that it is there
# again after the daemon has ended.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr setfattr flock
need_python

draft_of() {
  getfattr -n user.ckptfs.draft --only-values "$1"
}

# --- what a draft tells ---------------------------------------------------------------------------------

changes_are_counted() {
  writable linear
  check_equal "changes" "$(draft_of "$mnt/my-model-0")" 0
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  check_equal "changes" "$(draft_of "$mnt/my-model-0")" 1
  rm "$mnt/my-model-0/b.npy"
  check_equal "changes" "$(draft_of "$mnt/my-model-0")" 2
  cp "$tmp/f7.npy" "$mnt/my-model-0/new.npy"
  cp "$tmp/f7.npy" "$mnt/my-model-1000/new.npy"
  check_equal "changes" "$(draft_of "$mnt/my-model-0")" 3
  check_equal "changes" "$(draft_of "$mnt")" 4
  check_equal "changes" "$(draft_of "$mnt/my-model-2000")" 0
  setfattr -n user.ckptfs.draft -v discard "$mnt/my-model-1000"
  check_equal "changes" "$(draft_of "$mnt")" 3
  refuses "Invalid argument" setfattr -n user.ckptfs.draft -v nonsense "$mnt/my-model-0"
  setfattr -n user.ckptfs.draft -v commit "$mnt/my-model-0"
  check_equal "changes" "$(draft_of "$mnt")" 0
  nothing_is_lost
  check_equal "differences" "$(differences my-model-0 my-model-2001)" "+new.npy -b.npy ~w.npy"
  unmount
}

# tar removes each file before it makes it anew.
what_is_made_again_is_counted_once() {
  local n
  writable linear
  n=$(find "$mnt/my-model-0" -name '*.npy' | wc -l)
  cp -r "$mnt/my-model-0" "$tmp/copy"
  tar cf "$tmp/copy.tar" -C "$tmp/copy" .
  tar xf "$tmp/copy.tar" -C "$mnt/my-model-0" --exclude=./*.pbtxt --exclude=./variables.tsv --no-same-owner
  check_equal "changes" "$(draft_of "$mnt/my-model-0")" "$n"
  rm -r "$mnt/my-model-0/w"
  check_equal "changes" "$(draft_of "$mnt/my-model-0")" "$n"
  mv "$mnt/my-model-0/b" "$mnt/my-model-0/w"
  check_equal "changes" "$(draft_of "$mnt/my-model-0")" "$n"
  discard my-model-0
  rm "$mnt/my-model-0/w.npy"
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  check_equal "changes" "$(draft_of "$mnt/my-model-0")" 1
  unmount
}

# A text of a step counts when it says something else.
a_meta_graph_counts_as_one() {
  local step n
  writable ../cases/deep-scopes
  step=$(find "$mnt" -mindepth 2 -name meta_graph.pbtxt | sort | head -n 1)
  step=${step%/*}
  n=$(find "$step" -name '*.npy' | wc -l)
  cp -r "$step" "$tmp/deep"
  tar cf - -C "$tmp/deep" . | tar xf - -C "$step" --no-same-owner
  check_equal "changes after tar" "$(draft_of "$step")" "$n"
  discard "${step##*/}"
  cp "$tmp/deep/meta_graph.pbtxt" "$step"
  check_equal "changes after cp of the same" "$(draft_of "$step")" 0
  echo '# a remark' >>"$step/meta_graph.pbtxt"
  check_equal "changes after a comment" "$(draft_of "$step")" 0
  sed -i 's/^meta_info_def {/& tags: "mine"/' "$step/meta_graph.pbtxt"
  check_equal "changes after sed" "$(draft_of "$step")" 1
  cp "$tmp/deep/meta_graph.pbtxt" "$step/.tmp.1"
  mv "$step/.tmp.1" "$step/meta_graph.pbtxt"
  check_equal "changes after the same was renamed over it" "$(draft_of "$step")" 0
  rm "$step/meta_graph.pbtxt"
  check_equal "changes after rm" "$(draft_of "$step")" 1
  check_equal "removed" "$(sed -n 2p "$step/.ckptfs/status")" "removed: meta_graph.pbtxt"
  discard "${step##*/}"
  unmount
}

# What rsync and sed -i rename over a variable is looked at then, not at the commit.
what_is_renamed_is_looked_at() {
  writable linear
  printf nonsense >"$mnt/my-model-0/.w.npy.X1a2b3"
  mv "$mnt/my-model-0/.w.npy.X1a2b3" "$mnt/my-model-0/w.npy"
  getfattr --only-values -n user.ckptfs.error "$mnt/my-model-0" | grep -q "w.npy: " || fail "no error"
  cp "$tmp/f7.npy" "$mnt/my-model-0/.w.npy.X1a2b3"
  mv "$mnt/my-model-0/.w.npy.X1a2b3" "$mnt/my-model-0/w.npy"
  refuses "No such attribute" getfattr -n user.ckptfs.error "$mnt/my-model-0"
  discard my-model-0
  unmount
}

a_discarded_draft_leaves_nothing() {
  writable linear
  cp -r "$mnt/my-model-0" "$tmp/before"
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  mv "$mnt/my-model-0/w" "$mnt/my-model-0/v"
  rm "$mnt/my-model-0/b.npy"
  cat "$mnt/my-model-0/w.npy" >"$tmp/out"
  discard my-model-0
  diff -r "$mnt/my-model-0" "$tmp/before"
  [ ! -e "$mnt/my-model-0/v" ] || fail "v is still there"
  commits_nothing my-model-0
  unmount
  [ ! -e "$source/.ckptfs" ] || [ -z "$(ls -A "$source/.ckptfs/drafts" 2>/dev/null)" ] || fail "left: $(find "$source/.ckptfs")"
}

what_was_written_is_read() {
  writable linear
  cp "$tmp/big.npy" "$mnt/my-model-0/big.npy"
  cmp "$tmp/big.npy" "$mnt/my-model-0/big.npy"
  cp "$mnt/my-model-0/big.npy" "$tmp/copy.npy"
  cmp "$tmp/big.npy" "$tmp/copy.npy"
  check_equal "size" "$(stat -c %s "$mnt/my-model-0/big.npy")" "$(stat -c %s "$tmp/big.npy")"
  touch -d '2001-02-03 04:05:06' "$mnt/my-model-0/big.npy"
  chmod 600 "$mnt/my-model-0/big.npy"
  check_equal "mode and time" "$(TZ=UTC stat -c '%a %y' "$mnt/my-model-0/big.npy")" \
    "600 $(TZ=UTC date -d '2001-02-03 04:05:06' '+%F %T.000000000 +0000')"
  committed my-model-0 my-model-2001 +big.npy
  unmount
}

# --- refused --------------------------------------------------------------------------------------------

an_invalid_draft_comes_back() {
  writable linear
  refuses "Invalid argument" cp "$tmp/bad.npy" "$mnt/my-model-0/w.npy"
  rm "$mnt/my-model-0/b.npy"
  mv "$mnt/my-model-0/w" "$mnt/my-model-0/v"
  is_refused my-model-0 "w.npy: is DT_DOUBLE"
  run getfattr -n user.ckptfs.error --only-values "$mnt/my-model-0/w.npy"
  grep -q "w.npy: is DT_DOUBLE" "$tmp/out" || fail "the file does not say why"
  grep -q "w.npy: is DT_DOUBLE" "$mnt.log" || fail "the log does not say why"
  unmount
  grep -q "w.npy: is DT_DOUBLE" "$mnt.log" || fail "the log does not say why"
  mount_ckpt "$source" -o commit=sync
  cmp "$tmp/bad.npy" "$mnt/my-model-0/w.npy"
  [ ! -e "$mnt/my-model-0/b.npy" ] || fail "b.npy is there again"
  [ -e "$mnt/my-model-0/v/Adam.npy" ] || fail "v/Adam.npy is gone"
  is_refused my-model-0 "w.npy: is DT_DOUBLE"
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2001 '~w.npy' -b.npy -w +v
  unmount
}

umount_helper_says_what_was_refused() {
  writable linear
  refuses "Invalid argument" cp "$tmp/bad.npy" "$mnt/my-model-0/w.npy"
  check_status 64 "$builddir/umount.ckptfs" "$mnt"
  grep -q "w.npy: is DT_DOUBLE" "$tmp/err" || fail "does not say why: $(cat "$tmp/err")"
  wait "${daemons[$mnt]}"
  unset "daemons[$mnt]"
  mount_ckpt "$source" -o commit=sync
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  check_status 0 "$builddir/umount.ckptfs" "$mnt"
  wait "${daemons[$mnt]}"
  unset "daemons[$mnt]"
  nothing_is_lost
  mount_ckpt "$source"
  check_equal "differences" "$(differences my-model-0 my-model-2001)" "~w.npy"
  unmount
}

# remounted: mounts $source at $mnt in the background; what that says is in $tmp/err.
remounted() {
  check_status 0 "$builddir/mount.ckptfs" "$source" "$mnt" -o commit=sync
}

# unmount_plainly: without umount.ckptfs, so that nobody is told; returns when the daemon has committed what it can.
unmount_plainly() {
  umount -i "$mnt" 2>/dev/null || fusermount3 -u "$mnt"
  until flock -n "$source" true; do sleep 0.01; done
}

the_next_mount_says_what_was_refused() {
  local at step
  writable linear
  refuses "Invalid argument" cp "$tmp/bad.npy" "$mnt/my-model-0/w.npy"
  refuses "Invalid argument" cp "$tmp/bad.npy" "$mnt/my-model-1000/w.npy"
  cp "$tmp/f7.npy" "$mnt/my-model-2000/w.npy"
  unmount
  at=$mnt
  remounted
  check_equal "lines" "$(wc -l <"$tmp/err")" 2
  for step in my-model-0 my-model-1000; do
    grep -qF "mount.ckptfs: $step: w.npy: is DT_DOUBLE" "$tmp/err" || fail "does not say why: $(cat "$tmp/err")"
  done
  check_equal "what to do" "$(grep -c "remove it, then: sync $at$" "$tmp/err")" 2
  rm "$mnt/my-model-1000/w.npy"
  unmount_plainly
  remounted
  check_equal "lines after one was put right" "$(wc -l <"$tmp/err")" 1
  grep -qF "my-model-0: w.npy: is DT_DOUBLE" "$tmp/err" || fail "does not say why: $(cat "$tmp/err")"
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  sync "$mnt"
  unmount_plainly
  remounted
  [ ! -s "$tmp/err" ] || fail "says what was put right: $(cat "$tmp/err")"
  unmount_plainly
  [ ! -e "$source/.ckptfs" ] || fail "it has left something"
  nothing_is_lost
}

# Each line begins with the step, and its folder; also in the next mount, before anything is tried again.
each_refusal_names_its_step() {
  local lines
  writable linear
  mkdir -p "$source/run"
  cp "$source"/my-model-0.* "$source/run"
  refuses "Invalid argument" cp "$tmp/bad.npy" "$mnt/my-model-0/w.npy"
  refuses "Invalid argument" cp "$tmp/bad.npy" "$mnt/my-model-0/b.npy"
  refuses "Invalid argument" cp "$tmp/bad.npy" "$mnt/run/my-model-0/w.npy"
  lines='my-model-0: b.npy: is DT_DOUBLE
my-model-0: w.npy: is DT_DOUBLE
run/my-model-0: w.npy: is DT_DOUBLE'
  names_them() {
    check_equal "$1" "$(sed -n 's/ \[.*//p' | sort)" "$lines"
  }
  getfattr --only-values -n user.ckptfs.error "$mnt" | names_them "errors"
  unmount
  remounted
  ls "$mnt/run" >/dev/null
  check_status 64 "$builddir/umount.ckptfs" "$mnt"
  grep -v ' waits as a draft ' "$tmp/err" | sed 's/^umount.ckptfs: //' | names_them "umount"
  remounted
  ls "$mnt/run" >/dev/null
  getfattr --only-values -n user.ckptfs.error "$mnt" | names_them "errors after a remount"
  check_equal "errors in the status" "$(grep -c '^error: ' "$mnt/my-model-0/.ckptfs/status")" 2
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  cp "$tmp/f7.npy" "$mnt/my-model-0/b.npy"
  refuses "No such attribute" getfattr -n user.ckptfs.error "$mnt/my-model-0"
  rm "$mnt/run/my-model-0/w.npy"
  sync "$mnt"
  unmount_plainly
  nothing_is_lost
}

a_step_without_variables_is_refused() {
  writable linear
  find "$mnt/my-model-0" -name '*.npy' -delete
  grep -q '^next commit: no step, no variable is left$' "$mnt/my-model-0/.ckptfs/status" || fail "the status does not say so"
  refuses "Invalid argument" sync "$mnt/my-model-0"
  check_equal "error" "$(getfattr --only-values -n user.ckptfs.error "$mnt/my-model-0")" \
    "no variable is left, and a step needs one; to remove the step, remove its folder"
  rm -r "$mnt/my-model-0"
  unmount
  [ ! -e "$source/my-model-0.index" ] || fail "the step is still there"
}

# Comments alone are no graph.
a_meta_graph_that_says_nothing_is_refused() {
  local step text
  writable ../cases/deep-scopes
  step=$(find "$mnt" -mindepth 2 -name meta_graph.pbtxt -printf '%h\n' | sort | head -n 1)
  for text in '' $'# all of it was cut\n'; do
    printf %s "$text" >"$tmp/text"
    refuses "Invalid argument" cp "$tmp/text" "$step/meta_graph.pbtxt"
    grep -q '^error: meta_graph.pbtxt: is empty, expected a MetaGraphDef' "$step/.ckptfs/status" || fail "$(cat "$step/.ckptfs/status")"
  done
  refuses "Invalid argument" sync "$step"
  rm "$step/meta_graph.pbtxt"
  sync "$step"
  nothing_is_lost
  unmount
}

# A draft of a new step, in a folder that nobody has looked at since the mount.
a_new_step_in_a_subfolder_is_found_at_once() {
  writable linear
  mkdir -p "$source/run"
  cp "$source"/my-model-0.* "$source/run"
  mkdir "$mnt/run/mine"
  echo nonsense >"$tmp/bad.txt"
  refuses "Invalid argument" cp "$tmp/bad.txt" "$mnt/run/mine/w.npy"
  unmount
  remounted
  [ -e "$mnt/run/mine/w.npy" ] || fail "it is not found"
  setfattr -n user.ckptfs.draft -v discard "$mnt/run/mine"
  unmount_plainly
}

# --- when -----------------------------------------------------------------------------------------------

the_default_is_not_to_commit() {
  copy_of linear
  mount_hooked "$source"
  array "$mnt/my-model-0/w.npy" "np.float32(8)"
  array "$tmp/w.npy" "np.float32(8)"
  for _ in {1..50}; do an_hour_passes; done
  cmp "$tmp/w.npy" "$mnt/my-model-0/w.npy" || fail "what was written is not seen any more"
  check_equal "steps" "$(steps "$mnt")" "my-model-0 my-model-1000 my-model-2000"
  committed my-model-0 my-model-2001 '~w.npy'
  unmount
}

# An empty scope can't be committed, so a shell in it would lose it.
syncing_a_scope_does_not_commit() {
  writable linear
  mkdir "$mnt/my-model-0/made"
  (
    cd "$mnt/my-model-0/made" || exit 1
    sync . || exit 1
    cp "$tmp/f7.npy" new.npy || exit 1
    sync . ../w || exit 1
    cp new.npy again.npy
  ) || fail "the folder can't be used any more"
  [ ! -e "$mnt/my-model-2001" ] || fail "it is committed"
  kill_daemon
  mount_ckpt "$source" -o commit=sync
  committed my-model-0 my-model-2001 +made
  unmount
}

# As TensorFlow's Checkpoint.write leaves it behind. A folder that somebody has made in it stays.
an_empty_new_step_goes_with_the_mount() {
  writable linear
  mkdir "$mnt/obj_temp"
  touch "$mnt/obj_temp/part-00000-of-00001.data-00000-of-00001" # as tf.train.Checkpoint.write does
  mkdir "$mnt/kept" "$mnt/kept/scope"
  unmount
  check_equal "drafts" "$(ls "$source/.ckptfs/drafts")" kept
  mount_ckpt "$source" -o commit=sync
  check_equal "steps" "$(steps "$mnt")" "kept my-model-0 my-model-1000 my-model-2000"
  rmdir "$mnt/kept/scope"
  unmount
  nothing_is_lost
}

unmounting_commits() {
  writable linear
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  cp -r "$mnt/my-model-1000" "$mnt/copy"
  unmount
  nothing_is_lost
  mount_ckpt "$source"
  check_equal "steps" "$(steps "$mnt")" "copy my-model-0 my-model-1000 my-model-2000 my-model-2001"
  check_equal "differences" "$(differences my-model-0 my-model-2001)" "~w.npy"
  check_equal "differences" "$(differences my-model-1000 copy)" ""
  unmount
}

signals_commit() {
  local signal pid
  for signal in TERM HUP; do # bash has what it starts in the background ignore INT
    writable linear
    cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
    [ "$signal" != HUP ] || exec 5>>"$mnt/my-model-0/w.npy" # which the daemon is never told to be closed
    pid=${daemons[$mnt]}
    kill "-$signal" "$pid"
    unset "daemons[$mnt]"
    wait "$pid" || true
    exec 5>&-
    ! is_mounted "$mnt" || fail "still mounted after SIG$signal"
    nothing_is_lost
    mount_ckpt "$source"
    check_equal "differences" "$(differences my-model-0 my-model-2001)" "~w.npy"
    unmount
  done
}

a_killed_daemon_leaves_the_draft() {
  writable linear
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  sync "$mnt/my-model-0/w.npy"
  mv "$mnt/my-model-0/b" "$mnt/my-model-0/bias"
  mkdir "$mnt/made"
  cp "$mnt/my-model-1000/w.npy" "$mnt/made/w.npy"
  kill_daemon
  mount_ckpt "$source" -o commit=sync
  cmp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  [ -e "$mnt/my-model-0/bias/Adam.npy" ] || fail "the rename is lost"
  cmp "$mnt/made/w.npy" "$mnt/my-model-1000/w.npy"
  sync "$mnt"
  nothing_is_lost
  check_equal "steps" "$(steps "$mnt")" "made my-model-0 my-model-1000 my-model-2000 my-model-2001"
  check_equal "differences" "$(differences my-model-0 my-model-2001)" "+bias -b ~w.npy"
  unmount
}

# --- where one may not write ----------------------------------------------------------------------------

a_mount_with_ro_writes_nothing() {
  copy_of linear
  mount_ckpt "$source" -o ro
  refuses "Read-only file system" cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  refuses "Read-only file system" cp "$tmp/f7.npy" "$mnt/my-model-0/new.npy"
  refuses "Read-only file system" rm "$mnt/my-model-0/w.npy"
  refuses "Read-only file system" mv "$mnt/my-model-0/w.npy" "$mnt/my-model-0/v.npy"
  refuses "Read-only file system" mv "$mnt/my-model-0" "$mnt/best"
  refuses "Read-only file system" mkdir "$mnt/made" "$mnt/my-model-0/made"
  refuses "Read-only file system" ln -sfn my-model-0 "$mnt/latest"
  refuses "Read-only file system" setfattr -n user.ckptfs.draft -v discard "$mnt/my-model-0"
  sync "$mnt/my-model-0"
  unmount
  [ ! -e "$source/.ckptfs" ] || fail "it has left something"
  nothing_is_lost
}

a_second_writer_is_refused() {
  local first
  writable linear
  first=$mnt
  new_mountpoint
  check_status 32 "$builddir/mount.ckptfs" "$source" "$mnt"
  grep -q "by process ${daemons[$first]}.*; mount it with -o ro" "$tmp/err" || fail "does not say by whom: $(cat "$tmp/err")"
  cp "$tmp/f7.npy" "$first/my-model-0/w.npy"
  check_status 32 "$builddir/mount.ckptfs" "$source" "$mnt"
  grep -q "by process ${daemons[$first]}.*; mount it with -o ro" "$tmp/err" || fail "does not say by whom: $(cat "$tmp/err")"
  mnt=$first
  committed my-model-0 my-model-2001 '~w.npy'
  mount_ckpt "$source" -o ro
  diff -r "$first" "$mnt"
  unmount
  unmount "$first"
}

# --- during a commit ------------------------------------------------------------------------------------

the_working_folder_stays() {
  writable linear
  (
    cd "$mnt/my-model-0/w" || exit 1
    cp "$tmp/f7.npy" Adam.npy
    sync ..
    cp "$tmp/f7.npy" Adam_1.npy
    cmp "$tmp/f7.npy" Adam_1.npy
    sync ..
    ls ../b >/dev/null
    cmp Adam.npy ../w/Adam.npy
  ) || fail "the folder can't be used any more"
  nothing_is_lost
  check_equal "differences" "$(differences my-model-0 my-model-2001)" "~w/Adam.npy"
  check_equal "differences" "$(differences my-model-0 my-model-2002)" "~w/Adam_1.npy"
  unmount
}

# A trainer deletes a step, or a whole folder of them, while a shell stands in it and has changed something; or another shell
# removes it.
a_deleted_step_can_be_left() {
  local gone
  writable linear
  mkdir "$source/run"
  cp "$source"/my-model-0.* "$source/run"
  for gone in my-model-1000 run/my-model-0 run; do
    (
      cd "$mnt/$gone" || exit 1
      [ "$gone" = run ] || rm b.npy
      rm -r "${source:?}/$gone"*
      [ "$gone" = run ] || sync .
      ls .. >"$tmp/list" || exit 1
      check_equal "links of $gone" "$(stat -c %h .)" 0
      ! ls "../${gone##*/}" 2>/dev/null || fail "$gone is still there"
      cd .. || exit 1
      ls >"$tmp/list"
    ) || fail "a shell can't leave $gone"
  done
  (
    cd "$mnt/my-model-2000" || exit 1
    rm -r "$mnt/my-model-2000"
    ls .. >"$tmp/list" || exit 1
    check_equal "links of the removed step" "$(stat -c %h .)" 0
    cd .. || exit 1
    ls >"$tmp/list"
  ) || fail "a shell can't leave a step that was removed"
  grep -q '^my-model-0$' "$tmp/list" || fail "the steps are not listed"
  unmount
}

# What the kernel remembers of a file in the draft is not shown as the base's when the draft has ended.
old_pages_are_not_shown() {
  writable linear
  "$CKPTFS_PYTHON" - "$mnt" <<'END' || fail "the step shows what its draft had"
import io, os, sys
import numpy as np
step = os.path.join(sys.argv[1], "my-model-0")
def content(number):
    file = io.BytesIO()
    np.save(file, np.full(5000, number, "f4"))
    return file.getvalue()
def read(name):
    with open(os.path.join(step, name), "rb") as file:
        return file.read()
for name in "xyz":
    with open(os.path.join(step, name + ".npy"), "wb") as file:
        file.write(content(ord(name)))
root = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(root)
step = os.path.join(sys.argv[1], "my-model-2001")
for number in range(60):
    assert read("y.npy") == content(ord("y")), number
    a, b = os.open(step + "/x.npy", os.O_RDONLY), os.open(step + "/y.npy", os.O_WRONLY | os.O_TRUNC)
    assert os.copy_file_range(a, b, 1 << 20) == len(content(0))
    os.close(a)
    os.close(b)
    os.rename(step + "/y.npy", step + "/z.npy")
    assert read("z.npy") == content(ord("x"))
    os.fsync(root) if number % 2 else os.setxattr(step, "user.ckptfs.draft", b"discard")
END
  nothing_is_lost
  unmount
}

# What is written to a file after its commit is in the next one, and not in that.
open_files_go_on() {
  writable linear
  cp "$tmp/big.npy" "$mnt/my-model-0/big.npy"
  exec 5<>"$mnt/my-model-0/big.npy"
  sync "$mnt/my-model-0"
  [ -d "$mnt/my-model-2001" ] || fail "no new step"
  cmp "$tmp/big.npy" "$mnt/my-model-2001/big.npy"
  sync "$mnt/my-model-0"
  [ ! -e "$mnt/my-model-2002" ] || fail "what was committed is committed again"
  "$CKPTFS_PYTHON" -c 'import os; os.pwrite(5, b"\1\2\3\4", 128)'
  cmp "$tmp/big.npy" "$mnt/my-model-2001/big.npy" || fail "a committed step was written to"
  exec 5>&-
  sync "$mnt/my-model-0"
  cmp "$tmp/big.npy" "$mnt/my-model-2001/big.npy" || fail "a committed step was written to"
  nothing_is_lost
  check_equal "differences" "$(differences my-model-2001 my-model-2002)" "~big.npy"
  unmount
}

array "$tmp/f7.npy" "np.float32(7)"
array "$tmp/bad.npy" "np.float64(7)"
array "$tmp/big.npy" "np.arange(200000, dtype='f4').reshape(400, 500)"
run_tests changes_are_counted what_is_made_again_is_counted_once a_meta_graph_counts_as_one what_is_renamed_is_looked_at \
  a_discarded_draft_leaves_nothing what_was_written_is_read \
  an_invalid_draft_comes_back umount_helper_says_what_was_refused the_next_mount_says_what_was_refused each_refusal_names_its_step \
  a_step_without_variables_is_refused a_meta_graph_that_says_nothing_is_refused a_new_step_in_a_subfolder_is_found_at_once the_default_is_not_to_commit \
  syncing_a_scope_does_not_commit an_empty_new_step_goes_with_the_mount \
  unmounting_commits signals_commit a_killed_daemon_leaves_the_draft a_mount_with_ro_writes_nothing \
  a_second_writer_is_refused the_working_folder_stays a_deleted_step_can_be_left old_pages_are_not_shown open_files_go_on
