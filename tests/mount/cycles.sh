#!/usr/bin/env bash
# Nothing piles up: neither over many mounts, nor in one daemon over many requests.
. "$(dirname "$0")/../lib/mount.sh"

program=$builddir/mount.ckptfs
at=$tmp/at

daemons_here() {
  pgrep -f -- "mount\.ckptfs.* $tmp" || true
}

no_daemon() {
  [ -z "$(daemons_here)" ]
}

unmount_at() {
  if [ "$(id -u)" = 0 ]; then
    umount "$at"
  else
    fusermount3 -u "$at"
  fi
}

two_hundred_mounts_leave_no_process() {
  local i end
  for ((i = 0; i < 200; i++)); do
    "$program" "$fixtures/linear" "$at" -o ro
    cat "$at/my-model-0/w.npy" >/dev/null
    unmount_at
  done
  end=$((SECONDS + 5))
  until no_daemon; do
    [ "$SECONDS" -lt "$end" ] || fail "$(daemons_here | wc -l) processes are left"
    sleep 0.05
  done
  ! grep -qF " $at fuse" /proc/self/mounts || fail "a mount is left"
}

# One that is killed while it waits for an answer from itself would never end.
daemons_that_are_killed_at_once_end() {
  local i
  for ((i = 0; i < 50; i++)); do
    mount_ckpt "$fixtures/linear"
    kill_daemon
  done
}

# --- one daemon -----------------------------------------------------------------------------------------

forget() {
  echo 2 2>/dev/null >/proc/sys/vm/drop_caches || skip_optional "can't drop caches"
}

use_it() {
  local i
  for ((i = 0; i < $1; i++)); do
    find "$mnt" -type f -path '*my-model*' -exec cat {} + >/dev/null
    find "$mnt" >/dev/null
    forget
  done
}

# Of the daemon in the foreground.
descriptors() {
  find "/proc/${daemons[$mnt]}/fd" -type l | wc -l
}

with_sanitizers() {
  [[ $(ldd "$program") = *libasan* ]] || with_tsan
}

memory() {
  awk '/^VmRSS:/ {print $2}' "/proc/${daemons[$mnt]}/status"
}

# settles_at WANT CMD...: closing a file reaches the daemon after close(2) has returned.
settles_at() {
  local want=$1 end=$((SECONDS + 5))
  shift
  until [ "$("$@")" -le "$want" ]; do
    [ "$SECONDS" -lt "$end" ] || fail "$* grew from $want to $("$@")"
    sleep 0.05
  done
}

# The first rounds fill caches, and threads come and go with a descriptor each. With an arena for each thread, malloc
# would take megabytes at odd times; with one, what still grows is less than a leak of 10 KiB a round.
two_hundred_rounds_do_not_grow_the_daemon() {
  local fds kib
  mount_ckpt "$tmp/tree"
  use_it 120
  fds=$(descriptors)
  kib=$(memory)
  use_it 200
  settles_at $((fds + 4)) descriptors
  with_sanitizers || settles_at $((kib + 2048)) memory # what was freed is kept for a while by theirs
  unmount
}

make_tree() {
  mkdir "$tmp/tree"
  cp -r "$fixtures/linear" "$fixtures/sharded" "$fixtures/partitioned" "$fixtures/strings" \
    "$fixtures/names" "$tmp/tree"
}

# --- memory ---------------------------------------------------------------------------------------------

# The daemon has a thread that stats its own mount: valgrind must let the others run meanwhile.
valgrind_finds_nothing() {
  new_mountpoint
  start_daemon valgrind -q --sim-hints=fuse-compatible --error-exitcode=99 --leak-check=full \
    --show-leak-kinds=definite,possible "$program" "$fixtures" "$mnt" --foreground -o ro
  ls -lR "$mnt/linear" "$mnt/sharded" "$mnt/names/bytes" "$mnt/corrupt" >/dev/null 2>&1 || true
  find "$mnt"/{linear,sharded,partitioned,strings,dtypes,corrupt} -name '*.npy' \
    -exec cat {} + >/dev/null 2>&1 || true
  find "$mnt/linear" "$mnt/partitioned" -name '*.npy' -exec getfattr -d {} + >/dev/null 2>&1
  unmount
  if grep '^==' "$mnt.log" >&2; then
    fail "valgrind complains"
  fi
}

# --- all of it ------------------------------------------------------------------------------------------

need pgrep getfattr
mkdir "$at"
make_tree
echo two_hundred_mounts_leave_no_process
two_hundred_mounts_leave_no_process
echo daemons_that_are_killed_at_once_end
daemons_that_are_killed_at_once_end 2>"$tmp/err" || fail "$(cat "$tmp/err")"
if with_sanitizers; then
  echo "with sanitizers, memory is looked after by them"
else
  need valgrind
  echo valgrind_finds_nothing
  valgrind_finds_nothing
fi
[ "$(id -u)" = 0 ] || skip_optional "only root can drop caches"
echo two_hundred_rounds_do_not_grow_the_daemon
two_hundred_rounds_do_not_grow_the_daemon
