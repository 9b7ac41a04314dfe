#!/usr/bin/env bash
# umount.ckptfs: what it unmounts and what it refuses; that it waits for what a daemon still commits, and says what it could
# not. A daemon that writes is $builddir/writer here, which only does what umount.ckptfs relies on.
. "$(dirname "$0")/../lib/mount.sh"

program=$builddir/umount.ckptfs
source=$tmp/source
at=$tmp/at

# --- helpers --------------------------------------------------------------------------------------------

# writer [CODE [SENTENCES [SECONDS]]]: a mount of $source at a new $mnt.
writer() {
  new_mountpoint
  rm -f "$source/ended"
  start_daemon "$builddir/writer" "$source" "$mnt" "$@"
}

# refused WORDS ARGUMENT...: status 32 and a sentence.
refused() {
  local words=$1
  shift
  check_status 32 "$program" "$@"
  grep -qF -- "$words" "$tmp/err" || fail "does not say '$words' for $*: $(cat "$tmp/err")"
}

# unmounts STATUS ARGUMENT...: it says nothing to stdout, and $mnt's daemon ends well.
unmounts() {
  local status=$1
  shift
  check_status "$status" "$program" "$@"
  [ ! -s "$tmp/out" ] || fail "is not silent for $*: $(cat "$tmp/out")"
  is_gone
}

is_gone() {
  local pid=${daemons[$mnt]}
  ! is_mounted "$mnt" || fail "$mnt is still mounted"
  unset "daemons[$mnt]"
  wait "$pid" || fail "the daemon ended with status $?"
}

# says WORDS...: each on stderr of the last.
says() {
  local words
  for words; do
    grep -qF -- "$words" "$tmp/err" || fail "does not say '$words': $(cat "$tmp/err")"
  done
}

says_nothing() {
  [ ! -s "$tmp/err" ] || fail "says: $(cat "$tmp/err")"
}

has_ended() {
  [ -e "$source/ended" ] || fail "did not wait for the daemon"
}

has_not_ended() {
  [ ! -e "$source/ended" ] || fail "has waited for the daemon"
}

# --- the command line, and what is no mount of ckptfs ---------------------------------------------------

wrong_usage_is_refused() {
  check_status 1 "$program"
  says "a mountpoint is needed" "Usage: umount.ckptfs"
  check_status 1 "$program" "$at" more
  says "too many arguments"
  check_status 1 "$program" --nosuch "$at"
  check_status 0 "$program" --help
  grep -q "^Usage: umount.ckptfs MOUNTPOINT" "$tmp/out"
  says_nothing
  check_status 0 "$program" --version
  grep -q "^ckptfs [0-9]" "$tmp/out"
}

what_is_no_mount_is_refused() {
  mount_ckpt "$fixtures/linear"
  refused "$at: not mounted" "$at"
  refused "$mnt/my-model-0: not mounted" "$mnt/my-model-0"
  refused "$tmp/none: No such file" "$tmp/none"
  refused "/proc: not of type fuse.ckptfs, but proc" /proc
  is_mounted "$mnt" || fail "has unmounted"
  unmounts 0 "$mnt"
}

# --- names ----------------------------------------------------------------------------------------------

any_name_of_the_mountpoint_will_do() {
  local name
  ln -s at "$tmp/link"
  for name in at ./at at/ ../"${tmp##*/}"/at link link/ "$at" "$at/."; do
    check_status 0 "$builddir/mount.ckptfs" "$fixtures/linear" "$at"
    (cd "$tmp" && check_status 0 "$program" "$name")
    ! is_mounted "$at" || fail "is still mounted: $name"
  done
}

odd_names_work() {
  local name
  for name in "a b" 'back\slash' 'oct\040al' $'new\nline' $'tab\t' '#' -x; do
    mkdir "$tmp/$name"
    check_status 0 "$builddir/mount.ckptfs" "$fixtures/linear" "$tmp/$name"
    (cd "$tmp" && check_status 0 "$program" -- "$name")
    rmdir "$tmp/$name" || fail "is still mounted: $name"
  done
}

the_mount_on_top_is_unmounted() {
  check_status 0 "$builddir/mount.ckptfs" "$fixtures/linear" "$at"
  mount -t tmpfs none "$at"
  refused "not of type fuse.ckptfs, but tmpfs" "$at"
  umount "$at"
  check_status 0 "$program" "$at"
}

# --- reading mounts -------------------------------------------------------------------------------------

verbose_says_what_is_done() {
  mount_ckpt "$fixtures/linear" -o ro
  check_status 0 "$program" -v -n -t fuse.ckptfs "$mnt"
  [ "$(cat "$tmp/out")" = "$mnt: unmounted" ] || fail "-v says: $(cat "$tmp/out")"
  is_gone
  writer
  check_status 0 "$program" -v "$mnt"
  [ "$(cat "$tmp/out")" = "$mnt: committed
$mnt: unmounted
$mnt: its daemon has ended" ] || fail "-v says: $(cat "$tmp/out")"
  is_gone
}

# Another's lock on the directory is nothing to wait for.
a_reading_mount_waits_for_nothing() {
  writer 0 "" 1
  local writing=$mnt
  mount_ckpt "$source" -o ro
  unmounts 0 "$mnt"
  says_nothing
  mnt=$writing
  unmounts 0 "$mnt"
  has_ended
}

kill_it() {
  local pid=${daemons[$mnt]}
  unset "daemons[$mnt]"
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null || true
}

a_dead_daemon_is_no_obstacle() {
  mount_ckpt "$fixtures/linear"
  kill_it
  check_status 0 "$program" "$mnt"
  ! is_mounted "$mnt" || fail "is still mounted"
  writer
  kill_it
  check_status 0 "$program" "$mnt/"
  says "its daemon has died; drafts are taken up at the next mount"
  ! is_mounted "$mnt" || fail "is still mounted"
}

a_busy_mount_is_refused() {
  local fd
  writer
  exec {fd}<"$mnt"
  refused "busy" "$mnt"
  is_mounted "$mnt" || fail "has unmounted"
  [ -n "${daemons[$mnt]}" ]
  exec {fd}<&-
  unmounts 0 "$mnt"
}

a_lazy_unmount_waits_for_nothing() {
  local fd
  writer
  exec {fd}<"$mnt"
  check_status 0 "$program" -l "$mnt"
  ! is_mounted "$mnt" || fail "is still mounted"
  has_not_ended
  exec {fd}<&-
  is_gone
}

# --- writing mounts -------------------------------------------------------------------------------------

the_daemons_end_is_waited_for() {
  writer 0 "" 1
  unmounts 0 "$mnt"
  says_nothing
  has_ended
}

over_its_own_source_too() {
  mnt=$source
  rm -f "$source/ended"
  start_daemon "$builddir/writer" "$source" "$source" 0 "" 1
  unmounts 0 "$source"
  has_ended
}

a_prefix_is_locked_by_its_directory() {
  WRITER_OPTIONS=fsname=$source/model-7 writer 0 "" 1
  unmounts 0 "$mnt"
  has_ended
}

a_source_with_no_path_is_not_waited_for() {
  WRITER_OPTIONS=fsname=net writer 0 "" 1
  check_status 0 "$program" -v "$mnt"
  grep -qF "can't see when its daemon ends" "$tmp/out" || fail "-v says: $(cat "$tmp/out")"
  has_not_ended
  is_gone
}

what_is_refused_is_told() {
  writer 22 $'model-1/w.npy: no .npy file\nmodel-1/b.npy: is <i4, the variable <f4\n' 1
  unmounts 64 "$mnt"
  has_ended
  diff - "$tmp/err" <<END || fail "says something else"
umount.ckptfs: model-1/w.npy: no .npy file
umount.ckptfs: model-1/b.npy: is <i4, the variable <f4
umount.ckptfs: what is not committed waits as a draft in .ckptfs of $source, for the next mount
END
  writer 22 $'\e[31m model-1'
  unmounts 64 "$mnt"
  says "umount.ckptfs: ?[31m model-1"
}

other_failures_are_told() {
  writer 28
  unmounts 64 "$mnt"
  says "$mnt: can't commit: No space left on device" "waits as a draft"
  writer 22
  unmounts 64 "$mnt"
  says "$mnt: can't commit: Invalid argument"
}

who_knows_no_fsync_has_nothing_to_commit() {
  writer 38
  unmounts 0 "$mnt"
  says_nothing
}

force_does_not_ask_for_a_commit() {
  writer 28 "" 1
  unmounts 0 -f "$mnt"
  says_nothing
  has_ended
}

# --- root only ------------------------------------------------------------------------------------------

a_second_mount_of_it_is_not_waited_for() {
  writer
  mount --bind "$mnt" "$at"
  check_status 0 "$program" -v "$at"
  grep -qF "unmounted, but not elsewhere" "$tmp/out" || fail "-v says: $(cat "$tmp/out")"
  has_not_ended
  unmounts 0 "$mnt"
  has_ended
}

a_busy_mount_can_become_read_only() {
  local fd
  writer
  exec {fd}<"$mnt"
  check_status 0 "$program" -v -r "$mnt"
  grep -qF "busy, and read-only now" "$tmp/out" || fail "-v says: $(cat "$tmp/out")"
  grep -qE " $mnt fuse.ckptfs ro," /proc/self/mounts || fail "is not read-only"
  exec {fd}<&-
  unmounts 0 "$mnt"
}

another_namespace_can_be_named() {
  local pid
  need unshare
  # shellcheck disable=SC2016 # for the other bash
  unshare -m --propagation private bash -c '
    umount -i -l -a -t fuse.ckptfs # copies of what other tests have mounted
    "$1/mount.ckptfs" "$2" "$3" && echo mounted && exec sleep 100' - "$builddir" "$fixtures/linear" "$at" \
    >"$tmp/state" &
  pid=$!
  until [ -s "$tmp/state" ]; do
    kill -0 "$pid" 2>/dev/null || skip_optional "no mount namespace"
    sleep 0.01
  done
  refused "$at: not mounted" "$at"
  check_status 0 "$program" -N "$pid" "$at"
  ! grep -qF " $at fuse" "/proc/$pid/mounts" || fail "is still mounted"
  check_status 2 "$program" -N "$tmp/none" "$at"
  says "namespace $tmp/none: No such file"
  kill "$pid"
  wait "$pid" 2>/dev/null || true
}

# --- another user ---------------------------------------------------------------------------------------

users_writer() {
  new_mountpoint
  rm -f "$source/ended"
  [ "$(id -u)" != 0 ] || chown 65534:65534 "$mnt" "$source"
  start_daemon "${unprivileged[@]}" "$builddir/writer" "$source" "$mnt" "$@"
}

a_user_unmounts_with_fusermount() {
  users_writer 22 "model-1/w.npy: no .npy file" 1
  check_status 64 as_user "$program" "$mnt"
  says "model-1/w.npy: no .npy file" "waits as a draft"
  has_ended
  is_gone
}

a_user_unmounts_lazily() {
  local fd holder
  users_writer
  # shellcheck disable=SC2016 # for the other bash
  exec {fd}< <(exec "${unprivileged[@]}" bash -c 'cd "$1" && echo in && exec sleep 100' - "$mnt")
  holder=$!
  read -r -u "$fd"
  check_status 32 as_user "$program" "$mnt"
  says "busy"
  check_status 0 as_user "$program" -l "$mnt"
  kill "$holder"
  exec {fd}<&-
  is_gone
}

root_waits_for_a_users_daemon() {
  users_writer 0 "" 1
  check_status 0 "$program" -v "$mnt"
  grep -qF "another user's" "$tmp/out" || fail "-v says: $(cat "$tmp/out")"
  has_ended
  is_gone
}

a_user_does_not_unmount_roots() {
  writer
  check_status 32 as_user "$program" "$mnt"
  is_mounted "$mnt" || fail "has unmounted"
  unmounts 0 "$mnt"
}

# --- umount(8) ------------------------------------------------------------------------------------------

# Installed in a mount namespace where /sbin and /run are covered, so that the machine stays as it is.
umount_finds_its_helper() {
  need unshare
  unshare -m --propagation private bash "$srcdir/tests/cli/umount_8.sh" "$builddir" "$fixtures/linear" "$at" "$tmp" ||
    case $? in
      77) skip_optional "no overlay on /sbin" ;;
      *) fail "umount(8), see above" ;;
    esac
}

# --- all of it ------------------------------------------------------------------------------------------

mkdir "$at" "$source"
chmod 755 "$source"
run_tests wrong_usage_is_refused what_is_no_mount_is_refused any_name_of_the_mountpoint_will_do \
  odd_names_work verbose_says_what_is_done a_reading_mount_waits_for_nothing \
  a_dead_daemon_is_no_obstacle a_busy_mount_is_refused a_lazy_unmount_waits_for_nothing \
  the_daemons_end_is_waited_for over_its_own_source_too a_prefix_is_locked_by_its_directory \
  a_source_with_no_path_is_not_waited_for what_is_refused_is_told other_failures_are_told \
  who_knows_no_fsync_has_nothing_to_commit force_does_not_ask_for_a_commit
if [ "$(id -u)" = 0 ]; then
  run_tests the_mount_on_top_is_unmounted a_second_mount_of_it_is_not_waited_for \
    a_busy_mount_can_become_read_only umount_finds_its_helper
  # A program of several threads can't enter a mount namespace.
  with_tsan || run_tests another_namespace_can_be_named
fi
need_user
run_tests a_user_unmounts_with_fusermount a_user_unmounts_lazily
if [ "$(id -u)" = 0 ]; then
  run_tests root_waits_for_a_users_daemon a_user_does_not_unmount_roots
fi
