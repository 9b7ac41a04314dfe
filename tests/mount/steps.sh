#!/usr/bin/env bash
# Steps as a whole: made, copied, renamed and removed by ordinary tools; `latest` pointed elsewhere, and edited through.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr rsync setfattr tar
need_python

# said_to_be STEP...: those of `checkpoint`; the last is the latest.
said_to_be() {
  check_equal "model_checkpoint_path" "$(sed -n 's/^model_checkpoint_path: "\(.*\)"$/\1/p' "$source/checkpoint")" "${*: -1}"
  check_equal "all_model_checkpoint_paths" \
    "$(sed -n 's/^all_model_checkpoint_paths: "\(.*\)"$/\1/p' "$source/checkpoint" | tr '\n' ' ')" "$* "
}

# --- what becomes the latest ----------------------------------------------------------------------------------

# saved_after BASE NEW: a change in BASE's folder is the step NEW.
saved_after() {
  cp "$tmp/f7.npy" "$mnt/$1/new-in-$2.npy"
  sync "$mnt/$1"
  [ -f "$source/$2.index" ] || fail "no step $2: $(steps "$mnt")"
}

a_commit_over_the_latest_becomes_it() {
  writable linear
  saved_after my-model-2000 my-model-2001
  said_to_be my-model-0 my-model-1000 my-model-2000 my-model-2001
  rm "$mnt/latest/w.npy"
  sync "$mnt/latest/."
  said_to_be my-model-0 my-model-1000 my-model-2000 my-model-2001 my-model-2002
  unmount
}

# A trainer must neither go on from a person's copy nor remove it.
nothing_else_does() {
  writable linear
  cp "$source/checkpoint" "$tmp/state"
  saved_after my-model-0 my-model-2001
  cp -r "$mnt/my-model-2000" "$mnt/pruned"
  rm "$mnt/pruned/w.npy"
  sync "$mnt"
  mkdir "$mnt/made-5"
  cp "$tmp/f7.npy" "$mnt/made-5/a.npy"
  sync "$mnt"
  cp "$tmp/f7.npy" "$mnt/pruned/b.npy"
  sync "$mnt/pruned"
  check_equal "steps" "$(steps "$mnt")" "made-5 my-model-0 my-model-1000 my-model-2000 my-model-2001 pruned pruned-1"
  cmp "$tmp/state" "$source/checkpoint"
  # who asks for it gets it; a step that is renamed keeps its place
  ln -sfn pruned "$mnt/latest"
  said_to_be my-model-0 my-model-1000 my-model-2000 pruned
  mv "$mnt/my-model-1000" "$mnt/old"
  said_to_be my-model-0 old my-model-2000 pruned
  saved_after pruned pruned-2
  said_to_be my-model-0 old my-model-2000 pruned pruned-2
  unmount
}

# Without a state file, or with one that can't be read, there is no latest.
no_state_file_is_made() {
  writable linear
  rm "$source/checkpoint"
  saved_after my-model-2000 my-model-2001
  [ ! -e "$source/checkpoint" ] || fail "there is one: $(cat "$source/checkpoint")"
  ln -sfn my-model-2001 "$mnt/latest"
  said_to_be my-model-2001
  echo garbage >"$source/checkpoint"
  saved_after my-model-2001 my-model-2002
  check_equal "the state file" "$(cat "$source/checkpoint")" garbage
  unmount
}

# --- copies ---------------------------------------------------------------------------------------------

# Of a step with a large variable.
cp_r_moves_no_data() {
  local before after
  writable linear
  cp "$tmp/big.npy" "$mnt/my-model-0/big.npy"
  committed my-model-0 my-model-2001 +big.npy
  before=$(disk_use)
  cp -r "$mnt/my-model-2001" "$mnt/copy"
  sync "$mnt/copy"
  nothing_is_lost
  after=$(disk_use)
  [ $((after - before)) -le 32768 ] || fail "a copy takes $((after - before)) bytes"
  diff -r "$mnt/my-model-2001" "$mnt/copy"
  said_to_be my-model-0 my-model-1000 my-model-2000
  # the copy lives on without the original
  rm -r "$mnt/my-model-2001"
  cmp "$tmp/big.npy" "$mnt/copy/big.npy"
  "$builddir/fsck.ckptfs" -n "$source" || fail "the copy is damaged"
  unmount
}

cp_r_with_changes() {
  writable linear
  cp -r "$mnt/my-model-1000" "$mnt/tuned-1"
  cp "$tmp/f7.npy" "$mnt/tuned-1/w.npy"
  rm "$mnt/tuned-1/b.npy"
  check_equal "steps on disk" "$(find "$source" -name 'tuned*' -path "$source/tuned*")" ""
  sync "$mnt/tuned-1"
  nothing_is_lost
  check_equal "differences" "$(differences my-model-1000 tuned-1)" "-b.npy ~w.npy"
  remember
  cp "$tmp/f7.npy" "$mnt/tuned-1/w/Adam.npy"
  committed tuned-1 tuned-2 '~w/Adam.npy'
  unmount
}

cp_a_to_another_mount() {
  local first first_source second_source
  writable linear
  first=$mnt first_source=$source
  writable net
  second_source=$source
  cp -a "$first/my-model-1000" "$mnt/my-model-7"
  sync "$mnt"
  nothing_is_lost
  diff -r "$first/my-model-1000" "$mnt/my-model-7"
  [ -e "$second_source/my-model-7.meta" ] || fail "no meta graph"
  unmount
  unmount "$first"
  source=$first_source
  [ ! -e "$first_source/.ckptfs/drafts" ] || fail "a draft of what was only read"
}

tar_into_a_new_step() {
  writable linear
  mkdir "$mnt/from-tar"
  tar -C "$mnt/my-model-1000" -cf - . | tar -C "$mnt/from-tar" -xf -
  sync "$mnt"
  nothing_is_lost
  diff -r "$mnt/my-model-1000" "$mnt/from-tar"
  unmount
}

new_steps_by_hand() {
  local longest

  writable linear
  mkdir "$mnt/made-3"
  sync "$mnt"
  [ -d "$mnt/made-3" ] || fail "an empty step is gone"
  cp "$tmp/f7.npy" "$mnt/made-3/a.npy"
  mkdir "$mnt/made-3/scope"
  cp "$tmp/big.npy" "$mnt/made-3/scope/b.npy"
  sync "$mnt"
  nothing_is_lost
  check_equal "files" "$(cd "$mnt/made-3" && find . -name '*.npy' | sort | tr '\n' ' ')" "./a.npy ./scope/b.npy "
  said_to_be my-model-0 my-model-1000 my-model-2000
  remember
  cp "$tmp/big.npy" "$mnt/made-3/c.npy"
  committed made-3 made-4 +c.npy
  refuses "File exists" mkdir "$mnt/made-3"
  mkdir "$mnt/gone"
  rmdir "$mnt/gone"
  mkdir "$mnt/gone"
  rm -r "$mnt/gone"
  [ ! -e "$mnt/gone" ] || fail "still there"
  refuses "Operation not permitted" cp "$tmp/f7.npy" "$mnt/w.npy"
  refuses "File exists" mkdir "$mnt/.ckptfs"
  longest=$(printf 'n%.0s' {1..235}) # with .data-00000-of-00001 it has 255 bytes
  refuses "File name too long" mkdir "$mnt/${longest}n"
  mkdir "$mnt/$longest"
  cp "$tmp/f7.npy" "$mnt/$longest/a.npy"
  sync "$mnt"
  [ -e "$source/$longest.index" ] || fail "no step of the longest name"
  unmount
}

# --- renamed and removed --------------------------------------------------------------------------------

mv_of_a_step() {
  writable linear
  mv "$mnt/my-model-2000" "$mnt/best"
  check_equal "steps" "$(steps "$mnt")" "best my-model-0 my-model-1000"
  said_to_be my-model-0 my-model-1000 best
  check_equal "latest" "$(readlink "$mnt/latest")" best
  [ -e "$source/best.meta" ] || fail "no meta graph"
  [ -e "$source/best.index" ] || fail "no index"
  check_equal "old files" "$(find "$source" -name 'my-model-2000*')" ""
  "$builddir/fsck.ckptfs" -n "$source" >/dev/null || fail "fsck"
  # what was written in it goes along, as a step of its own
  cp "$tmp/f7.npy" "$mnt/best/w.npy"
  mv "$mnt/best" "$mnt/worst"
  sync "$mnt"
  "$builddir/fsck.ckptfs" -n "$source" >/dev/null || fail "fsck"
  check_equal "steps" "$(steps "$mnt")" "best-1 my-model-0 my-model-1000 worst"
  check_equal "differences" "$(differences worst best-1)" "~w.npy"
  refuses "File exists" "$CKPTFS_PYTHON" -c 'import os, sys; os.rename(*sys.argv[1:])' "$mnt/worst" "$mnt/my-model-0"
  mkdir "$mnt/unborn"
  cp "$tmp/f7.npy" "$mnt/unborn/a.npy"
  mv "$mnt/unborn" "$mnt/born"
  cmp "$tmp/f7.npy" "$mnt/born/a.npy"
  sync "$mnt"
  [ -e "$source/born.index" ] || fail "no new step"
  check_equal "steps" "$(steps "$mnt")" "best-1 born my-model-0 my-model-1000 worst"
  unmount
}

rm_r_of_a_step() {
  writable linear
  rm -r "$mnt/my-model-2000"
  check_equal "steps" "$(steps "$mnt")" "my-model-0 my-model-1000"
  check_equal "old files" "$(find "$source" -name 'my-model-2000*')" ""
  said_to_be my-model-0 my-model-1000
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-1000
  check_equal "left" "$(find "$source" -mindepth 1 -name '.*')" ""
  # one that others share bytes with
  cp "$tmp/big.npy" "$mnt/my-model-0/big.npy"
  sync "$mnt/my-model-0"
  cp "$tmp/f7.npy" "$mnt/my-model-1001/w.npy"
  sync "$mnt"
  rm -r "$mnt/my-model-1001" "$mnt/my-model-0"
  cmp "$tmp/big.npy" "$mnt/my-model-1002/big.npy"
  "$builddir/fsck.ckptfs" -n "$source" >/dev/null || fail "fsck"
  rm -r "${mnt:?}"/my-model-*
  check_equal "steps" "$(steps "$mnt")" ""
  unmount
}

# --- latest ---------------------------------------------------------------------------------------------

latest_can_be_pointed() {
  writable linear
  ln -sfn my-model-0 "$mnt/latest"
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-0
  check_equal "model_checkpoint_path" "$(sed -n 's/^model_checkpoint_path: //p' "$source/checkpoint")" '"my-model-0"'
  cmp "$mnt/latest/w.npy" "$mnt/my-model-0/w.npy"
  ln -sfn my-model-1000/ "$mnt/latest"
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-1000
  cmp "$mnt/latest/w.npy" "$mnt/my-model-1000/w.npy"
  refuses "Operation not permitted" ln -sfn nowhere "$mnt/latest"
  refuses "Operation not permitted" ln -sfn /etc "$mnt/latest"
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-1000
  # ln makes it under another name first, which is then a link on disk; of `latest` there is none
  ln -s my-model-0 "$mnt/other"
  mv "$mnt/other" "$mnt/another"
  check_equal "another" "$(readlink "$source/another")" my-model-0
  mv -T "$mnt/another" "$mnt/latest"
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-0
  check_equal "model_checkpoint_path" "$(sed -n 's/^model_checkpoint_path: //p' "$source/checkpoint")" '"my-model-0"'
  check_equal "names" "$(find "$mnt" -mindepth 1 -maxdepth 1 -printf "%f\n" | sort | tr '\n' ' ')" \
    "checkpoint latest my-model-0 my-model-1000 my-model-2000 "
  check_equal "links on disk" "$(find "$source" -type l)" ""
  unmount
}

# A step for each, with all edits so far.
# It is read right after it was changed through the mount, when the kernel has heard of nothing. Four at once, so that the daemon is
# busy.
the_state_file_is_never_old() {
  local i at pids=()
  writable linear
  cp -r "$source" "$tmp/more"
  for at in 1 2 3 4; do mkdir "$source/$at" && cp "$tmp/more"/* "$source/$at"; done
  for at in 1 2 3 4; do
    for i in {1..40}; do
      cp -r "$mnt/$at/my-model-0" "$mnt/$at/s$i"
      sync "$mnt/$at/s$i"
      ls "$mnt/$at" >"$tmp/list.$at"
      ln -sfn "s$i" "$mnt/$at/latest"
      cat "$mnt/$at/checkpoint" >"$tmp/state.$at"
      cmp "$tmp/state.$at" "$source/$at/checkpoint" || exit 1
    done &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i" || fail "checkpoint is not as on disk"
  done
  unmount
}

ten_edits_through_latest() {
  local i k
  writable linear
  for i in 1 2 3 4 5 6 7 8 9 10; do
    array "$tmp/$i.npy" "np.float32($i)"
    cp "$tmp/$i.npy" "$mnt/latest/e$i.npy"
    sync "$mnt/latest/."
    check_equal "latest" "$(readlink "$mnt/latest")" "my-model-$((2000 + i))"
    nothing_is_lost
    for ((k = 1; k <= i; k++)); do
      cmp "$tmp/$k.npy" "$mnt/my-model-$((2000 + i))/e$k.npy"
      cmp "$tmp/$k.npy" "$mnt/latest/e$k.npy"
    done
    remember
  done
  check_equal "steps" "$(find "$mnt" -maxdepth 1 -name 'my-model-*' | wc -l)" 13
  unmount
}

# --- texts ----------------------------------------------------------------------------------------------

# pbtext prints a .meta as text.
the_meta_graph_can_be_edited() {
  writable linear
  sed 's/tensorflow_version: ".*"/tensorflow_version: "9.9.9"/' "$mnt/my-model-0/meta_graph.pbtxt" >"$tmp/meta.pbtxt"
  ! cmp -s "$tmp/meta.pbtxt" "$mnt/my-model-0/meta_graph.pbtxt" || fail "the test changes nothing"
  cp "$tmp/meta.pbtxt" "$mnt/my-model-0/meta_graph.pbtxt"
  cmp "$tmp/meta.pbtxt" "$mnt/my-model-0/meta_graph.pbtxt"
  committed my-model-0 my-model-2001 '~meta_graph.pbtxt'
  cmp "$tmp/meta.pbtxt" "$mnt/my-model-2001/meta_graph.pbtxt"
  # the same text is no change
  cat "$mnt/my-model-2001/meta_graph.pbtxt" >"$tmp/same.pbtxt"
  cp "$tmp/same.pbtxt" "$mnt/my-model-2001/meta_graph.pbtxt"
  commits_nothing my-model-2001
  # a bad one is refused
  echo "nonsense {" >>"$tmp/same.pbtxt"
  run cp "$tmp/same.pbtxt" "$mnt/my-model-2001/meta_graph.pbtxt"
  is_refused my-model-2001 "meta_graph.pbtxt"
  cp "$tmp/meta.pbtxt" "$mnt/my-model-2001/meta_graph.pbtxt"
  commits_nothing my-model-2001
  rm "$mnt/my-model-2001/meta_graph.pbtxt"
  committed my-model-2001 my-model-2002 -meta_graph.pbtxt
  [ ! -e "$source/my-model-2002.meta" ] || fail "the meta graph is still there"
  unmount
}

derived_texts_are_ignored() {
  writable linear
  echo nonsense >"$mnt/my-model-0/variables.tsv"
  commits_nothing my-model-0
  rm "$mnt/my-model-0/variables.tsv"
  commits_nothing my-model-0
  [[ $(<"$mnt/my-model-0/variables.tsv") = name* ]] || fail "it is gone"
  unmount
}

# log_says WORDS
log_says() {
  grep -qF -- "$1" "$mnt.log" || fail "no '$1' in the log: $(cat "$mnt.log")"
}

# By cp and rsync in whatever manner: the step that it names is the latest. Nothing else of it counts.
a_state_file_that_is_copied_back() {
  local how before
  writable linear
  printf 'model_checkpoint_path: "/gone/my-model-1000"\nall_model_checkpoint_paths: "/gone/my-model-1000"\n' >"$tmp/older"
  printf 'model_checkpoint_path: "my-model-2000"\n' >"$tmp/newer"
  for how in "cp" "cp -a" "rsync -a" "rsync -a --inplace" "rsync -a --backup-dir=$tmp/none" "dd status=none"; do
    for state in older newer; do
      if [ "${how%% *}" = dd ]; then
        dd if="$tmp/$state" of="$mnt/checkpoint" status=none
      else
        $how "$tmp/$state" "$mnt/checkpoint"
      fi
      check_equal "latest after $how" "$(readlink "$mnt/latest")" "$([ "$state" = older ] && echo my-model-1000 || echo my-model-2000)"
      [ "$(grep -c '^all_model_checkpoint_paths' "$source/checkpoint")" = 3 ] || fail "the list has changed: $(cat "$source/checkpoint")"
      cmp "$mnt/checkpoint" "$source/checkpoint"
    done
  done
  cat "$tmp/older" >"$mnt/checkpoint"
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-1000
  sed 's/my-model-1000/my-model-2000/' "$tmp/older" | dd of="$mnt/checkpoint" conv=notrunc status=none || true
  before=$(cat "$source/checkpoint")
  echo 'model_checkpoint_path: "nowhere"' >"$tmp/wrong"
  cp "$tmp/wrong" "$mnt/checkpoint"
  log_says "checkpoint: what was copied there is ignored: it names nowhere, which is not in the directory"
  echo nonsense >"$tmp/wrong"
  rsync -a "$tmp/wrong" "$mnt/checkpoint"
  log_says "checkpoint: what was copied there is ignored: "
  : >"$mnt/checkpoint"
  check_equal "state file" "$(cat "$source/checkpoint")" "$before"
  check_equal "state file shown" "$(cat "$mnt/checkpoint")" "$before"
  refuses "Operation not permitted" cp "$tmp/older" "$mnt/other"
  refuses "Operation not permitted" cp "$tmp/older" "$mnt/.other.x"
  refuses "Operation not permitted" rm "$mnt/checkpoint"
  refuses "Invalid argument" dd if=/dev/zero of="$mnt/checkpoint" bs=1M count=5 status=none
  [ ! -e "$source/.ckptfs" ] || fail "something is left: $(find "$source/.ckptfs")"
  unmount
}

# The whole of it: what is there stays, what differs is copied.
a_backup_is_copied_back() {
  rm -rf "$tmp/backup"
  writable linear
  rsync -a "$mnt/" "$tmp/backup"
  ln -sfn my-model-0 "$mnt/latest"
  sleep 1.1 # rsync compares seconds
  touch "$tmp/backup" "$tmp/backup/checkpoint"
  rsync -a "$tmp/backup/" "$mnt/"
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-2000
  rm "$source/checkpoint"
  until [ ! -e "$mnt/checkpoint" ]; do sleep 0.05; done
  cp -r "$tmp/backup/checkpoint" "$mnt/"
  check_equal "latest" "$(readlink "$mnt/latest")" my-model-2000
  cmp "$mnt/checkpoint" "$source/checkpoint"
  check_equal "entries" "$(ls -A "$mnt")" "$(ls -A "$tmp/backup")"
  unmount
}

# Of what is no file of a draft. Nothing is begun by it.
times_are_accepted() {
  local at
  writable linear
  for at in "$mnt" "$mnt/latest" "$mnt/checkpoint" "$mnt/my-model-0" "$mnt/my-model-0/w" "$mnt/my-model-0/w.npy"; do
    touch -h -d 2001-02-03 "$at"
    touch -h "$at"
  done
  [ ! -e "$source/.ckptfs" ] || fail "a draft was begun"
  refuses "Operation not permitted" chmod 700 "$mnt"
  rsync -a "$mnt/" "$tmp/backup"
  touch "$tmp/backup"
  rsync -a "$tmp/backup/" "$mnt/"
  commits_nothing my-model-0
  unmount
}

array "$tmp/f7.npy" "np.float32(7)"
array "$tmp/big.npy" "np.arange(200000, dtype='f4').reshape(400, 500)"
run_tests a_commit_over_the_latest_becomes_it nothing_else_does no_state_file_is_made times_are_accepted \
  a_state_file_that_is_copied_back a_backup_is_copied_back cp_r_moves_no_data cp_r_with_changes cp_a_to_another_mount \
  tar_into_a_new_step new_steps_by_hand \
  mv_of_a_step rm_r_of_a_step latest_can_be_pointed the_state_file_is_never_old ten_edits_through_latest the_meta_graph_can_be_edited \
  derived_texts_are_ignored
