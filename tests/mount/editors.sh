#!/usr/bin/env bash
# Editors and copying programs work in a step as in any folder: what they make besides is never part of a step. What nobody knows
# keeps the draft from being committed, and is named.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need rsync perl vim.tiny nano getfattr setfattr python3

device='device: "/device:GPU:3"'
other='device: "/device:GPU:7"'

# of_gpu: a step whose graph places its variable on the fourth GPU, as the machine that it was trained on had them.
of_gpu() {
  writable ../cases/gpu-device
  graph=$mnt/m-1/meta_graph.pbtxt
  cp "$graph" "$tmp/before.pbtxt"
  grep -qF "$device" "$graph" || fail "the graph names no device"
}

# graph_is COMMAND...: the next step has the graph that this filter makes of the old one; the step itself is as it was.
graph_is() {
  "$@" <"$tmp/before.pbtxt" >"$tmp/want.pbtxt"
  committed m-1 m-2 '~meta_graph.pbtxt'
  cmp "$tmp/want.pbtxt" "$mnt/m-2/meta_graph.pbtxt"
  cmp "$tmp/before.pbtxt" "$graph"
  check_equal "files of the new step" "$(ls -A "$mnt/m-2")" "$(ls -A "$mnt/m-1")"
  unmount
}

# --- editors --------------------------------------------------------------------------------------------

sed_and_perl_in_place() {
  of_gpu
  sed -i "s#$device##" "$graph"
  ! grep -qF "$device" "$graph" || fail "sed has changed nothing"
  check_equal "what sed left" "$(ls -A "$mnt/m-1")" "$(printf '%s\n' meta_graph.pbtxt variables.tsv w.npy)"
  sync "$mnt/m-1"
  ! grep -qF "$device" "$mnt/m-2/meta_graph.pbtxt" || fail "the new step has the old graph"
  unmount
  of_gpu
  sed -i "s#$device#$other#" "$graph"
  graph_is sed "s#$device#$other#"
  of_gpu
  perl -pi -e "s#$device#$other#" "$graph"
  graph_is sed "s#$device#$other#"
  of_gpu
  perl -pi~ -e "s#$device#$other#" "$graph"
  cmp "$tmp/before.pbtxt" "$graph~"
  graph_is sed "s#$device#$other#"
}

# With its swap file, and a backup by renaming and by copying.
vim_saves() {
  local how
  for how in "" "set backup" "set backup backupcopy=yes" "set backupcopy=yes" "set nowritebackup"; do
    of_gpu
    vim.tiny -Nu NONE -n -es -c "set backupskip=" -c "$how" -c "%s#$device#$other#" -c wq "$graph" || fail "vim with '$how'"
    [[ "$how " != "set backup "* ]] || cmp "$tmp/before.pbtxt" "$graph~"
    graph_is sed "s#$device#$other#"
  done
  of_gpu
  vim.tiny -Nu NONE -es -c "%s#$device#$other#" -c preserve -c "silent !ls -A $mnt/m-1 >$tmp/during" -c wq "$graph"
  grep -qF .meta_graph.pbtxt.swp "$tmp/during" || fail "no swap file: $(cat "$tmp/during")"
  graph_is sed "s#$device#$other#"
}

nano_and_emacs_save() {
  local editor
  for editor in nano emacs; do
    of_gpu
    python3 "$srcdir/tests/mount/editors.py" "$editor" "$graph" "GPU:3" "GPU:7"
    cmp "$tmp/before.pbtxt" "$graph~"
    graph_is sed "s#GPU:3#GPU:7#"
  done
}

# --- files of no variable --------------------------------------------------------------------------------

known_leftovers_are_no_obstacle() {
  local name
  of_gpu
  sed -i "s#$device#$other#" "$graph"
  mkdir "$mnt/m-1/scope"
  for name in w.npy~ '#w.npy#' .w.npy.swp w.swp .w.npy.Ab12Cd 4913 sedAb12Cd w.npy.part w.npy.1f2e3d4c.partial scope/w~; do
    echo text >"$mnt/m-1/$name"
    check_equal "$name" "$(cat "$mnt/m-1/$name")" text
  done
  check_equal "changes" "$(getfattr -n user.ckptfs.draft --only-values "$mnt/m-1")" 1
  graph_is sed "s#$device#$other#"
}

other_files_refuse_the_commit() {
  local name
  for name in notes.txt w.npy.bak sedAb scope/kernel 49130 README; do
    of_gpu
    sed -i "s#$device#$other#" "$graph"
    mkdir "$mnt/m-1/scope"
    echo text >"$mnt/m-1/$name"
    is_refused m-1 "$name: no variable can have this name; remove or rename the file"
    grep -qF "$name: no variable can have this name" <(getfattr -n user.ckptfs.error --only-values "$mnt/m-1/$name" 2>&1)
    check_equal "the file" "$(cat "$mnt/m-1/$name")" text
    rm "$mnt/m-1/$name"
    run getfattr -n user.ckptfs.error --only-values "$mnt/m-1"
    [ "$status" != 0 ] || fail "is still refused: $(cat "$tmp/out")"
    graph_is sed "s#$device#$other#"
  done
}

# One is still there after a crash, and can be renamed to what a variable may be called.
other_files_stay_in_the_draft() {
  of_gpu
  cp "$mnt/m-1/w.npy" "$mnt/m-1/copy"
  mv "$mnt/m-1/w.npy" "$mnt/m-1/aside"
  check_equal "changes" "$(getfattr -n user.ckptfs.draft --only-values "$mnt/m-1")" 1
  kill_daemon
  mount_ckpt "$source" -o commit=sync
  is_refused m-1 "copy: no variable"
  is_refused m-1 "aside: no variable"
  cmp "$mnt/m-1/copy" "$mnt/m-1/aside"
  mv "$mnt/m-1/copy" "$mnt/m-1/copy.npy"
  mv "$mnt/m-1/aside" "$mnt/m-1/v.npy"
  committed m-1 m-2 -w.npy +copy.npy +v.npy
  unmount
}

# --- texts ----------------------------------------------------------------------------------------------

texts_have_their_names() {
  of_gpu
  refuses "cannot move" mv "$graph" "$mnt/m-1/g.npy"
  refuses "cannot move" mv "$graph" "$mnt/m-1/object_graph.pbtxt"
  refuses "cannot move" mv "$mnt/m-1/w.npy" "$graph"
  mv "$graph" "$mnt/m-1/aside"
  [ ! -e "$graph" ] || fail "is still there"
  cmp "$tmp/before.pbtxt" "$mnt/m-1/aside"
  mv "$mnt/m-1/aside" "$graph"
  commits_nothing m-1
  mv "$graph" "$graph~"
  committed m-1 m-2 -meta_graph.pbtxt
  [ ! -e "$source/m-2.meta" ] || fail "the new step has a graph"
  cmp "$tmp/before.pbtxt" "$graph"
  unmount
}

# They take any write; of those that say what a step has it is ignored.
texts_are_written_in_place() {
  local text
  writable keras
  step=$(steps "$mnt" | cut -d' ' -f1)
  for text in variables.tsv object_graph.pbtxt; do
    cp "$mnt/$step/$text" "$tmp/$text"
    printf xyz | dd of="$mnt/$step/$text" conv=notrunc bs=1 seek=2 status=none
    check_equal "$text" "$(head -c5 "$mnt/$step/$text" | tail -c3)" xyz
    echo more >>"$mnt/$step/$text"
    truncate -s 7 "$mnt/$step/$text"
  done
  commits_nothing "$step"
  for text in variables.tsv object_graph.pbtxt; do
    cmp "$mnt/$step/$text" "$tmp/$text"
  done
  unmount
  of_gpu
  dd if=<(sed "s#$device#$other#" "$graph") of="$graph" conv=notrunc bs=4096 iflag=fullblock status=none
  graph_is sed "s#$device#$other#"
  of_gpu
  refuses "Invalid argument" dd if=<(printf '?') of="$graph" conv=notrunc status=none
  is_refused m-1 "meta_graph.pbtxt: "
  discard m-1
  unmount
}

rsync_in_place() {
  copy_of ../cases/deep-scopes
  touch -d 2001-01-01 "$source"/* # rsync compares sizes and times
  mount_ckpt "$source" -o commit=sync
  cp -r "$mnt/model.ckpt-100" "$tmp/tree"
  rsync -ai --delete --inplace "$tmp/tree/" "$mnt/model.ckpt-200/" >"$tmp/out" || fail "rsync: $(cat "$tmp/out")"
  diff -rq "$tmp/tree" "$mnt/model.ckpt-200"
  sync "$mnt/model.ckpt-200"
  nothing_is_lost
  diff -rq -x variables.tsv "$tmp/tree" "$mnt/model.ckpt-201"
  unmount
}

run_tests sed_and_perl_in_place vim_saves nano_and_emacs_save known_leftovers_are_no_obstacle \
  other_files_refuse_the_commit other_files_stay_in_the_draft texts_have_their_names texts_are_written_in_place \
  rsync_in_place
