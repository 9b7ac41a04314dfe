#!/usr/bin/env bash
# Directories that can't take what is written: full ones, those of others, read-only ones, those that lose a file.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr

prepare_edit
step=my_net.ckpt

# A file that is as long as it is to be, but for whose bytes there is no room: a write may be answered before that is known. Whoever
# writes it is told, and it is not committed before it was written anew.
lost_bytes() {
  local large=$mnt/$step/hidden/large.npy
  head -c 128 "$tmp/too_large.npy" >"$large"
  truncate -s "$(stat -c %s "$tmp/too_large.npy")" "$large"
  check_status 1 dd if="$tmp/too_large.npy" of="$large" bs=1M conv=notrunc status=none
  grep -qF "No space left" "$tmp/err" || fail "dd does not say that the disk is full: $(cat "$tmp/err")"
  check_status 1 sync "$mnt/$step"
  getfattr -n user.ckptfs.error --absolute-names --only-values "$mnt/$step" >"$tmp/why"
  grep -qF "hidden/large.npy" "$tmp/why" || fail "user.ckptfs.error: $(cat "$tmp/why")"
  [ "$(find "$mnt" -maxdepth 1 -name "$step*" | wc -l)" = 1 ] || fail "half a variable was committed"
  make_npy 10 103 >"$large"
  getfattr -n user.ckptfs.error --absolute-names --only-values "$mnt/$step" >"$tmp/why" 2>/dev/null || true
  [ ! -s "$tmp/why" ] || fail "it was written anew: $(cat "$tmp/why")"
  rm "$large"
}

# --- a disk that is full ------------------------------------------------------------------------------------------

full_disk() {
  local disk=$tmp/disk left
  mkdir "$disk"
  mount -t tmpfs -o size=16m none "$disk" 2>"$tmp/err" || return 0
  fresh "$disk/ck"
  mount_ckpt "$disk/ck" -o "$options"

  # As it is written.
  make_npy 5000000 103 >"$tmp/too_large.npy"
  if cp "$tmp/too_large.npy" "$mnt/$step/hidden/too_large.npy" 2>"$tmp/err"; then fail "20 MB in 16 MiB"; fi
  grep -qF "No space left" "$tmp/err" || fail "cp does not say that the disk is full: $(cat "$tmp/err")"
  grep -qF "No space left" "$mnt.log" || fail "nothing in the log: $(cat "$mnt.log")"
  # What is not whole is not committed.
  check_status 1 sync "$mnt/$step"
  getfattr -n user.ckptfs.error --absolute-names --only-values "$mnt/$step" >"$tmp/why"
  grep -qF "too_large.npy" "$tmp/why" || fail "user.ckptfs.error: $(cat "$tmp/why")"
  [ "$(find "$disk/ck" -maxdepth 1 -name '*.index' | wc -l)" = 1 ] || fail "half a variable was committed"
  rm "$mnt/$step/hidden/too_large.npy"
  lost_bytes

  # As it is committed: small variables are written once more then.
  edit "$mnt/$step"
  left=$(stat -f -c %a "$disk")
  head -c "$((left * $(stat -f -c %S "$disk")))" /dev/zero >"$disk/fill"
  context="a full disk"
  check_status 1 sync "$mnt/$step"
  grep -qF "No space left" "$tmp/err" || fail "sync does not say that the disk is full: $(cat "$tmp/err")"
  getfattr -n user.ckptfs.error --absolute-names --only-values "$mnt/$step" >"$tmp/why"
  grep -qF "No space left" "$tmp/why" || fail "user.ckptfs.error: $(cat "$tmp/why")"
  check_step "$tmp/want" "$mnt/$step"

  # It outlives its mount, and when there is room again it is committed.
  umount "$mnt"
  wait "${daemons[$mnt]}" || true
  unset "daemons[$mnt]"
  mount_ckpt "$disk/ck" -o "$options"
  check_step "$tmp/want" "$mnt/$step"
  check_status 1 sync "$mnt"
  rm "$disk/fill"
  check_status 0 sync "$mnt"
  check_step "$tmp/want" "$mnt/$step-1"
  unmount
  check_edited "$disk/ck"
  umount "$disk"
}

# --- a directory that may not be written to -----------------------------------------------------------------------

others_directory() {
  local ck=$tmp/theirs
  fresh "$ck"
  chmod 755 "$ck"
  mount_ckpt_as_user "$ck" -o "$options"
  # Who may enter it is that user.
  if as_user cp "$tmp/weights.npy" "$mnt/$step/hidden/weights.npy" 2>"$tmp/err"; then
    fail "a user writes into a directory of root"
  fi
  grep -qE "Read-only file system|Permission denied" "$tmp/err" || fail "the user is told: $(cat "$tmp/err")"
  as_user cat "$mnt/$step/hidden/weights.npy" | cmp - "$tmp/before/hidden/weights.npy"
  unmount
  [ ! -e "$ck/.ckptfs" ] || fail "left: $(find "$ck/.ckptfs")"
  check_old "$ck"
}

# Their files, but a directory in which one may write: no hard links (fs.protected_hardlinks), so all is copied.
others_files() {
  local ck=$tmp/ours context="files of another"
  fresh "$ck"
  chmod -R go-w "$ck"
  chown 65534:65534 "$ck" "$ck/checkpoint"
  mount_ckpt_as_user "$ck" -o "$options,uid=65534"
  as_user cp "$tmp/large.npy" "$mnt/$step/hidden/large.npy"
  as_user rm "$mnt/$step/output/biases.npy"
  as_user sync "$mnt/$step" || fail "$context: not committed"
  as_user cat "$mnt/$step-1/hidden/large.npy" | cmp - "$tmp/large.npy"
  as_user cat "$mnt/$step-1/hidden/weights.npy" | cmp - "$tmp/before/hidden/weights.npy"
  unmount
  check_old "$ck"
  [ ! -e "$ck/.ckptfs" ] || fail "left: $(find "$ck/.ckptfs")"
  "$builddir/fsck.ckptfs" -n "$ck" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
}

read_only_disk() {
  local ck=$tmp/read-only
  fresh "$ck"
  mount --bind "$ck" "$ck" 2>"$tmp/err" || return 0
  mount -o remount,bind,ro "$ck"
  mount_ckpt "$ck" -o "$options"
  [[ $(grep -F " $mnt fuse" /proc/self/mounts) = *" ro,"* ]] || fail "not mounted read-only"
  check_step "$tmp/before" "$mnt/$step"
  if rm "$mnt/$step/hidden/weights.npy" 2>"$tmp/err"; then fail "a file on a read-only disk was removed"; fi
  grep -qF "Read-only file system" "$tmp/err" || fail "told: $(cat "$tmp/err")"
  unmount
  umount "$ck"
}

# --- a file that somebody takes away ------------------------------------------------------------------------------

lost_shard() {
  local ck=$tmp/lost shard=$step.data-00000-of-00001
  # While there is a draft: it has its own hold on it.
  fresh "$ck"
  mount_ckpt "$ck" -o "$options"
  edit "$mnt/$step"
  mv "$ck/$shard" "$tmp/shard"
  context="a shard was removed"
  check_step "$tmp/want" "$mnt/$step"
  check_status 0 sync "$mnt/$step"
  check_step "$tmp/want" "$mnt/$step-1"
  mv "$tmp/shard" "$ck/$shard"
  unmount
  check_edited "$ck"

  # Before there is one.
  fresh "$ck"
  mv "$ck/$shard" "$tmp/shard"
  mount_ckpt "$ck" -o "$options"
  if cat "$mnt/$step/output/weights.npy" >"$tmp/out" 2>"$tmp/err"; then fail "read without its shard"; fi
  edit "$mnt/$step" || fail "$context: what does not need it can't be changed"
  check_status 1 sync "$mnt/$step"
  getfattr -n user.ckptfs.error --absolute-names --only-values "$mnt/$step" >"$tmp/why"
  grep -qF "$shard" "$tmp/why" || fail "$context: does not say which: $(cat "$tmp/why")"
  grep -qF "$shard" "$mnt.log" || fail "$context: nothing in the log: $(cat "$mnt.log")"
  [ ! -e "$ck/$step-1.index" ] || fail "$context: committed"
  mv "$tmp/shard" "$ck/$shard"
  check_status 0 sync "$mnt/$step"
  check_step "$tmp/want" "$mnt/$step-1"
  unmount
  check_edited "$ck"
}

run_tests lost_shard
if [ "$(id -u)" = 0 ]; then
  run_tests full_disk read_only_disk
  need_user
  run_tests others_directory others_files
fi
