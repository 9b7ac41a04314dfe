#!/usr/bin/env bash
# Links to steps, and steps in folders: made, moved and removed by ordinary tools.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr
need_python

is_sound() {
  "$builddir/fsck.ckptfs" -n "$source" >"$tmp/out" 2>&1 || fail "fsck: $(cat "$tmp/out")"
}

# says WORDS: the log does.
says() {
  grep -qF -- "$1" "$mnt.log" || fail "no '$1' in the log: $(cat "$mnt.log")"
}

names() {
  find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' ' | sed 's/ $//'
}

# said_to_be DIR STEP...: those of its state file; the last is the latest.
said_to_be() {
  check_equal "model_checkpoint_path" "$(sed -n 's/^model_checkpoint_path: "\(.*\)"$/\1/p' "$1/checkpoint")" "${*: -1}"
  check_equal "all_model_checkpoint_paths" \
    "$(sed -n 's/^all_model_checkpoint_paths: "\(.*\)"$/\1/p' "$1/checkpoint" | tr '\n' ' ')" "${*:2} "
}

all="checkpoint latest my-model-0 my-model-1000 my-model-2000"

# --- links ----------------------------------------------------------------------------------------------------

a_link_to_a_step_is_kept() {
  writable linear
  cp "$source/checkpoint" "$tmp/state"
  ln -s my-model-1000 "$mnt/best"
  check_equal "names" "$(names "$mnt")" "best $all"
  check_equal "best" "$(readlink "$mnt/best")" my-model-1000
  check_equal "best on disk" "$(readlink "$source/best")" my-model-1000
  cmp "$mnt/best/w.npy" "$mnt/my-model-1000/w.npy"
  check_equal "its kind" "$(stat -c %F "$mnt/best")" "symbolic link"
  cp -r "$mnt/latest" "$mnt/prod"
  check_equal "prod" "$(readlink "$mnt/prod")" my-model-2000
  cmp "$tmp/state" "$source/checkpoint"
  nothing_is_lost
  unmount
  mount_ckpt "$source" -o commit=sync
  check_equal "names" "$(names "$mnt")" "best $all prod" # kept
  refuses "File exists" ln -sn my-model-0 "$mnt/best"
  ln -sfn my-model-0 "$mnt/best"
  check_equal "best" "$(readlink "$mnt/best")" my-model-0
  cmp "$mnt/best/w.npy" "$mnt/my-model-0/w.npy"
  check_equal "names on disk" "$(find "$source" -type l -printf '%f ')" "best prod "
  mv "$mnt/best" "$mnt/worst"
  check_equal "worst" "$(readlink "$mnt/worst")" my-model-0
  mv -T "$mnt/worst" "$mnt/prod"
  check_equal "prod" "$(readlink "$mnt/prod")" my-model-0
  check_equal "names" "$(names "$mnt")" "$all prod"
  rm "$mnt/prod"
  check_equal "names" "$(names "$mnt")" "$all"
  check_equal "links on disk" "$(find "$source" -type l)" ""
  nothing_is_lost
  unmount
}

# What is written through it goes into the step.
an_edit_through_a_link() {
  writable linear
  ln -s my-model-1000 "$mnt/best"
  cp "$tmp/f7.npy" "$mnt/best/w.npy"
  cmp "$tmp/f7.npy" "$mnt/my-model-1000/w.npy"
  sync "$mnt/best/."
  nothing_is_lost
  check_equal "differences" "$(differences my-model-1000 my-model-2001)" "~w.npy"
  check_equal "best" "$(readlink "$mnt/best")" my-model-1000
  unmount
}

anything_else_is_refused() {
  local target
  writable linear
  mkdir "$source/old"
  for target in nowhere /etc ../x checkpoint latest old "$mnt/my-model-0" my-model-0/w.npy my-model-0.index; do
    refuses "Operation not permitted" ln -s "$target" "$mnt/best"
    refuses "Operation not permitted" ln -sfn "$target" "$mnt/latest"
  done
  # a file of that name on disk would be one of a step
  for target in x.index x.meta x.data-00000-of-00001 x-00000-of-00002; do
    refuses "Operation not permitted" ln -s my-model-0 "$mnt/$target"
  done
  refuses "Operation not permitted" ln -s my-model-0 "$mnt/my-model-0/best"
  says "best -> nowhere: expected a step of this folder"
  says "x.meta: a link of that name would be a file of a step"
  says "best: links are made in folders of steps"
  refuses "Operation not permitted" rm "$mnt/latest"
  says "latest: the state file says where it leads"
  refuses "Operation not permitted" rm "$mnt/checkpoint"
  says "checkpoint: ckptfs keeps it"
  check_equal "names" "$(names "$mnt")" "$all old"
  check_equal "links on disk" "$(find "$source" -type l)" ""
  nothing_is_lost
  unmount
}

links_of_others() {
  writable linear
  ln -s my-model-0 "$source/best"
  ln -s /etc "$source/etc"
  ln -s nowhere "$source/gone"
  ln -s best "$source/twice"
  ln -s my-model-2000.index "$source/alias.index"
  for file in "$source"/my-model-2000.data*; do
    ln -s "${file##*/}" "$source/alias${file#"$source/my-model-2000"}"
  done
  until [ -e "$mnt/best" ] && [ -e "$mnt/alias" ]; do sleep 0.01; done
  check_equal "names" "$(names "$mnt")" "alias best $all"
  check_equal "its kind" "$(stat -c %F "$mnt/alias")" "directory"
  ln -sfn my-model-1000 "$source/best"
  until [ "$(readlink "$mnt/best")" = my-model-1000 ]; do sleep 0.01; done
  cmp "$mnt/best/w.npy" "$mnt/my-model-1000/w.npy"
  # one that leads nowhere gives its name to another, one that leads elsewhere does not
  ln -s my-model-0 "$mnt/gone"
  check_equal "gone" "$(readlink "$mnt/gone")" my-model-0
  refuses "File exists" ln -sn my-model-0 "$mnt/etc"
  check_equal "etc" "$(readlink "$source/etc")" /etc
  rm "$source/best"
  while [ -L "$mnt/best" ]; do sleep 0.01; done
  # without a step it is not shown any more
  mv "$mnt/my-model-0" "$mnt/first"
  check_equal "names" "$(names "$mnt")" "alias checkpoint first latest my-model-1000 my-model-2000"
  unmount
}

# A V1 checkpoint is a file of its own name.
links_to_v1() {
  local name before
  writable v1
  before=$(steps "$mnt")
  name=${before%% *}
  ln -s "$name" "$mnt/best"
  check_equal "best" "$(readlink "$mnt/best")" "$name"
  check_equal "steps" "$(steps "$mnt")" "$before"
  diff -r "$mnt/best/" "$mnt/$name/"
  is_sound
  "$builddir/fsck.ckptfs" -n "$source/best" >"$tmp/out" || fail "fsck of the link: $(cat "$tmp/out")"
  rm "$mnt/best"
  check_equal "steps" "$(steps "$mnt")" "$before"
  unmount
}

# Where the filesystem has none, `latest` can be changed all the same.
without_symbolic_links() {
  copy_of linear
  mount_hooked "$source" -o commit=sync
  ln -s my-model-0 "$mnt/best" # from here on it is known what the filesystem can do
  rm "$mnt/best"
  arm 1 1 # EPERM
  refuses "Operation not permitted" ln -s my-model-0 "$mnt/best"
  was_hit || fail "nothing failed"
  arm 1 1
  ln -sfn my-model-0 "$mnt/latest"
  disarm
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-0
  check_equal "names" "$(names "$mnt")" "$all"
  unmount
  check_equal "model_checkpoint_path" "$(sed -n 's/^model_checkpoint_path: //p' "$source/checkpoint")" '"my-model-0"'
}

# --- a step is no place for a step ----------------------------------------------------------------------------

a_step_can_t_be_moved_into_a_step() {
  local before
  writable linear
  ln -s my-model-1000 "$mnt/best"
  before=$(cd "$mnt" && find . | sort)
  refuses "Operation not permitted" mv "$mnt/my-model-0" "$mnt/best"
  refuses "Operation not permitted" mv "$mnt/my-model-0" "$mnt/my-model-1000"
  refuses "Operation not permitted" mv "$mnt/my-model-0" "$mnt/my-model-1000/w"
  says "my-model-1000: a step can't be moved into a step"
  refuses "Operation not permitted" mv "$mnt/best" "$mnt/my-model-2000/"
  says "best: a link can't be moved into a step"
  refuses "Not a directory" "$CKPTFS_PYTHON" -c 'import os, sys; os.rename(*sys.argv[1:])' "$mnt/my-model-0" "$mnt/best"
  check_equal "all" "$(cd "$mnt" && find . | sort)" "$before"
  [ ! -e "$source/.ckptfs" ] || fail "a draft: $(find "$source/.ckptfs")"
  # nor into a new one that has something in it
  mkdir "$mnt/new"
  cp "$tmp/f7.npy" "$mnt/new/a.npy"
  refuses "Operation not permitted" mv "$mnt/my-model-0" "$mnt/new/"
  mkdir "$mnt/scopes" "$mnt/scopes/a"
  refuses "Operation not permitted" mv "$mnt/my-model-0" "$mnt/scopes/"
  sync "$mnt"
  cmp "$tmp/f7.npy" "$mnt/new/a.npy"
  is_sound
  unmount
}

# --- folders of steps -----------------------------------------------------------------------------------------

mv_into_a_new_folder() {
  local inodes
  writable linear
  cp -r "$mnt/my-model-0" "$tmp/0"
  cp -r "$mnt/my-model-2000" "$tmp/2000"
  inodes=$(cd "$source" && stat -c %i my-model-0.* my-model-2000.*)
  mkdir "$mnt/old"
  mv "$mnt/my-model-0" "$mnt/my-model-2000" "$mnt/old/"
  check_equal "names" "$(names "$mnt")" "checkpoint latest my-model-1000 old"
  check_equal "names in old" "$(names "$mnt/old")" "my-model-0 my-model-2000"
  diff -r "$tmp/0" "$mnt/old/my-model-0"
  diff -r "$tmp/2000" "$mnt/old/my-model-2000"
  check_equal "files" "$(cd "$source/old" && stat -c %i my-model-0.* my-model-2000.*)" "$inodes"
  check_equal "files left" "$(cd "$source" && find . -maxdepth 1 -name 'my-model-0*' -o -maxdepth 1 -name 'my-model-2000*')" ""
  said_to_be "$source" my-model-1000
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-1000
  [ ! -e "$source/old/checkpoint" ] || fail "a state file was made"
  check_equal "left" "$(find "$source" -name '.*' -mindepth 1)" ""
  is_sound
  # and back, and to another name; what old's state file says stays
  printf 'model_checkpoint_path: "my-model-0"\nall_model_checkpoint_paths: "my-model-0"\n' >"$source/old/checkpoint"
  mv "$mnt/old/my-model-2000" "$mnt/again"
  said_to_be "$source" my-model-1000
  said_to_be "$source/old" my-model-0
  diff -r "$tmp/2000" "$mnt/again"
  mv "$mnt/old/my-model-0" "$mnt/"
  [ ! -e "$source/old/checkpoint" ] || fail "the state file of no step: $(cat "$source/old/checkpoint")"
  check_equal "names" "$(names "$mnt")" "again checkpoint latest my-model-0 my-model-1000 old"
  is_sound
  # an edit afterwards is one of the step where it is now
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  sync "$mnt"
  cmp "$tmp/f7.npy" "$mnt/my-model-1001/w.npy"
  rmdir "$mnt/old"
  [ ! -e "$source/old" ] || fail "the folder is there"
  mkdir "$mnt/old"
  cp "$tmp/f7.npy" "$mnt/old/a.npy" # this time it is a step
  sync "$mnt"
  [ -e "$source/old.index" ] || fail "no step old"
  is_sound
  unmount
}

between_folders_of_others() {
  writable linear
  mkdir -p "$source/a/b" "$source/c"
  until [ -d "$mnt/a/b" ] && [ -d "$mnt/c" ]; do sleep 0.01; done
  cp "$source/checkpoint" "$source/c/checkpoint"
  mv "$mnt/my-model-0" "$mnt/a/b/"
  mv "$mnt/a/b/my-model-0" "$mnt/c/m"
  check_equal "names in c" "$(names "$mnt/c")" "checkpoint m"
  cmp "$source/c/checkpoint" "$fixtures/linear/checkpoint"
  rm "$source/c/checkpoint"
  refuses "Directory not empty" rmdir "$mnt/a"
  refuses "Directory not empty" rmdir "$mnt/c"
  rmdir "$mnt/a/b" "$mnt/a"
  # a name that is there
  cp "$source"/my-model-1000.* "$source/c/"
  until [ -d "$mnt/c/my-model-1000" ]; do sleep 0.01; done
  refuses "File exists" "$CKPTFS_PYTHON" -c 'import os, sys; os.rename(*sys.argv[1:])' "$mnt/my-model-1000" "$mnt/c/my-model-1000"
  rm -r "$mnt/c/my-model-1000"
  is_sound
  # what was written in it is committed first, as for another name
  cp "$tmp/f7.npy" "$mnt/my-model-1000/w.npy"
  mv "$mnt/my-model-1000" "$mnt/c/"
  check_equal "steps" "$(steps "$mnt")" "c my-model-2000 my-model-2001"
  cmp "$tmp/f7.npy" "$mnt/my-model-2001/w.npy"
  is_sound
  # a step that is not saved yet is copied
  cp -r "$mnt/my-model-2000" "$mnt/copy"
  mv "$mnt/copy" "$mnt/c/"
  sync "$mnt"
  diff -r "$mnt/my-model-2000" "$mnt/c/copy"
  [ ! -e "$mnt/copy" ] || fail "the copy has two places"
  cp -r "$mnt/my-model-2000" "$mnt/copy"
  mkdir "$mnt/fresh"
  mv "$mnt/copy" "$mnt/fresh/"
  sync "$mnt"
  diff -r "$mnt/my-model-2000" "$mnt/fresh/copy"
  rm -r "$mnt/fresh"
  is_sound
  # a link goes where its step is
  ln -s my-model-2000 "$mnt/best"
  refuses "Operation not permitted" mv "$mnt/best" "$mnt/c/"
  mv "$mnt/my-model-2000" "$mnt/c/"
  rm -r "$mnt/c"
  [ ! -e "$source/c" ] || fail "the folder is there: $(find "$source/c")"
  is_sound
  unmount
}

# mv(1) renames a folder of steps as any other. Whoever stands in it stays there.
a_folder_of_steps_is_renamed() {
  writable linear
  mkdir "$source/c" "$source/d" "$source/e"
  until [ -d "$mnt/c" ] && [ -d "$mnt/d" ] && [ -d "$mnt/e" ]; do sleep 0.01; done
  cp -r "$mnt/my-model-0" "$mnt/d/"
  mv "$mnt/my-model-1000" "$mnt/c/"
  refuses "Device or resource busy" mv "$mnt/d" "$mnt/f"
  says "my-model-0: has changes; commit or discard them first"
  sync "$mnt"
  cd "$mnt/c/my-model-1000"
  mv "$mnt/c" "$mnt/moved"
  [ ! -e "$mnt/c" ] || fail "the folder is there under its old name"
  cmp w.npy "$mnt/moved/my-model-1000/w.npy"
  cmp ../my-model-1000/w.npy "$mnt/moved/my-model-1000/w.npy"
  cd "$tmp"
  refuses "Directory not empty" mv -T "$mnt/moved" "$mnt/d"
  refuses "File exists" mv -T "$mnt/moved" "$mnt/my-model-0"
  refuses "Operation not permitted" mv "$mnt/moved" "$mnt/my-model-0/"
  says "moved: a folder of steps can't be moved into a step"
  mv -T "$mnt/e" "$mnt/f"
  mv "$mnt/moved" "$mnt/f/"
  cmp "$mnt/my-model-0/w.npy" "$mnt/d/my-model-0/w.npy"
  mv -T "$mnt/f/moved" "$mnt/d/down"
  array "$tmp/f8.npy" "np.float32(8)"
  cp "$tmp/f8.npy" "$mnt/d/down/my-model-1000/w.npy"
  sync "$mnt"
  cmp "$tmp/f8.npy" "$mnt/d/down/my-model-1001/w.npy"
  [ "$(find "$source" -name .ckptfs)" = "" ] || fail "left: $(find "$source" -name .ckptfs)"
  is_sound
  unmount
}

array "$tmp/f7.npy" "np.float32(7)"
run_tests a_link_to_a_step_is_kept an_edit_through_a_link anything_else_is_refused links_of_others links_to_v1 \
  without_symbolic_links a_step_can_t_be_moved_into_a_step mv_into_a_new_folder between_folders_of_others a_folder_of_steps_is_renamed
