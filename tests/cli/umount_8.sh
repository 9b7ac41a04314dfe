#!/usr/bin/env bash
# Run by umount.sh in a mount namespace of its own: BUILDDIR SOURCE MOUNTPOINT TMP. Which calls of umount(8) reach the helper.
set -Eeuo pipefail
builddir=$1 source=$2 at=$3 log=$4/log
trap 'echo "FAIL: $0, line $LINENO: $BASH_COMMAND" >&2' ERR

fail() {
  printf 'FAIL: %s\n' "$*" >&2
  exit 1
}

# It covers /sbin.
[ "$(readlink /proc/self/ns/mnt)" != "$(readlink "/proc/$PPID/ns/mnt")" ] || fail "not in a namespace of its own"

# The namespace has copies of what other tests have mounted, which would keep their daemons from ending.
umount -i -l -a -t fuse.ckptfs

sbin=$(readlink -f /sbin)
mount -t tmpfs none /run || exit 77
mkdir /run/upper /run/work /run/programs
mount -t overlay -o "lowerdir=$sbin,upperdir=/run/upper,workdir=/run/work" none "$sbin" || exit 77

# The programs as `make install` puts them, but that the helper says how it was called.
cp "$builddir/mount.ckptfs" "$builddir/ckptfs" "$sbin/"
ln -s mount.ckptfs "$sbin/mount.fuse.ckptfs"
cat >"$sbin/umount.ckptfs" <<END
#!/bin/sh
echo "\$0 \$*" >>"$log"
exec "$builddir/umount.ckptfs" "\$@"
END
chmod 755 "$sbin/umount.ckptfs"
ln -s umount.ckptfs "$sbin/umount.fuse.ckptfs"

notes() {
  ! grep -F "$at" /run/mount/utab
}

mount_as() {
  case $1 in
    fuse) mount -t fuse "ckptfs#$source" "$at" ;;
    *) mount -t "$1" "$source" "$at" ;;
  esac
}

# reaches HOW...: however it was mounted, `umount HOW...` unmounts it through the helper, and leaves no note.
reaches() {
  local type
  for type in ckptfs fuse.ckptfs fuse; do
    [ "$type" != fuse ] || [ -x /sbin/mount.fuse ] || continue
    mount_as "$type"
    : >"$log"
    umount "$@" || fail "umount $* ended with status $?"
    ! mountpoint -q "$at" || fail "umount $* does not unmount"
    [ "$(wc -l <"$log")" = 1 ] || fail "umount $* calls the helper $(wc -l <"$log") times, not once: $(cat "$log")"
    notes >&2 || fail "umount $* leaves a note"
  done
}

cd "$(dirname "$at")"
reaches "$at"
reaches "$at/"
reaches "${at##*/}"
reaches -v "$at" >/dev/null
reaches -l "$at"
reaches -f "$at"
reaches -r "$at"
reaches -c "$at"
reaches -R "$at"
reaches -a -t fuse.ckptfs

# What the helper says is umount's answer.
mount -t ckptfs "$source" "$at"
exec {fd}<"$at"
status=0
umount "$at" 2>"$log" || status=$?
[ "$status" = 32 ] || fail "umount of a busy mount ended with status $status"
grep -q busy "$log" || fail "umount of a busy mount says: $(cat "$log")"
exec {fd}<&-

# stale_note HOW...: one that a mount leaves if it is ended otherwise than by umount.
stale_note() {
  mount -t ckptfs "$source" "$at"
  "$@"
  until ! mountpoint -q "$at"; do sleep 0.01; done
  ! notes >/dev/null || fail "no note is left by $*"
}

# Its daemon is the only one that was started in this namespace and goes on.
daemon() {
  local pid
  for pid in $(pgrep -x mount.ckptfs); do
    [ "$(readlink "/proc/$pid/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ] || kill "$@" "$pid"
  done
}

# A note that was left by one that ended otherwise does not pile up, nor harm; umount.ckptfs removes it.
"$builddir/umount.ckptfs" "$at"
for _ in 1 2 3; do
  stale_note fusermount3 -u "$at"
  [ "$(notes | wc -l)" = 1 ] || fail "notes pile up"
done
for end in "fusermount3 -u $at" "daemon -TERM"; do
  # shellcheck disable=SC2086 # a list of words
  stale_note $end
  status=0
  "$builddir/umount.ckptfs" "$at/" 2>"$log" || status=$?
  [ "$status" = 32 ] || fail "umount.ckptfs ended with status $status where nothing is mounted"
  notes >&2 || fail "umount.ckptfs leaves the note of $end"
done
stale_note fusermount3 -u "$at"
mount -t tmpfs none "$at"
umount "$at"
reaches "$at"
