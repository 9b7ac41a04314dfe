#!/usr/bin/env bash
# What a commit takes is bounded: descriptors by a constant, reading by what was written, memory by the index. Nothing is timed.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr

# mount_limited SOURCE LIMIT: the daemon may have LIMIT descriptors, and what ASan keeps of freed memory is little.
mount_limited() {
  source=$1
  new_mountpoint
  # shellcheck disable=SC2016 # for the other shell
  start_daemon env ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1" \
    bash -c 'ulimit -n "$1"; shift; exec "$@"' - "$2" \
    "$builddir/mount.ckptfs" "$source" "$mnt" --foreground -o commit=sync
}

# header DTYPE FORTRAN SHAPE: of a .npy file, on stdout.
header() {
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '$1', 'fortran_order': $2, 'shape': ($3), }"
}

# Bytes that the daemon has read so far.
bytes_read() {
  sed -n 's/^rchar: //p' "/proc/${daemons[$mnt]}/io"
}

# KiB that it has in memory.
memory() {
  sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/${daemons[$mnt]}/status"
}

hex() {
  printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'
}

# --- descriptors ------------------------------------------------------------------------------------------

# Each file of a step is open only while it is looked at.
{
  header '<f4' False '1,'
  printf 'abcd'
} >"$tmp/one.npy"
copy_of net
mount_limited "$source" 64
for count in 500 1000; do
  mkdir "$mnt/many-$count"
  for i in $(seq "$count"); do
    { header '<f4' False '1,' && printf 'abcd'; } >"$mnt/many-$count/v$i.npy" || fail "file $i can't be written with 64 descriptors"
  done
  sync "$mnt/many-$count" ||
    fail "$count files: $(getfattr -n user.ckptfs.error --only-values "$mnt/many-$count" 2>&1)"
  check_equal "variables" "$(find "$mnt/many-$count" -name '*.npy' | wc -l)" "$count"
done
nothing_is_lost
unmount

# --- reading ----------------------------------------------------------------------------------------------

# read_at_most TIMES SIZE STEP: committing STEP reads less than TIMES as much as was written.
read_at_most() {
  local before now
  before=$(bytes_read)
  sync "$mnt/$3" || fail "sync: $(getfattr -n user.ckptfs.error --only-values "$mnt/$3" 2>&1)"
  now=$(bytes_read)
  [ $((now - before)) -le $(($1 * $2)) ] ||
    fail "$3: $((now - before)) bytes were read for $2 that were written, expected at most $1 times as many"
  echo "$3: $((now - before)) bytes read of $2 written"
}

# A large variable that 12 steps have, of which somebody has looked into each.
mib=$((1 << 20))
size=$((4 * mib))
mkdir "$tmp/steps"
for i in $(seq 12); do
  {
    header '<f4' False "$mib,"
    head -c "$size" /dev/zero | tr '\000' "\\$(printf '%03o' "$i")"
  } >"$tmp/w.npy"
  printf 'bundle 1 0\ntensor %s 0 %s\n' "$(hex w)" "$tmp/w.npy" | "$builddir/write_bundle" "$tmp/steps/net-$i"
done
source=$tmp/steps
mount_ckpt "$source" -o commit=sync
find "$mnt" -name '*.npy' >/dev/null
# Written from its end to its start, so that its checksum is not known from the writing. It ends as all others do not.
{
  header '<f4' False "$mib,"
  head -c "$size" /dev/urandom
} >"$tmp/w.npy"
backwards() {
  local at
  for at in 4 3 2 1 0; do
    dd if="$tmp/w.npy" of="$1" bs="$mib" seek="$at" skip="$at" count=1 conv=notrunc status=none
  done
}
backwards "$mnt/net-1/w.npy"
read_at_most 3 "$size" net-1
cmp -i 128 "$tmp/w.npy" "$mnt/net-13/w.npy"

# The same for one that is turned into the order that is stored, which is known from no writing at all.
{
  header '>f4' False "$mib,"
  head -c "$size" /dev/urandom
} >"$tmp/w.npy"
backwards "$mnt/net-2/w.npy"
read_at_most 4 "$size" net-2
unmount

# sliced FILE PREFIX: a step with a variable in eight slices, each FILE.
sliced() {
  local i extents=
  {
    echo "bundle 1 0"
    for i in $(seq 0 8 63); do
      echo "slice $(hex w) 0 $((i * 16)),128,0,1024 $1"
      extents="$extents $((i * 16)),128,0,1024"
    done
    echo "whole $(hex w) 1 1024,1024$extents"
  } | "$builddir/write_bundle" "$2"
}

# A variable in eight slices, which was written in Fortran order.
mkdir "$tmp/sliced" "$tmp/slices"
for i in $(seq 0 12); do
  {
    header '<f4' False '128,1024'
    head -c $((size / 8)) /dev/zero | tr '\000' "\\$(printf '%03o' "$i")"
  } >"$tmp/slice.npy"
  sliced "$tmp/slice.npy" "$tmp/slices/net-$i"
done
mv "$tmp/slices"/net-0.* "$tmp/sliced"
source=$tmp/sliced
mount_ckpt "$source" -o commit=sync
{
  header '<f4' True '1024,1024'
  head -c "$size" /dev/urandom
} >"$tmp/w.npy"
cp "$tmp/w.npy" "$mnt/net-0/w.npy"
read_at_most 6 "$size" net-0
unmount

# And one in the right order, which is like that of none of 12 steps.
source=$tmp/slices
mount_ckpt "$source" -o commit=sync
find "$mnt" -name '*.npy' >/dev/null
{
  header '<f4' False '1024,1024'
  head -c "$size" /dev/urandom
} >"$tmp/w.npy"
cp "$tmp/w.npy" "$mnt/net-1/w.npy"
read_at_most 4 "$size" net-1
cmp -i 128 "$tmp/w.npy" "$mnt/net-13/w.npy"
unmount

# --- memory -----------------------------------------------------------------------------------------------

# An index of 1.2 MB; a step that was committed does not stay in memory.
mkdir "$tmp/long"
{
  echo "bundle 1 0"
  od -An -v -tx1 -w100 -N 500000 /dev/urandom | tr -d ' ' |
    sed -e 's/[0-9]/3&/g' -e 's/a/61/g;s/b/62/g;s/c/63/g;s/d/64/g;s/e/65/g;s/f/66/g' \
      -e "s,.*,tensor & 0 $tmp/one.npy,"
  echo "tensor $(hex x) 0 $tmp/one.npy"
} | "$builddir/write_bundle" "$tmp/long/net-1"
index=$(stat -c %s "$tmp/long/net-1.index")
[ "$index" -gt $((1 << 20)) ] || fail "an index of $index bytes"
mount_limited "$tmp/long" 1024
commit_times() {
  local i
  for i in $(seq "$1"); do
    { head -c 128 "$tmp/one.npy" && printf '%04d' "$i"; } >"$tmp/x.npy"
    cp "$tmp/x.npy" "$mnt/net-1/x.npy"
    sync "$mnt/net-1"
  done
}
commit_times 5
before=$(memory)
commit_times 30
now=$(memory)
echo "30 commits with an index of $index bytes: from $before to $now KiB"
[ $((now - before)) -lt $((15 * index / 1024)) ] ||
  fail "30 commits with an index of $index bytes: memory went from $before to $now KiB"
unmount

# --- one variable of very many ------------------------------------------------------------------------------

# What did not change is not listed: the peak of memory is that of a copy in pieces, and each byte of the index is read and written a few times.
peak() {
  sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/${daemons[$mnt]}/status"
}

# io_bytes NAME: rchar or wchar of the daemon.
io_bytes() {
  sed -n "s/^$1: //p" "/proc/${daemons[$mnt]}/io"
}

mkdir "$tmp/very-many"
{
  echo 'bundle 1 0'
  seq -w 50000 | sed "s/[0-9]/3&/g;s,.*,tensor 76& 0 $tmp/one.npy,"
} | "$builddir/write_bundle" "$tmp/very-many/net-1"
index=$(stat -c %s "$tmp/very-many/net-1.index")
mount_limited "$tmp/very-many" 1024
stat "$mnt/net-1/v00001.npy" >/dev/null
memory=$(memory)
if echo 5 >"/proc/${daemons[$mnt]}/clear_refs"; then
  read=$(io_bytes rchar) written=$(io_bytes wchar)
  { head -c 128 "$tmp/one.npy" && printf 'efgh'; } >"$tmp/x.npy"
  cp "$tmp/x.npy" "$mnt/net-1/v25000.npy"
  sync "$mnt/net-1"
  [ -e "$tmp/very-many/net-2.index" ] || fail "nothing was committed"
  memory=$(($(peak) - memory)) read=$(($(io_bytes rchar) - read)) written=$(($(io_bytes wchar) - written))
  echo "an index of $index bytes: $memory KiB more, $read bytes read, $written written"
  # What was freed is kept for a while by sanitizers.
  with_sanitizers || [ "$memory" -le $(((2 * index >> 10) + 2048)) ] || fail "a commit took $memory KiB for an index of $index bytes"
  [ $((read + written)) -le $((8 * index)) ] || fail "an index of $index bytes: $read bytes were read and $written written"
fi
cmp "$tmp/x.npy" "$mnt/net-2/v25000.npy"
cmp "$tmp/one.npy" "$mnt/net-2/v50000.npy"
unmount

# --- shards -----------------------------------------------------------------------------------------------

# shards STEP: how many it has.
shards() {
  find "$source" -maxdepth 1 -name "$1.data-*" | wc -l
}

# Bytes of all shards in $source.
stored() {
  find "$source" -maxdepth 1 -name '*.data-*' -printf '%i %s\n' | sort -u | awk '{ n += $2 } END { print n }'
}

# bundle SHARDS VARIABLES SMALL: a step net-1 with so many variables w* of $part bytes, one after the other in SHARDS shards, and SMALL more
# of one number.
part=$((64 << 10))
bundle() {
  local i
  {
    header '<f4' False "$((part / 4)),"
    head -c "$part" /dev/zero
  } >"$tmp/part.npy"
  {
    echo "bundle $1 0"
    for ((i = 0; i < $3; i++)); do echo "tensor $(hex "$(printf 's%04d' "$i")") 0 $tmp/one.npy"; done
    for ((i = 0; i < $2; i++)); do echo "tensor $(hex "$(printf 'w%03d' "$i")") $((i * $1 / $2)) $tmp/part.npy"; done
  } | "$builddir/write_bundle" "$source/net-1"
  cat >"$source/checkpoint" <<'END'
model_checkpoint_path: "net-1"
all_model_checkpoint_paths: "net-1"
END
}

# change COUNT: so many commits through `latest` follow, of one variable each, none twice.
change() {
  local i
  for ((i = 0; i < $1; i++, changed++)); do
    { head -c 128 "$tmp/part.npy" && head -c $((part - 4)) /dev/zero && printf '%04d' "$changed"; } >"$tmp/x.npy"
    cp "$tmp/x.npy" "$mnt/latest/$(printf 'w%03d' "$changed").npy"
    sync "$mnt/latest/."
    [ "$(shards "net-$((changed + 2))")" -le "$most" ] ||
      fail "after $((changed + 1)) commits there are $(shards "net-$((changed + 2))") shards, not $most"
  done
}

# Each of 130 commits changes another variable. The step has few shards all the time, no byte is written more than three times on the
# average, and steps that nobody looks into any more do not stay in memory.
source=$tmp/few
mkdir "$source"
bundle 1 130 2000
mount_ckpt "$source" -o commit=sync
before=$(stored)
changed=0 most=12
change 30
held=$(memory)
change 100
now=$(memory)
written=$(($(stored) - before))
echo "130 commits of $part bytes: $written bytes in shards, $held to $now KiB of memory"
[ "$written" -le $((3 * 130 * (part + 128))) ] || fail "130 commits of $part bytes wrote $written bytes into shards"
with_sanitizers || [ $((now - held)) -lt $((10 << 10)) ] || fail "100 commits: memory went from $held to $now KiB"
unmount
mount_ckpt "$source" -o ro
for i in 0 60 129; do
  check_equal "variable $i after 130 commits" "$(tail -c 4 "$mnt/net-131/$(printf 'w%03d' "$i").npy")" "$(printf '%04d' "$i")"
done
check_status 0 "$builddir/fsck.ckptfs" -n "$source"
unmount

# Of variables that are large enough for a shard of their own, too: 77 commits of which none is written more than twice fit in eleven
# shards.
source=$tmp/larger
mkdir "$source"
part=$((256 << 10))
bundle 1 200 0
mount_ckpt "$source" -o commit=sync
before=$(stored)
changed=0 most=12
change 70
written=$(($(stored) - before))
echo "70 commits of $part bytes: $written bytes in shards"
[ "$written" -le $((2 * 70 * (part + 128))) ] || fail "70 commits of $part bytes wrote $written bytes into shards"
unmount
check_status 0 "$builddir/fsck.ckptfs" -n "$source"

# The shards of a trainer are linked, however many there are.
part=$((64 << 10))
source=$tmp/many
mkdir "$source"
bundle 16 64 0
mount_ckpt "$source" -o commit=sync
changed=0 most=27
change 14
check_equal "shards of the trainer in the last step" \
  "$(find "$source" -name 'net-15.data-*' -exec stat -c %i {} + | sort | comm -12 - <(stat -c %i "$source"/net-1.data-* | sort) | wc -l)" 13
unmount

# --- names in the directory ---------------------------------------------------------------------------------

# entries_of STEPS: the entries of folders that ten commits read where there are so many steps.
entries_of() {
  local i file
  source=$tmp/steps-$1
  mkdir "$source"
  bundle 1 1 0
  : >"$source/net-1.meta"
  for ((i = 2; i <= $1; i++)); do
    for file in "$source"/net-1.*; do ln "$file" "$source/net-$i.${file##*/net-1.}"; done
    echo "all_model_checkpoint_paths: \"net-$i\"" >>"$source/checkpoint"
  done
  sed -i "1s/net-1/net-$1/" "$source/checkpoint"
  mount_hooked "$source" -o commit=sync
  readlink "$mnt/latest" >"$tmp/out"
  : >"$hook.entries"
  for ((i = 0; i < 10; i++)); do
    { head -c 128 "$tmp/part.npy" && head -c $((part - 4)) /dev/zero && printf '%04d' "$i"; } >"$tmp/x.npy"
    cp "$tmp/x.npy" "$mnt/latest/w000.npy"
    sync "$mnt/latest/."
    check_equal latest "$(readlink "$mnt/latest")" "net-$(($1 + i + 1))"
    ls "$mnt/latest/" >"$tmp/out"
  done
  entries=$(stat -c %s "$hook.entries")
  unmount
}

# Where inotify tells of all, a commit does not read the names of the directory, and nor do the looks at it before and after. What is
# being done to it at that very moment may be a reason to read it; so a few times are not too many.
case $(stat -f -c %T "$tmp") in
  ext2/ext3 | xfs | btrfs | f2fs | tmpfs)
    entries_of 2
    few=$entries
    entries_of 300
    echo "ten commits read $few entries of folders beside 2 steps, and $entries beside 300"
    [ "$entries" -le $((few + 5 * 900)) ] || fail "ten commits read $entries entries of folders beside 300 steps, and $few beside 2"
    ;;
esac
