#!/usr/bin/env bash
# mount.ckptfs in the background: once it serves, nothing of what its caller had open is open any more.
# shellcheck disable=SC2016 # variables in single quotes are for another bash
. "$(dirname "$0")/../lib/mount.sh"

need pgrep flock timeout

program=$builddir/mount.ckptfs
source=$fixtures/net

# in_background WORDS...: has bash run that, in which $mount stands for mounting. Who waits for the end of a daemon is stopped.
in_background() {
  new_mountpoint
  mount=$1 program=$program source=$source at=$mnt timeout 20 bash -euc "$2" ||
    fail "status $? for: $2"
  is_mounted "$mnt" || fail "did not mount: $2"
}

# daemon_of MOUNTPOINT: the process id of who serves it.
daemon_of() {
  local pid
  for pid in $(pgrep -x mount.ckptfs); do
    ! grep -qzxF -- "$1" "/proc/$pid/cmdline" || echo "$pid"
  done
}

# holds_nothing PID: its descriptors 0, 1 and 2 lead to nothing, and no other to what $tmp has or to a pipe.
holds_nothing() {
  local fd
  for fd in 0 1 2; do
    [ "$(readlink "/proc/$1/fd/$fd")" = /dev/null ] ||
      fail "descriptor $fd of $(tr '\0' ' ' <"/proc/$1/cmdline") leads to $(readlink "/proc/$1/fd/$fd")"
  done
  for fd in "/proc/$1/fd/"*; do
    case $(readlink "$fd" || true) in
      "$tmp"/* | pipe:*) fail "descriptor ${fd##*/} leads to $(readlink "$fd")" ;;
    esac
  done
}

# --- who reads what it says -----------------------------------------------------------------------------

plain='"$program" "$source" "$at" -o ro'
in_background "$plain" 'out=$(eval "$mount" 2>&1); [ -z "$out" ]'
holds_nothing "$(daemon_of "$mnt")"
"$builddir/umount.ckptfs" "$mnt"

# --- a pipe and a lock that were inherited --------------------------------------------------------------

mkfifo "$tmp/fifo"
: >"$tmp/lock"
tmp=$tmp in_background "$plain" '
  cat "$tmp/fifo" & exec 7>"$tmp/fifo" 9>"$tmp/lock"
  flock 9
  eval "$mount"
  exec 7>&- 9>&-
  flock -n "$tmp/lock" true
  wait'
"$builddir/umount.ckptfs" "$mnt"

# --- a program that stays with it -----------------------------------------------------------------------

if command -v fusermount3 >/dev/null; then
  in_background "$plain,auto_unmount" 'out=$(eval "$mount" 2>&1); [ -z "$out" ]'
  "$builddir/umount.ckptfs" "$mnt"
fi

# --- without 0, 1, 2 ------------------------------------------------------------------------------------

in_background "$plain" 'eval "$mount" 0<&- 1>&- 2>&-'
holds_nothing "$(daemon_of "$mnt")"
[ -d "$mnt/$(basename "$(find "$source" -name '*.index' | head -1)" .index)" ] || fail "shows no step"
"$builddir/umount.ckptfs" "$mnt"

# --- what fails is still said ---------------------------------------------------------------------------

new_mountpoint
check_says "libfuse refuses" "$program" "$source" "$mnt" -o ro,max_read=nonsense
[ "$status" = 32 ] || fail "status $status"
! is_mounted "$mnt" || fail "is mounted"
