#!/usr/bin/env bash
# A mount with `raw`: beside the folders of the steps are the directory's own files, and are what they are there. What programs do
# with open files stands in raw.py.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr flock rsync
need_python

names() {
  (cd "$1" && find . -mindepth 1 -maxdepth 1 ! -name .ckptfs -printf '%f\n' | LC_ALL=C sort)
}

# files FOLDER: what stat(2) says of the files in it, and their bytes.
files() {
  (
    cd "$1"
    find . -maxdepth 1 -type f -printf '%f %s %m %U %G %T@ %n\n' | LC_ALL=C sort
    find . -maxdepth 1 -type f -exec sha256sum {} + | LC_ALL=C sort -k 2
  )
}

# as_there FOLDER [STEP...]: the folder of the mount shows what the directory has, and the folders of STEPs, and latest, if
# that is among them.
as_there() {
  local folder=$1
  shift
  diff <({ names "$source/$folder"; printf '%s\n' "$@"; } | grep . | LC_ALL=C sort) <(names "$mnt/$folder") ||
    fail "other names in '$folder'"
  diff <(files "$source/$folder") <(files "$mnt/$folder") || fail "other files in '$folder'"
}

linear=(latest my-model-0 my-model-1000 my-model-2000)

is_sound() {
  "$builddir/fsck.ckptfs" -n "$source" >"$tmp/out" 2>&1 || fail "fsck: $(cat "$tmp/out")"
}

# says WORDS: the log does.
says() {
  grep -qF -- "$1" "$mnt.log" || fail "no '$1' in the log: $(cat "$mnt.log")"
}

python() {
  "$CKPTFS_PYTHON" -c "import os, sys; $1" "${@:2}"
}

# --- what is there --------------------------------------------------------------------------------------------

all_files_are_shown() {
  copy_of linear
  echo events >"$source/events.out.tfevents.1"
  echo graph >"$source/graph.pbtxt"
  echo hidden >"$source/.hidden"
  mkdir -p "$source/eval/deeper" "$source/my-model-3000_temp_0123"
  cp "$source"/my-model-0.* "$source/eval/"
  echo part >"$source/my-model-3000_temp_0123/part-00000-of-00001.data-00000-of-00001"
  chmod 600 "$source/graph.pbtxt"
  touch -d '2001-02-03 04:05:06.789' "$source/.hidden"
  mount_ckpt "$source" -o raw
  as_there . "${linear[@]}"
  as_there eval my-model-0
  as_there eval/deeper
  as_there my-model-3000_temp_0123
  diff -r "$mnt/my-model-0" "$mnt/eval/my-model-0"
  [ ! -e "$mnt/none.index" ] || fail "what is not there is"
  head -n 1 "$mnt/.ckptfs/status" >/dev/null
  nothing_is_lost
  unmount
}

# The folder .ckptfs of the directory is the mount's own.
drafts_are_not_shown() {
  writable linear raw
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  [ -d "$source/.ckptfs/drafts/my-model-0" ] || fail "no draft"
  as_there . "${linear[@]}"
  check_equal ".ckptfs" "$(ls -A "$mnt/.ckptfs")" status
  refuses "" touch "$mnt/.ckptfs/x"
  refuses "" mv "$mnt/my-model-0.index" "$mnt/.ckptfs/"
  discard my-model-0
  as_there . "${linear[@]}"
  unmount
}

# The steps are as without it: edits are committed, links made, steps renamed and removed, and the files follow.
steps_are_as_ever() {
  writable linear raw
  cp "$tmp/f7.npy" "$mnt/my-model-1000/w.npy"
  committed my-model-1000 my-model-2001 '~w.npy'
  as_there . "${linear[@]}" my-model-2001
  rm -r "$mnt/my-model-0"
  as_there . latest my-model-1000 my-model-2000 my-model-2001
  mv "$mnt/my-model-1000" "$mnt/best"
  as_there . latest best my-model-2000 my-model-2001
  ln -s best "$mnt/prod"
  check_equal prod "$(readlink "$mnt/prod")" best
  as_there . latest best my-model-2000 my-model-2001
  ln -sfn best "$mnt/latest"
  check_equal "the state file" "$(sed -n 's/^model_checkpoint_path: //p' "$mnt/checkpoint")" '"best"'
  as_there . latest best my-model-2000 my-model-2001
  is_sound
  unmount
}

# A trainer's way: temporary names, and the index is renamed into place at last.
a_step_comes_with_its_index() {
  local data=.data-00000-of-00001
  writable linear raw
  cp "$mnt/my-model-0$data" "$mnt/new$data.tempstate123"
  cp "$mnt/my-model-0.index" "$mnt/new.index.tempstate123"
  mv "$mnt/new$data.tempstate123" "$mnt/new$data"
  as_there . "${linear[@]}"
  [ ! -d "$mnt/new" ] || fail "a step without an index"
  mv "$mnt/new.index.tempstate123" "$mnt/new.index"
  [ -d "$mnt/new" ] || fail "the index makes no step"
  as_there . "${linear[@]}" new
  diff -r -x '*.pbtxt' -x variables.tsv "$mnt/my-model-0" "$mnt/new"
  cp "$mnt/my-model-0.meta" "$mnt/new.meta"
  diff -r "$mnt/my-model-0" "$mnt/new"
  # over a step that is there
  cp "$mnt/my-model-2000$data" "$mnt/t1"
  cp "$mnt/my-model-2000.index" "$mnt/t2"
  mv "$mnt/t1" "$mnt/new$data"
  mv "$mnt/t2" "$mnt/new.index"
  diff -r "$mnt/my-model-2000" "$mnt/new"
  rm "$mnt/new.index"
  [ ! -e "$mnt/new" ] || fail "a step without its index"
  as_there . "${linear[@]}"
  rm "$mnt/new$data" "$mnt/new.meta"
  # and the state file
  sed 's/^model_checkpoint_path: .*/model_checkpoint_path: "my-model-0"/' "$mnt/checkpoint" >"$mnt/checkpoint.tmp1"
  mv "$mnt/checkpoint.tmp1" "$mnt/checkpoint"
  check_equal latest "$(readlink "$mnt/latest")" my-model-0
  rm "$mnt/checkpoint"
  as_there . "${linear[@]:1}"
  nothing_is_lost
  unmount
}

# An unsharded V1 file has the name of its step: the file goes first.
v1_files() {
  local step
  copy_of v1
  mount_ckpt "$source" -o ro
  cp -r "$mnt/model.ckpt-10" "$tmp/want"
  unmount
  mount_ckpt "$source" -o commit=sync,raw,write_version=1
  as_there . latest model.ckpt-10%2F types.ckpt%2F
  check_equal latest "$(readlink "$mnt/latest")" model.ckpt-10%2F
  step=$mnt/model.ckpt-10%2F
  diff -r "$tmp/want" "$step"
  cp "$step/count.npy" "$step/other.npy"
  sync "$step"
  as_there . latest model.ckpt-10%2F types.ckpt%2F model.ckpt-11%2F
  cmp "$step/count.npy" "$mnt/model.ckpt-11%2F/other.npy"
  check_equal latest "$(readlink "$mnt/latest")" model.ckpt-11%2F
  ln -s model.ckpt-10%2F "$mnt/best"
  check_equal best "$(readlink "$mnt/best")" model.ckpt-10%2F
  check_equal "best on disk" "$(readlink "$source/best")" model.ckpt-10
  diff -r "$step" "$mnt/best/"
  as_there . latest model.ckpt-10%2F types.ckpt%2F model.ckpt-11%2F
  ln -sfn model.ckpt-10%2F "$mnt/latest"
  check_equal "the state file" "$(sed -n 's/^model_checkpoint_path: //p' "$mnt/checkpoint")" '"model.ckpt-10"'
  rm "$mnt/best"
  # a new one, as a trainer makes it
  cp "$mnt/model.ckpt-10" "$mnt/model.ckpt-20.tempstate7"
  mv "$mnt/model.ckpt-20.tempstate7" "$mnt/model.ckpt-20"
  [ -d "$mnt/model.ckpt-20%2F" ] || fail "no step"
  cmp "$step/count.npy" "$mnt/model.ckpt-20%2F/count.npy"
  rm "$mnt/model.ckpt-20"
  as_there . latest model.ckpt-10%2F types.ckpt%2F model.ckpt-11%2F
  rm -r "$mnt/model.ckpt-11%2F"
  [ ! -e "$source/model.ckpt-11" ] || fail "it is not removed"
  as_there . latest model.ckpt-10%2F types.ckpt%2F
  nothing_is_lost
  unmount
  copy_of v1-sharded
  mount_ckpt "$source" -o commit=sync,raw
  step=$(readlink "$mnt/latest")
  as_there . latest "$step"
  cp "$mnt/$step/layer0/step.npy" "$mnt/$step/other.npy"
  sync "$mnt/$step"
  nothing_is_lost
  unmount
}

# As on disk, wherever they lead; but one to a step is the view's.
links_are_links() {
  local name
  copy_of linear
  ln -s my-model-0.meta "$source/a.meta"
  mkdir "$source/sub"
  ln -s ../graph.pbtxt "$source/sub/graph.pbtxt"
  echo graph >"$source/graph.pbtxt"
  ln -s my-model-1000 "$source/best"
  ln -s /etc "$source/etc"
  ln -s nowhere "$source/gone"
  ln -s sub "$source/folder"
  mount_ckpt "$source" -o commit=sync,raw
  as_there . "${linear[@]}"
  as_there sub
  for name in a.meta sub/graph.pbtxt best etc gone folder; do
    check_equal "$name" "$(readlink "$mnt/$name")" "$(readlink "$source/$name")"
  done
  cmp "$source/my-model-0.meta" "$mnt/a.meta"
  cmp "$source/graph.pbtxt" "$mnt/sub/graph.pbtxt"
  cmp "$source/graph.pbtxt" "$mnt/folder/graph.pbtxt"
  diff -r "$mnt/best/" "$mnt/my-model-1000/"
  # it is the link that is removed, renamed, replaced
  mv "$mnt/a.meta" "$mnt/b.meta"
  check_equal "the link" "$(readlink "$source/b.meta")" my-model-0.meta
  ln -sfn my-model-1000.meta "$mnt/b.meta"
  check_equal "the link" "$(readlink "$source/b.meta")" my-model-1000.meta
  cmp "$source/my-model-1000.meta" "$mnt/b.meta"
  for name in nowhere /etc checkpoint; do
    refuses "Operation not permitted" ln -sfn "$name" "$mnt/latest"
  done
  check_equal latest "$(readlink "$mnt/latest")" my-model-2000
  [ ! -L "$source/latest" ] || fail "a link of the view's name: $(readlink "$source/latest")"
  ln -s elsewhere "$mnt/sub/new"
  check_equal "a new one" "$(readlink "$source/sub/new")" elsewhere
  refuses "File exists" ln -s x "$mnt/sub/new"
  refuses "File exists" ln -sT x "$mnt/graph.pbtxt"
  ln -s my-model-0 "$mnt/worst"
  cp -a "$mnt/b.meta" "$mnt/c.meta"
  check_equal "a copy" "$(readlink "$source/c.meta")" my-model-1000.meta
  as_there . "${linear[@]}"
  rm "$mnt"/[bc].meta "$mnt"/sub/* "$mnt/best" "$mnt/worst" "$mnt/etc" "$mnt/gone" "$mnt/folder"
  check_equal "links left" "$(find "$source" -type l)" ""
  as_there . "${linear[@]}"
  rm "$source/graph.pbtxt"
  nothing_is_lost
  unmount
}

# --- tools ----------------------------------------------------------------------------------------------------

files_are_written() {
  writable linear raw
  echo one >"$mnt/graph.pbtxt"
  echo two >>"$mnt/graph.pbtxt"
  check_equal "bytes" "$(cat "$mnt/graph.pbtxt")" "$(printf 'one\ntwo')"
  as_there . "${linear[@]}"
  truncate -s 100000 "$mnt/graph.pbtxt"
  as_there . "${linear[@]}"
  printf x | dd of="$mnt/graph.pbtxt" bs=1 seek=5000 conv=notrunc status=none
  chmod 640 "$mnt/graph.pbtxt"
  touch -d '2001-02-03 04:05:06.789' "$mnt/graph.pbtxt"
  as_there . "${linear[@]}"
  check_equal "time" "$(stat -c %y "$source/graph.pbtxt" | cut -c -23)" "2001-02-03 04:05:06.789"
  [ "$(id -u)" != 0 ] || chown 12:34 "$mnt/graph.pbtxt"
  sed -i s/one/three/ "$mnt/graph.pbtxt"
  cp -a "$mnt/graph.pbtxt" "$mnt/copy"
  as_there . "${linear[@]}"
  cmp "$mnt/graph.pbtxt" "$mnt/copy"
  (umask 077 && echo mine >"$mnt/mine" && mkdir "$mnt/own")
  (umask 002 && echo ours >"$mnt/ours")
  check_equal "modes" "$(cd "$source" && stat -c %a mine own ours | tr '\n' ' ')" "600 700 664 "
  mkdir "$mnt/sub"
  tar -C "$fixtures" -cf - net sharded | tar -C "$mnt/sub" -xf -
  as_there sub
  as_there sub/net latest my_net.ckpt
  as_there sub/sharded latest model-7
  as_there . "${linear[@]}"
  sync "$mnt/graph.pbtxt" "$mnt"
  nothing_is_lost
  unmount
}

folders_are_folders() {
  writable linear raw
  mkdir -p "$mnt/old/older"
  mv "$mnt"/my-model-0.* "$mnt/old/"
  as_there . latest my-model-1000 my-model-2000
  as_there old my-model-0
  mv "$mnt/old" "$mnt/first"
  as_there . latest my-model-1000 my-model-2000
  as_there first my-model-0
  cp "$mnt/first/my-model-0/w.npy" "$tmp/w.npy"
  mv "$mnt/first" "$mnt/my-model-0_temp"
  cmp "$tmp/w.npy" "$mnt/my-model-0_temp/my-model-0/w.npy"
  mv "$mnt/my-model-0_temp"/my-model-0.* "$mnt/"
  as_there . "${linear[@]}"
  refuses "Directory not empty" rmdir "$mnt/my-model-0_temp"
  rmdir "$mnt/my-model-0_temp/older" "$mnt/my-model-0_temp"
  refuses "File exists" mkdir "$mnt/my-model-0"
  refuses "Is a directory" python 'open(sys.argv[1], "wb")' "$mnt/my-model-0"
  mkdir "$mnt/a"
  echo x >"$mnt/a/x"
  cp -r "$mnt/a" "$mnt/b"
  rm -r "$mnt/a" "$mnt/b"
  as_there . "${linear[@]}"
  nothing_is_lost
  unmount
}

# What is written in its steps is committed first.
a_folder_with_a_draft_is_renamed() {
  writable linear raw
  mkdir "$mnt/old"
  mv "$mnt"/my-model-0.* "$mnt/old/"
  cp "$tmp/f7.npy" "$mnt/old/my-model-0/w.npy"
  refuses "Device or resource busy" mv "$mnt/old" "$mnt/new"
  says "my-model-0: has changes; commit or discard them first"
  sync "$mnt/old"
  mv "$mnt/old" "$mnt/new"
  check_equal "steps" "$(steps "$mnt/new")" "my-model-0 my-model-1"
  cmp "$tmp/f7.npy" "$mnt/new/my-model-1/w.npy"
  as_there new my-model-0 my-model-1
  unmount
}

# rename(2) can't, so mv copies.
between_files_and_steps() {
  writable linear raw
  cp "$tmp/f7.npy" "$mnt/new.npy"
  refuses cross-device python 'os.rename(*sys.argv[1:])' "$mnt/new.npy" "$mnt/my-model-0/w.npy"
  refuses cross-device python 'os.rename(*sys.argv[1:])' "$mnt/my-model-0/w.npy" "$mnt/out.npy"
  mv "$mnt/new.npy" "$mnt/my-model-0/w.npy"
  cmp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  mv "$mnt/my-model-0/b.npy" "$mnt/out.npy"
  as_there . "${linear[@]}"
  committed my-model-0 my-model-2001 -b.npy '~w.npy'
  cmp "$mnt/my-model-0/b.npy" "$source/out.npy"
  rm "$mnt/out.npy"
  unmount
}

# Removing by files and by folders: whatever goes first, all is gone.
all_is_removed() {
  writable linear raw
  find "$mnt" -maxdepth 1 -type f -name 'my-model-0.*' -delete
  as_there . latest my-model-1000 my-model-2000
  mkdir "$mnt/old"
  mv "$mnt"/my-model-1000.* "$mnt/old/"
  cp "$mnt"/my-model-2000.* "$mnt/old/"
  echo x >"$mnt/old/events"
  cp -r "$source/old" "$source/older"
  cp -r "$source/old" "$source/oldest"
  rm -r "$mnt/old"
  rm -rf "$mnt/older"
  python 'import shutil; shutil.rmtree(sys.argv[1])' "$mnt/oldest"
  check_equal "left" "$(find "$source" -name 'old*')" ""
  as_there . latest my-model-2000
  rm -rf "${mnt:?}"/*
  check_equal "left" "$(find "$source" -mindepth 1)" ""
  unmount
}

rsync_there_and_back() {
  writable linear raw
  mkdir "$mnt/sub"
  echo x >"$mnt/sub/x"
  rsync -a "$mnt/" "$tmp/rsynced/"
  diff -r "$mnt" "$tmp/rsynced"
  check_equal "nothing to do" "$(rsync -aiO "$mnt/" "$tmp/rsynced/")" ""
  check_equal "nothing to do" "$(rsync -aiO "$tmp/rsynced/" "$mnt/")" ""
  echo another >"$tmp/rsynced/sub/x"
  echo z >"$tmp/rsynced/z"
  rsync -a "$tmp/rsynced/" "$mnt/"
  check_equal "bytes" "$(cat "$source/sub/x" "$source/z")" "$(printf 'another\nz')"
  as_there . "${linear[@]}"
  as_there sub
  [ ! -e "$source/.ckptfs/drafts" ] || fail "a draft: $(find "$source/.ckptfs")"
  nothing_is_lost
  unmount
}

# What is open belongs to nobody else: a shard that a trainer overwrites is one of a step that is shown and has a draft.
a_trainer_overwrites_a_step_with_a_draft() {
  writable linear raw
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  cp "$source/my-model-2000.data-00000-of-00001" "$tmp/data"
  cp "$source/my-model-2000.index" "$tmp/index"
  cp "$tmp/data" "$mnt/t1" && mv "$mnt/t1" "$mnt/my-model-0.data-00000-of-00001"
  cp "$tmp/index" "$mnt/t2" && mv "$mnt/t2" "$mnt/my-model-0.index"
  cmp "$tmp/data" "$source/my-model-0.data-00000-of-00001"
  sync "$mnt" # the draft is committed as a step of its own
  cmp "$tmp/f7.npy" "$mnt/my-model-2001/w.npy"
  diff -r -x '*.pbtxt' -x variables.tsv "$mnt/my-model-0" "$mnt/my-model-2000"
  is_sound
  unmount
}

# --- other mounts -----------------------------------------------------------------------------------------------

read_only() {
  local command
  copy_of linear
  mkdir "$source/sub"
  mount_ckpt "$source" -o ro,raw
  as_there . "${linear[@]}"
  for command in "touch $mnt/new" "mkdir $mnt/new" "rm $mnt/my-model-0.index" "mv $mnt/my-model-0.index $mnt/x" "rmdir $mnt/sub" \
    "chmod 600 $mnt/checkpoint" "truncate -s 0 $mnt/checkpoint" "touch $mnt/checkpoint" "cp $tmp/f7.npy $mnt/checkpoint" \
    "ln -s my-model-0 $mnt/best" "mv $mnt/sub $mnt/sub2"; do
    # shellcheck disable=SC2086 # words
    refuses "Read-only file system" $command
  done
  as_there . "${linear[@]}"
  nothing_is_lost
  unmount
}

# Names that TensorFlow looks for can be read, though no folder lists them.
without_raw() {
  local name to
  copy_of linear
  mkdir "$source/sub"
  cp "$source"/my-model-0.* "$source/sub/"
  echo events >"$source/events.out"
  mount_ckpt "$source" -o commit=sync
  check_equal "names" "$(names "$mnt")" "$(printf '%s\n' checkpoint "${linear[@]}" sub)"
  for name in my-model-{0,1000,2000}.{data-00000-of-00001,index,meta} sub/my-model-0.{data-00000-of-00001,index,meta}; do
    cmp "$source/$name" "$mnt/$name"
    check_equal "$name" "$(stat -c '%s %F' "$mnt/$name")" "$(stat -c '%s %F' "$source/$name")"
    for to in "cp $tmp/f7.npy $mnt/$name" "rm -f $mnt/$name" "mv $mnt/$name $mnt/x" "truncate -s 0 $mnt/$name" \
      "mv $tmp/f7.npy $mnt/$name" "mkdir $mnt/$name" "ln -s my-model-0 $mnt/$name"; do
      # shellcheck disable=SC2086 # words
      refuses "$mnt" $to
      cmp "$source/$name" "$mnt/$name"
    done
  done
  for name in events.out my-model-1.index none.data-00000-of-00001 my-model-0.data-00001-of-00002 sub/none.index .ckptfs/lock; do
    [ ! -e "$mnt/$name" ] || fail "$name is there"
  done
  check_equal "names" "$(names "$mnt")" "$(printf '%s\n' checkpoint "${linear[@]}" sub)"
  # a step that goes takes them along, and a new one has them
  cp "$tmp/f7.npy" "$mnt/my-model-1000/w.npy"
  sync "$mnt"
  cmp "$source/my-model-2001.index" "$mnt/my-model-2001.index"
  rm -r "$mnt/my-model-1000"
  [ ! -e "$mnt/my-model-1000.index" ] || fail "its index is there"
  sed -i /my-model-1000/d "$tmp/sums"
  nothing_is_lost
  unmount
  copy_of v1-sharded
  mount_ckpt "$source" -o ro
  for name in model-2-00000-of-00002 model-2-00001-of-00002 model-2.meta; do
    cmp "$source/$name" "$mnt/$name"
  done
  check_equal "names" "$(names "$mnt" | sed -n '/-of-\|meta/p')" ""
  unmount
}

# --- open files -------------------------------------------------------------------------------------------------

# open_files TEST...: of raw.py, each in an empty directory.
open_files() {
  local test
  for test; do
    source=$(mktemp -d "$tmp/source.XXXXXX")
    cp "$fixtures"/net/my_net.ckpt.* "$source"
    mount_ckpt "$source" -o commit=sync,raw
    rm "$mnt"/my_net.ckpt.*
    "$CKPTFS_PYTHON" "$srcdir/tests/mount/raw.py" "$source" "$mnt" "$test" || fail "$test"
    check_equal "left by $test" "$(find "$source" -mindepth 1)" ""
    unmount
  done
}

programs_use_files() {
  open_files removed_while_open replaced_while_open flags_of_open pieces_of_any_size renamed long_names copied_in_the_kernel
}

several_use_a_file() {
  open_files read_at_once two_writers_of_a_file writers_append locked mapped changed_behind_the_mount
}

# A thousand acts, each in the mount and in an ordinary folder.
anything_is_as_in_a_folder() {
  open_files anything
}

array "$tmp/f7.npy" "np.float32(7)"
run_tests all_files_are_shown drafts_are_not_shown steps_are_as_ever a_step_comes_with_its_index v1_files \
  links_are_links files_are_written folders_are_folders a_folder_with_a_draft_is_renamed between_files_and_steps \
  all_is_removed rsync_there_and_back a_trainer_overwrites_a_step_with_a_draft read_only without_raw programs_use_files \
  several_use_a_file anything_is_as_in_a_folder
