#!/usr/bin/env bash
# What it takes to write to a step is bounded: requests by the bytes, and what is read by what was there. Nothing is timed.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr

mib=$((1 << 20))

# npy MIB: a .npy file of so many, and its header.
npy() {
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': ($(($1 * mib / 4)),), }"
  head -c "$(($1 * mib))" /dev/urandom
}

# requests OPCODE: how many the kernel has sent so far.
requests() {
  grep -c "opcode: $1 (" "$mnt.log" || true
}

# Before Linux 6.18 bytes go through the kernel's pages, 128 KiB at a time.
writes_without_pages() {
  local minor
  minor=$(sed -n 's/^INIT: 7\.\([0-9]*\)$/\1/p' "$mnt.log" | head -n 1)
  [ "$minor" -ge 45 ]
}

# --- requests ---------------------------------------------------------------------------------------------

# wrote MOST COMMAND...: runs it, which writes 16 MiB and a header, in up to MOST requests and one for the rest. A request has up to
# 1 MiB. Whether the file has capabilities is asked when it is cut, and not for each write.
wrote() {
  local most=$1 writes attributes
  shift
  writes=$(requests WRITE)
  attributes=$(requests GETXATTR)
  "$@"
  writes=$(($(requests WRITE) - writes))
  attributes=$(($(requests GETXATTR) - attributes))
  [ "$writes" -le $((most + 1)) ] || fail "$*: $writes requests for 16 MiB"
  [ "$writes" -ge 16 ] || fail "$*: only $writes requests for 16 MiB were seen"
  [ "$attributes" -le 1 ] || fail "$*: $attributes questions for extended attributes"
}

a_request_has_as_much_as_it_can() {
  npy 16 >"$tmp/w.npy"
  copy_of net
  mount_ckpt "$source" --debug -o commit=sync
  if ! writes_without_pages; then
    unmount
    return
  fi
  mkdir "$mnt/new"
  wrote 64 cp "$tmp/w.npy" "$mnt/new/w.npy" # of which each is as large as stat says
  check_equal "size of a write" "$(stat -c %o "$mnt/new/w.npy")" $((mib / 4))
  wrote 64 cp "$tmp/w.npy" "$mnt/new/w.npy" # over the other one
  wrote 16 dd if="$tmp/w.npy" of="$mnt/new/v.npy" bs=32M status=none
  wrote 16 dd if="$tmp/w.npy" of="$mnt/new/v.npy" bs=1M conv=notrunc status=none
  cmp "$tmp/w.npy" "$mnt/new/v.npy"
  sync "$mnt/new"
  wrote 16 dd if=/dev/zero of="$mnt/new/w.npy" bs=1M seek=128 count=16 oflag=seek_bytes conv=notrunc status=none
  cmp -n 128 "$tmp/w.npy" "$mnt/new/w.npy"
  check_equal "bytes that are not 0" "$(tail -c +129 "$mnt/new/w.npy" | tr -d '\000' | wc -c)" 0
  unmount
}

# --- reading ----------------------------------------------------------------------------------------------

# Bytes that the daemon has read so far.
bytes_read() {
  sed -n 's/^rchar: //p' "/proc/${daemons[$mnt]}/io"
}

# read_at_most WHAT MIB COMMAND...
read_at_most() {
  local what=$1 most=$2 before now
  shift 2
  before=$(bytes_read)
  "$@"
  now=$(bytes_read)
  [ $((now - before)) -le $((most * mib)) ] || fail "$what: $((now - before)) bytes were read, expected $most MiB at most"
  echo "$what: $((now - before)) bytes read"
}

write_4k() {
  dd if="$tmp/4k" of="$mnt/$1" bs=1 seek="$((128 + 11 * mib))" count=4096 oflag=seek_bytes conv=notrunc status=none iflag=fullblock obs=4096
}

# A variable of 32 MiB is read once to be copied, and of the copy only what was changed is read again.
a_change_in_a_large_variable_reads_it_once() {
  npy 32 >"$tmp/w.npy"
  head -c 4096 /dev/urandom >"$tmp/4k"
  copy_of net
  mount_ckpt "$source" -o commit=sync
  mkdir "$mnt/new"
  cp "$tmp/w.npy" "$mnt/new/w.npy"
  sync "$mnt/new"
  read_at_most "the change" 33 write_4k new/w.npy
  read_at_most "its commit" 2 sync "$mnt/new"
  dd if="$tmp/4k" of="$tmp/w.npy" bs=4096 seek="$((128 + 11 * mib))" oflag=seek_bytes conv=notrunc status=none
  cmp "$tmp/w.npy" "$mnt/new-1/w.npy"
  check_equal "what is damaged" "$("$builddir/fsck.ckptfs" "$source" >"$tmp/out" 2>&1 || cat "$tmp/out")" ""
  unmount
}

# What was written in order, and then changed here and there, is not read as a whole either.
changes_while_it_is_written_are_read_again() {
  npy 32 >"$tmp/w.npy"
  head -c 4096 /dev/urandom >"$tmp/4k"
  copy_of net
  mount_ckpt "$source" -o commit=sync
  mkdir "$mnt/new"
  cp "$tmp/w.npy" "$mnt/new/w.npy"
  write_4k new/w.npy
  read_at_most "the commit" 2 sync "$mnt/new"
  dd if="$tmp/4k" of="$tmp/w.npy" bs=4096 seek="$((128 + 11 * mib))" oflag=seek_bytes conv=notrunc status=none
  cmp "$tmp/w.npy" "$mnt/new/w.npy"
  check_equal "what is damaged" "$("$builddir/fsck.ckptfs" "$source" >"$tmp/out" 2>&1 || cat "$tmp/out")" ""
  unmount
}

run_tests a_request_has_as_much_as_it_can a_change_in_a_large_variable_reads_it_once changes_while_it_is_written_are_read_again
