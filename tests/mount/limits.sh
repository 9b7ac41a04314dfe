#!/usr/bin/env bash
# Where something runs out: memory for parsed steps, room on the disk, descriptors. And what is not read before it is asked for.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr
need_python

# of FIELD: what /proc says that the daemon has read or written.
of() {
  awk -v field="$1:" '$1 == field {print $2}' "/proc/${daemons[$mnt]}/io"
}

# as_step FROM TO: the files of $fixtures/FROM as the step TO in $source.
as_step() {
  local file
  for file in "$fixtures/$1".*; do
    cp "$file" "$source/.new"
    mv "$source/.new" "$source/$2${file#"$fixtures/$1"}"
  done
  chmod -R u+w "$source"
}

# --- parsed steps -----------------------------------------------------------------------------------------

# look_into STEP: the daemon has to know what is in it, whatever the kernel remembers.
look_into() {
  [ ! -e "$mnt/$1/no_such_$((looks += 1))" ] || fail "there is something in $1 that can't be"
}

# reads CMD...: how many bytes the daemon reads for it, of files and requests.
reads() {
  local before
  before=$(of rchar)
  "$@"
  echo $(($(of rchar) - before))
}

in_turn() {
  local i step
  for i in 1 2 3 4 5 6 7 8; do
    for step in one two three; do look_into "$step"; done
  done
}

names_in() {
  [ "$(printf '%s\n' "$mnt/$1"/* | grep -c meta_graph.pbtxt)" = 1 ] || fail "meta_graph.pbtxt is not listed"
}

# The size of a text is known when it is made. Who lists the names does not wait for that.
a_listing_makes_no_text() {
  local size listed inode
  source=$fixtures/partitioned
  size=$(stat -c %s "$source/model-3.meta")
  mount_ckpt "$source" -o ro
  listed=$(reads names_in model-3)
  [ "$listed" -lt "$size" ] || fail "for a listing $listed bytes were read, the meta graph has $size"
  # shellcheck disable=SC2012 # find(1) asks for the attributes
  inode=$(ls -i "$mnt/model-3" | awk '$2 == "meta_graph.pbtxt" {print $1}')
  check_equal "inode" "$inode" "$(stat -c %i "$mnt/model-3/meta_graph.pbtxt")"
  check_equal "size" "$(stat -c %s "$mnt/model-3/meta_graph.pbtxt")" "$(wc -c <"$mnt/model-3/meta_graph.pbtxt")"
  check_equal "size" "$(stat -c %s "$mnt/model-3/variables.tsv")" "$(wc -c <"$mnt/model-3/variables.tsv")"
  [ "$(reads names_in model-3)" -lt "$size" ] || fail "the meta graph is read again"
  unmount
}

# stand_in STEP...: the kernel can't forget these, also if another test drops its caches. But nobody has anything open there.
stand_in() {
  local step
  standing=()
  for step; do
    (cd "$mnt/$step" && exec sleep infinity) &
    standing+=($!)
    until [ "$(readlink "/proc/$!/cwd")" = "$mnt/$step" ]; do sleep 0.01; done
  done
}

# A large step is replaced and looked into again and again: what was parsed of it is dropped, and no longer counts.
parsed_steps_are_counted_while_they_are_there() {
  local index i size parsing
  looks=0
  source=$tmp/parsed
  mkdir "$source"
  for i in one two three large; do as_step many/model-1 "$i"; done
  size=$(stat -c %s "$source/one.index")
  mount_ckpt "$source" -o ro,cache=64M
  stand_in one two three
  parsing=$(reads look_into one)
  [ "$parsing" -ge "$size" ] || fail "an index of $size bytes was parsed by reading $parsing"
  for step in two three large; do look_into "$step"; done
  [ "$(reads in_turn)" -lt "$size" ] || fail "steps that fit are parsed again, before anything was dropped"
  for ((i = 0; i < 60; i++)); do
    index=$(stat -c %i "$mnt/large")
    as_step many/model-1 large
    until [ "$(stat -c %i "$mnt/large")" != "$index" ]; do sleep 0.01; done
    look_into large
  done
  in_turn
  [ "$(reads in_turn)" -lt "$size" ] || fail "after many steps were dropped, each look parses a step again: $(reads in_turn) bytes"
  kill "${standing[@]}"
  wait "${standing[@]}" || true
  unmount
}

# --- a full disk ------------------------------------------------------------------------------------------

# What can't be committed for want of room is tried less and less often, and told once; and at once when somebody asks.
a_full_disk_is_not_tried_each_second() {
  local disk=$tmp/disk step=my_net.ckpt i written now tries=0
  mkdir "$disk"
  mount -t tmpfs -o size=16m none "$disk" 2>"$tmp/err" || return 0
  fresh "$disk/ck"
  mount_ckpt "$disk/ck" -o commit=1,compact=1
  edit "$mnt/$step"
  head -c "$(($(stat -f -c %a "$disk") * $(stat -f -c %S "$disk")))" /dev/zero >"$disk/fill"
  until grep -qF "No space left" "$mnt.log"; do sleep 0.05; done
  written=$(of wchar)
  for ((i = 0; i < 80; i++)); do
    sleep 0.1
    now=$(of wchar)
    # what a thread writes to answer requests is less
    [ $((now - written)) -lt 200 ] || tries=$((tries + 1))
    written=$now
  done
  [ "$tries" -le 4 ] || fail "in 8 seconds a commit that can't be made was tried $tries times"
  check_equal "lines in the log on one failure" "$(grep -cF "No space left" "$mnt.log")" 1
  rm "$disk/fill"
  check_status 0 sync "$mnt"
  check_step "$tmp/want" "$mnt/$step-1"
  unmount
  check_edited "$disk/ck"
  umount "$disk"
}

# --- descriptors ------------------------------------------------------------------------------------------

# 60 steps are written to, by a daemon that may have 64 descriptors.
descriptors_run_out() {
  local i written=() refused=0
  source=$tmp/descriptors
  mkdir "$source"
  for ((i = 0; i < 60; i++)); do as_step linear/my-model-0 "s$i"; done
  new_mountpoint
  (
    ulimit -n 64
    exec "$builddir/mount.ckptfs" "$source" "$mnt" --foreground -o commit=sync 2>"$mnt.log"
  ) &
  daemons[$mnt]=$!
  until is_mounted "$mnt"; do sleep 0.01; done
  for ((i = 0; i < 60; i++)); do
    if cp "$tmp/f7.npy" "$mnt/s$i/w.npy" 2>"$tmp/err"; then
      written+=("$i")
    else
      grep -qF "Too many open files" "$tmp/err" || fail "a write to the ${i}th step: $(cat "$tmp/err")"
      refused=$((refused + 1))
    fi
  done
  # A draft at which nobody is at work takes two.
  [ "$refused" -le 40 ] || fail "$refused of 60 writes found no descriptor"
  sync "$mnt" || fail "sync: $(getfattr -n user.ckptfs.error --only-values "$mnt" 2>&1)"
  # now the others
  for ((i = 0; i < 60; i++)); do
    [[ " ${written[*]} " != *" $i "* ]] || continue
    cp "$tmp/f7.npy" "$mnt/s$i/w.npy" || fail "after a commit there are none left for step $i"
    sync "$mnt/s$i"
  done
  unmount
  [ ! -e "$source/.ckptfs" ] || fail "left: $(find "$source/.ckptfs")"
  mount_ckpt "$source" -o ro
  check_equal "steps that have it" "$(find "$mnt" -name w.npy -exec cmp -s "$tmp/f7.npy" {} \; -print | wc -l)" 60
  unmount
}

array "$tmp/f7.npy" "np.float32(7)"
prepare_edit
# turns_read OPTIONS: how many bytes are read while three large steps are looked into in turn, after each was once.
turns_read() {
  local step
  mount_ckpt "$source" -o "$1"
  stand_in one two three
  for step in one two three; do look_into "$step"; done
  reads in_turn >"$tmp/read"
  kill "${standing[@]}"
  wait "${standing[@]}" || true
  unmount
}

# As long as they fit none is parsed again. When they don't, each turn parses the step that was used longest ago.
steps_read_in_turn_stay_parsed_if_they_fit() {
  local step size
  looks=0
  source=$tmp/turns
  mkdir "$source"
  for step in one two three; do as_step many/model-1 "$step"; done
  size=$(stat -c %s "$source/one.index")
  turns_read ro
  [ "$(cat "$tmp/read")" -lt "$size" ] || fail "$(cat "$tmp/read") bytes were read for indexes of $size that were parsed before"
  turns_read ro,cache=1K
  [ "$(cat "$tmp/read")" -ge $((24 * size)) ] || fail "24 turns with cache=1K read $(cat "$tmp/read") bytes for indexes of $size"
}

run_tests a_listing_makes_no_text steps_read_in_turn_stay_parsed_if_they_fit parsed_steps_are_counted_while_they_are_there descriptors_run_out
[ "$(id -u)" = 0 ] || skip_optional "only root has a small disk"
run_tests a_full_disk_is_not_tried_each_second
