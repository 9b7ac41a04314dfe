#!/usr/bin/env bash
# names=full: an object-based step is read and written by the full names that its object graph gives the variables.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr setfattr

keras=../cases/keras3
key_end=/.ATTRIBUTES/VARIABLE_VALUE
by_key=optimizer/_trainable_variables/0
by_name=net/enc/kernel
key_of_graph=_CHECKPOINTABLE_OBJECT_GRAPH
graph=$key_of_graph.npy

# What is in STEP: key, checksum, shape and full name of each.
table() {
  cut -f 1,3,5,7 "$mnt/$1/variables.tsv"
}

# Where the variables of STEP are by their full names.
by_full_name() {
  awk -F '\t' 'NR > 1 { print ($7 == "-" ? $1 : $7) ".npy" }' "$mnt/$1/variables.tsv" | sort
}

files_of() {
  (cd "$mnt/$1" && find . -name '*.npy' -printf '%P\n' | sort)
}

all_have_them() {
  writable "$keras" names=full
  check_equal files "$(files_of ckpt-2)" "$(by_full_name ckpt-2)"
  check_equal key "$(getfattr --absolute-names --only-values -n user.ckptfs.key "$mnt/latest/$by_name.npy")" "$by_key$key_end"
  [ ! -e "$mnt/ckpt-2/optimizer" ] || fail "keys are there"
  cp "$mnt/ckpt-2/$by_name.npy" "$tmp/by_name"
  unmount
  mount_ckpt "$source" -o names=key
  cmp "$mnt/ckpt-2/$by_key.npy" "$tmp/by_name"
  unmount
}

without_a_graph_by_key() {
  copy_of "$keras"
  rm "$source"/ckpt-2.data-*
  mount_ckpt "$source" -o names=full,ro
  check_equal "no shard" "$(ls "$mnt/ckpt-2/$by_key.npy")" "$mnt/ckpt-2/$by_key.npy"
  check_equal "beside it" "$(ls "$mnt/ckpt-1/$by_name.npy")" "$mnt/ckpt-1/$by_name.npy"
  unmount
  writable linear names=full
  rm "$mnt/my-model-2000/w.npy"
  committed my-model-2000 my-model-2001 -w.npy
  unmount
}

slots_can_be_removed() {
  writable "$keras" names=full
  rm -r "$mnt/ckpt-2/adam"
  committed ckpt-2 ckpt-3 -adam "~$graph"
  [ -e "$mnt/ckpt-3/$by_name.npy" ] || fail "the weights are gone"
  unmount
}

# It has the new full name, and a key that is this.
a_variable_is_renamed() {
  writable "$keras" names=full
  mv "$mnt/ckpt-2/$by_name.npy" "$mnt/ckpt-2/net/enc/weight.npy"
  committed ckpt-2 ckpt-3 "-$by_name.npy" +net/enc/weight.npy "~$graph"
  check_equal "full name" "$(table ckpt-3 | grep -c "^net/enc/weight$key_end.*net/enc/weight$")" 1
  mv "$mnt/ckpt-3/net/bn" "$mnt/ckpt-3/net/norm"
  committed ckpt-3 ckpt-4 -net/bn +net/norm "~$graph"
  check_equal files "$(files_of ckpt-4)" "$(by_full_name ckpt-4)"
  unmount
}

a_key_is_no_path_then() {
  writable "$keras" names=full
  mkdir -p "$mnt/ckpt-2/optimizer/_trainable_variables"
  refuses "Invalid argument" cp "$mnt/ckpt-2/$by_name.npy" "$mnt/ckpt-2/$by_key.npy"
  grep -qF "$by_key.npy: this variable is called $by_name.npy here" "$mnt.log" || fail "does not say why"
  discard ckpt-2
  unmount
}

# By copy_file_range, by bytes, and by the bytes of everything over an existing step.
copies_are_the_same() {
  writable "$keras" names=full
  cp -r "$mnt/ckpt-1" "$mnt/copy"
  sync "$mnt/copy"
  check_equal "a copy" "$(table copy)" "$(table ckpt-1)"
  mkdir "$mnt/bytes"
  tar -C "$mnt/ckpt-1" -c . | tar -C "$mnt/bytes" -x --no-same-owner
  sync "$mnt/bytes"
  check_equal "a copy by bytes" "$(table bytes)" "$(table ckpt-1)"
  diff -r "$mnt/ckpt-1" "$mnt/bytes"
  tar -C "$mnt/ckpt-1" -c . | tar -C "$mnt/ckpt-2" -x --no-same-owner --overwrite
  sync "$mnt/ckpt-2"
  check_equal "over another" "$(table ckpt-3)" "$(table ckpt-1)"
  unmount
}

# A draft keeps the names that it was begun with, whatever takes it up.
a_draft_keeps_its_names() {
  local began goes_on file
  for began in full key; do
    goes_on=$([ "$began" = full ] && echo key || echo full)
    file=$([ "$began" = full ] && echo "$by_name" || echo "$by_key")
    writable "$keras" "names=$began"
    cp "$mnt/ckpt-1/$file.npy" "$tmp/old.npy"
    cat "$tmp/old.npy" >"$mnt/ckpt-2/$file.npy"
    mv "$mnt/ckpt-2/save_counter.npy" "$mnt/ckpt-2/counter.npy"
    cp -r "$mnt/ckpt-1" "$mnt/new"
    sync -f "$source"
    kill_daemon
    mount_ckpt "$source" -o "commit=sync,names=$goes_on"
    cmp "$mnt/ckpt-2/$file.npy" "$tmp/old.npy"
    [ -e "$mnt/new/$file.npy" ] || fail "$began: the new step has other names"
    sync "$mnt/ckpt-2" "$mnt/new"
    nothing_is_lost
    check_equal "$began: the new step" "$(table new)" "$(table ckpt-1)"
    check_equal "$began: changed" "$(table ckpt-3 | grep -F "$by_key")" "$(table ckpt-1 | grep -F "$by_key")"
    check_equal "$began: moved" "$(table ckpt-3 | grep -c "^counter$key_end")" 1
    unmount
  done
}

the_timer_publishes_them() {
  writable "$keras" names=full,commit=1
  rm -r "$mnt/ckpt-2/adam"
  until [ -e "$source/ckpt-3.index" ]; do sleep 0.05; done
  sync "$mnt/ckpt-2"
  check_equal files "$(files_of ckpt-3)" "$(by_full_name ckpt-3)"
  [ ! -e "$mnt/ckpt-3/adam" ] || fail "adam is there"
  [ ! -e "$mnt/ckpt-4" ] || fail "published twice"
  unmount
}

# A new step is committed before its object graph came: the next one has the keys of that all the same.
the_timer_cuts_a_copy_in_two() {
  local began
  for began in full key; do
    writable "$keras" "names=$began,commit=1"
    mkdir "$mnt/new"
    (cd "$mnt/ckpt-1" && find . -name '*.npy' ! -name "$graph" -exec cp --parents -t "$mnt/new" {} +)
    until [ -e "$source/new.index" ]; do sleep 0.05; done
    cp "$mnt/ckpt-1/$graph" "$mnt/new"
    sync -f "$source"
    kill_daemon
    mount_ckpt "$source" -o commit=sync,names=full
    sync "$mnt/new"
    check_equal "$began: the whole step" "$(table new-1)" "$(table ckpt-1)"
    unmount
  done
}

# Each line has the path that the user sees, and a copy counts.
status_has_the_paths() {
  local step
  writable "$keras" names=full
  step=$mnt/ckpt-2
  cp "$step/$by_name.npy" "$step/twin.npy"
  check_equal "a copy" "$(cat "$step/.ckptfs/status")" "changes: 1
copied: $by_name.npy to twin.npy
next commit: ckpt-3, at sync of this folder or the mount, or at the unmount"
  rm "$step/adam/iteration.npy"
  mv "$step/net/bn/beta.npy" "$step/net/bn/b.npy"
  cp "$mnt/ckpt-1/$by_name.npy" "$step/old.npy"
  check_equal changes "$(grep -v '^next' "$step/.ckptfs/status" | LC_ALL=C sort)" "changes: 4
copied: ckpt-1/$by_name.npy to old.npy
copied: $by_name.npy to twin.npy
moved: net/bn/beta.npy to net/bn/b.npy
removed: adam/iteration.npy"
  check_equal draft "$(getfattr --absolute-names --only-values -n user.ckptfs.draft "$step")" 4
  cp "$step/.ckptfs/status" "$tmp/status"
  kill_daemon
  mount_ckpt "$source" -o commit=sync
  diff <(LC_ALL=C sort "$tmp/status") <(LC_ALL=C sort "$mnt/ckpt-2/.ckptfs/status") >&2 || fail "other words after a crash"
  discard ckpt-2
  unmount
}

# In a draft of a step, and in a new step.
what_others_have_is_named_as_it_is_shown() {
  local said="removed variables that other objects have, too: $by_name.npy, which is also model/[^()]*\$"
  writable "$keras" names=full
  rm "$mnt/ckpt-2/$by_name.npy"
  sync "$mnt/ckpt-2"
  cp -r "$mnt/ckpt-1" "$mnt/new"
  rm "$mnt/new/$by_name.npy"
  sync "$mnt/new"
  grep -q "ckpt-3: $said" "$mnt.log" || fail "a step: $(cat "$mnt.log")"
  grep -q "new: $said" "$mnt.log" || fail "a new step: $(cat "$mnt.log")"
  unmount
}

# Its step is shown by keys, and no other. What needs the graph says so.
a_damaged_graph_is_named() {
  local at shard step
  copy_of "$keras"
  shard=$(echo "$source"/ckpt-2.data-*)
  at=$(grep -abo _trainable_variables "$shard" | head -n 1)
  printf X | dd of="$shard" bs=1 seek="${at%%:*}" conv=notrunc status=none
  remember
  mount_ckpt "$source" -o commit=sync,names=full
  step=$mnt/ckpt-2
  [ -e "$step/$by_key.npy" ] || fail "its variables are not shown by keys"
  [ -e "$mnt/ckpt-1/$by_name.npy" ] || fail "another step is shown by keys"
  refuses "Input/output error" cat "$step/object_graph.pbtxt"
  grep -q "ckpt-2: $key_of_graph: crc32c is " "$mnt.log" || fail "the text: $(cat "$mnt.log")"
  rm "$step/$by_key.npy"
  refuses "Input/output error" sync "$step"
  grep -q "^error: $key_of_graph: crc32c is " "$step/.ckptfs/status" || fail "the status: $(cat "$step/.ckptfs/status")"
  setfattr -n user.ckptfs.draft -v discard "$step"
  [ -e "$step/$by_key.npy" ] || fail "not discarded"
  unmount
}

run_tests all_have_them without_a_graph_by_key slots_can_be_removed a_variable_is_renamed a_key_is_no_path_then \
  copies_are_the_same a_draft_keeps_its_names the_timer_publishes_them the_timer_cuts_a_copy_in_two status_has_the_paths \
  what_others_have_is_named_as_it_is_shown a_damaged_graph_is_named
