#!/usr/bin/env bash
# Ordinary tools do on a mount what they do on any other folder, for root and for other users.
. "$(dirname "$0")/../lib/mount.sh"
need rsync getfattr
need_python

user=() # as_user, where an unprivileged user runs the tools
work=   # a new folder of theirs

by_user() {
  "${user[@]}" "$@"
}

new_work() {
  work=$(mktemp -d "$tmp/work.XXXXXX")
  [ "$(id -u)" != 0 ] || [ "${#user[@]}" = 0 ] || chown 65534:65534 "$work"
}

# copy_fixture NAME: into $source, which any user may read.
copy_fixture() {
  source=$(mktemp -d "$tmp/source.XXXXXX")
  cp -r "$fixtures/$1/." "$source"
  chmod -R u+w,a+rX "$source"
}

check_equal() {
  [ "$2" = "$3" ] || fail "$1: '$2', expected '$3'"
}

# --- what every tool is tried on ------------------------------------------------------------------------

tools_walk_it() {
  local count
  count=$(by_user find "$mnt" -type f | wc -l)
  check_equal "files by ls -lR" "$(by_user ls -lR "$mnt" | grep -c '^-')" "$count"
  check_equal "files by find -size" "$(by_user find "$mnt" -type f -size +0 -printf x | wc -c)" "$count"
  by_user ls "$mnt" >"$tmp/names"
  check_equal "folders by ls" "$(wc -l <"$tmp/names")" "$(by_user find "$mnt" -mindepth 1 -maxdepth 1 | wc -l)"
  check_equal "bytes by du" "$(by_user du -sb --exclude=checkpoint "$mnt" | cut -f1)" \
    "$(by_user find "$mnt" ! -name checkpoint -printf '%s\n' | awk '{s += $1} END {print s}')"
}

every_copy_is_equal() {
  local copy
  new_work
  by_user mkdir "$work/cp" "$work/archive" "$work/tar" "$work/rsync"
  by_user cp -r "$mnt/." "$work/cp"
  by_user cp -a "$mnt/." "$work/archive"
  by_user tar -C "$mnt" -cf - . | by_user tar -C "$work/tar" -xf -
  by_user rsync -a "$mnt/" "$work/rsync"
  for copy in cp archive tar rsync; do
    by_user diff -r "$mnt" "$work/$copy"
  done
  check_equal "a second rsync transfers" "$(by_user rsync -ai "$mnt/" "$work/rsync")" ""
}

sums_are_those_of_the_copy() {
  by_user env -C "$work/cp" find . -type f -exec sha256sum {} + >"$tmp/sums"
  [ -s "$tmp/sums" ] || fail "no sums"
  by_user env -C "$mnt" sha256sum --quiet -c <"$tmp/sums" || fail "sha256sum differs"
}

# Whole arrays are found by their first bytes, and nothing else is.
grep_finds_arrays() {
  check_equal "arrays by grep" "$(by_user grep -rlaF NUMPY "$mnt" | sort)" \
    "$(by_user find "$mnt" -name '*.npy' | sort)"
}

try_all_tools() {
  tools_walk_it
  every_copy_is_equal
  sums_are_those_of_the_copy
  grep_finds_arrays
}

# --- pieces ---------------------------------------------------------------------------------------------

# piece FILE OFFSET:SIZE
piece() {
  by_user dd if="$1" iflag=skip_bytes,count_bytes bs=61 status=none skip="${2%:*}" count="${2#*:}"
}

# The array in the mount, and a copy of it.
pieces_are_those_of_the_copy() {
  local array=$1 copy=$work/array at
  by_user cat "$array" >"$copy"
  check_equal "size" "$(stat -c %s "$array")" "$(stat -c %s "$copy")"
  by_user cmp "$array" "$copy"
  for at in 0:1 1:1 7:13 127:2 128:4096 129:5 4095:4097 65537:131071 131072:1 1000000:10; do
    piece "$array" "$at" >"$tmp/piece"
    piece "$copy" "$at" | cmp - "$tmp/piece" || fail "dd at $at of $array differs"
  done
  for at in 1 3 127 4097; do
    by_user tail -c "$at" "$array" | cmp - <(tail -c "$at" "$copy") || fail "tail -c $at differs"
  done
}

# Also beyond the end, and backwards, so that nothing has been read before.
mapped_bytes_are_the_same() {
  by_user "$CKPTFS_PYTHON" -c '
import mmap, sys
with open(sys.argv[1], "rb") as a, open(sys.argv[2], "rb") as b:
    want = b.read()
    for access in mmap.ACCESS_READ, mmap.ACCESS_COPY:
        with mmap.mmap(a.fileno(), 0, access=access) as mapped:
            assert len(mapped) == len(want)
            for at in range(len(want) - 1, -1, -997):
                assert mapped[at] == want[at]
            assert mapped[:] == want' "$1" "$2"
}

drop_caches() {
  [ "$(id -u)" != 0 ] || echo 3 2>/dev/null >/proc/sys/vm/drop_caches || true
}

pieces_can_be_read() {
  local array
  mount_ckpt "$fixtures/strings"
  new_work
  array=$(find "$mnt" -name '*.npy' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
  pieces_are_those_of_the_copy "$array"
  drop_caches
  mapped_bytes_are_the_same "$array" "$work/array"
  unmount
}

# --- attributes -----------------------------------------------------------------------------------------

# A variable's shard, by the attribute that names it; a partitioned one has its first slice's.
shard_of() {
  local shard
  shard=$(getfattr -n user.ckptfs.shard --only-values "$1" 2>/dev/null)
  printf '%s/%s\n' "$source" "${shard%%,*}"
}

# How many shards it is in.
shards_of() {
  getfattr -n user.ckptfs.shard --only-values "$1" 2>/dev/null | tr ',' '\n' | sort -u | grep -c .
}

give_shards_odd_attributes() {
  local shard minute=10
  for shard in "$source"/*.data-*; do
    [ "$(id -u)" != 0 ] || chown "$((minute + 1000)):$((minute + 2000))" "$shard"
    chmod $((minute % 2 ? 755 : 640)) "$shard"
    touch -d "2001-02-03 04:$minute:06.789012345" "$shard"
    minute=$((minute + 1))
  done
}

attributes_are_the_shards() {
  local array shard mode size
  while IFS= read -r array; do
    shard=$(shard_of "$array")
    mode=$(stat -c %a "$shard")
    check_equal "owner, mtime of $array" "$(stat -c '%u %g %y' "$array")" "$(stat -c '%u %g %y' "$shard")"
    # of a partitioned one that is what all its shards allow: owners.sh
    [ "$(shards_of "$array")" != 1 ] ||
      check_equal "mode of $array" "$(stat -c %a "$array")" "$(printf %o $((0$mode & 0666)))"
    check_equal "ctime of $array" "$(stat -c %z "$array")" "$(stat -c %y "$array")"
    size=$(wc -c <"$array")
    check_equal "links, size, blocks of $array" "$(stat -c '%h %s %b' "$array")" \
      "1 $size $(((size + 511) / 512))"
  done < <(find "$mnt" -name '*.npy')
}

inodes_differ() {
  find "$1" -name '*.npy' -size +0 -printf '%i\n' | sort | uniq -d >"$tmp/doubles"
  [ ! -s "$tmp/doubles" ] || fail "variables of $1 share the inode $(head -n 1 "$tmp/doubles")"
}

attributes_are_right() {
  local name
  for name in sharded partitioned; do
    copy_fixture "$name"
    give_shards_odd_attributes
    mount_ckpt "$source"
    attributes_are_the_shards
    for step in "$mnt"/*/; do
      inodes_differ "$step"
    done
    check_equal "filesystem" "$(stat -f -c '%b %S' "$mnt")" "$(stat -f -c '%b %S' "$source")"
    check_equal "source by df" "$(df --output=source "$mnt" | tail -n 1)" "$source"
    unmount
  done
}

# --- comparing steps ------------------------------------------------------------------------------------

diff_names_what_differs() {
  mount_ckpt "$fixtures/linear"
  "$CKPTFS_PYTHON" -c '
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    steps = json.load(file)["steps"]
a, b = (steps[name]["keys"] for name in ("my-model-1000", "my-model-2000"))
print("\n".join(sorted(f"{key}.npy" for key in a if a[key] != b[key])))
' "$fixtures/linear.expected.json" >"$tmp/want"
  run diff -rq "$mnt/my-model-1000" "$mnt/my-model-2000"
  sed -n "s|^Files $mnt/my-model-1000/\(.*\.npy\) and .*|\1|p" "$tmp/out" | sort >"$tmp/found"
  [ -s "$tmp/want" ] || fail "the two steps are the same"
  cmp "$tmp/want" "$tmp/found"
  unmount
}

# Such steps are what a commit of one changed variable makes.
add_linked_step() {
  copy_fixture linear
  rm "$source"/*.meta
  cp -p "$source/my-model-0.index" "$source/my-model-5.index"
  ln "$source/my-model-0.data-00000-of-00001" "$source/my-model-5.data-00000-of-00001"
}

reads() {
  grep -c 'opcode: READ (' "$mnt.log" || true
}

shared_variables_are_not_read_to_compare_them() {
  local array before
  add_linked_step
  mount_ckpt "$source" --debug
  while IFS= read -r array; do
    check_equal "attributes of $array" "$(stat -c '%d %i %s %b %f %u %g %x %y %z' "$mnt/my-model-0/$array")" \
      "$(stat -c '%d %i %s %b %f %u %g %x %y %z' "$mnt/my-model-5/$array")"
    cmp "$mnt/my-model-0/$array" "$mnt/my-model-5/$array"
  done < <(find "$mnt/my-model-0" -name '*.npy' -printf '%P\n')
  diff -r --exclude=variables.tsv "$mnt/my-model-0" "$mnt/my-model-5"
  before=$(reads)
  check_equal "reads" "$before" 0
  check_status 1 cmp "$mnt/my-model-0/w.npy" "$mnt/my-model-1000/w.npy"
  [ "$(reads)" -gt 0 ] || fail "reads are not seen"
  unmount
}

# --- names ----------------------------------------------------------------------------------------------

# One path in it is longer than PATH_MAX: tools that do not take whole paths reach it, others leave it out.
odd_names_survive() {
  local long='very_long_component_*'
  mount_ckpt "$fixtures/names/odd"
  new_work
  mkdir "$work/tar" "$work/rsync"
  tar -C "$mnt" --exclude="$long" -cf - . | tar -C "$work/tar" -xf -
  rsync -a --exclude="$long" "$mnt/" "$work/rsync"
  diff -r "$work/tar" "$work/rsync"
  diff -r --exclude="$long" "$mnt" "$work/tar"
  check_equal "files by find -execdir" "$(find "$mnt" -type f -execdir sha256sum {} + | wc -l)" \
    "$(find "$mnt" -type f -printf x | wc -c)"
  unmount
}

# --- users ----------------------------------------------------------------------------------------------

another_user_reads_roots_mount() {
  [ "$(id -u)" = 0 ] || return 0
  user=(as_user)
  for name in linear partitioned strings; do
    copy_fixture "$name"
    mount_ckpt "$source" -o allow_other
    try_all_tools
    unmount
  done
  user=()
}

permissions_are_the_shards() {
  [ "$(id -u)" = 0 ] || return 0
  copy_fixture linear
  chmod 600 "$source/my-model-0.data-00000-of-00001" "$source/my-model-1000.index"
  mount_ckpt "$source" -o allow_other
  check_status 1 as_user cat "$mnt/my-model-0/w.npy"
  check_says "Permission denied" as_user cat "$mnt/my-model-0/w.npy"
  check_says "Permission denied" as_user ls "$mnt/my-model-1000"
  as_user cat "$mnt/my-model-2000/w.npy" >/dev/null
  cat "$mnt/my-model-0/w.npy" "$mnt/my-model-1000/w.npy" >/dev/null
  unmount
}

# Without allow_other not even root sees it, as with any FUSE filesystem.
a_user_reads_their_own_mount() {
  user=(as_user)
  for name in linear partitioned strings; do
    copy_fixture "$name"
    mount_ckpt_as_user "$source"
    try_all_tools
    unmount_as_user
  done
  user=()
}

unmount_as_user() {
  local pid=${daemons[$mnt]}
  as_user fusermount3 -u "$mnt"
  unset "daemons[$mnt]"
  wait "$pid" || fail "the user's daemon ended with status $?"
}

# --- all of it ------------------------------------------------------------------------------------------

a_large_step_is_copied() {
  mount_ckpt "$fixtures/many"
  new_work
  tools_walk_it
  tar -C "$mnt" -cf - . | tar -C "$work" -xf -
  diff -r "$mnt" "$work"
  unmount
}

for name in linear sharded partitioned dtypes strings names/bytes; do
  echo "tools on $name"
  mount_ckpt "$fixtures/$name"
  try_all_tools
  unmount
done
run_tests a_large_step_is_copied odd_names_survive pieces_can_be_read attributes_are_right \
  diff_names_what_differs shared_variables_are_not_read_to_compare_them another_user_reads_roots_mount \
  permissions_are_the_shards
need_user
run_tests a_user_reads_their_own_mount
