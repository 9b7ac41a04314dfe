#!/usr/bin/env bash
# Checkpoint directories on filesystems that can do less than those of a disk: bindfs, with and without hard_remove, sshfs, rclone. The
# same is done on each as on a disk, and the same comes of it.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
. "$(dirname "$0")/../lib/below.sh"

prepare_edit

# What is on disk, when nobody is at work there. rclone makes a folder again for a file that was removed while it wrote that.
at_rest() {
  unmount_below
  [ "$kind" != rclone ] || find "$ck" -depth -path '*/.ckptfs*' -type d -empty -delete
  check_old "$ck"
  "$builddir/fsck.ckptfs" -n "$ck" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
}

says() {
  grep -qF -- "$1" "$mnt.log" || fail "$context: the log does not say '$1': $(cat "$mnt.log")"
}

# --- what people do -----------------------------------------------------------------------------------------

# The words that the log has of what a filesystem lacks.
lacking() {
  case $1 in
    bindfs) echo "removal of open files" ;;
    bindfs-hard-remove) echo "use of removed files" ;;
    sshfs) echo "lasting inode numbers" ;;
    rclone) echo "hard links, symbolic links" ;;
  esac
}

edits_are_committed() {
  local kind
  for kind in $kinds; do
    on "$kind"
    mount_ckpt "$below" -o "$options"
    edit "$mnt/my_net.ckpt"
    check_step "$tmp/want" "$mnt/my_net.ckpt"
    sync "$mnt/my_net.ckpt" || fail "$context: sync: $(cat "$mnt.log")"
    says "the filesystem has no "
    says "$(lacking "$kind")"
    check_step "$tmp/want" "$mnt/my_net.ckpt-1"
    check_step "$tmp/before" "$mnt/my_net.ckpt"
    cp -r "$mnt/my_net.ckpt" "$mnt/copy"
    sync "$mnt/copy"
    check_step "$tmp/before" "$mnt/copy"
    mv "$mnt/copy" "$mnt/moved"
    rm -r "$mnt/my_net.ckpt-1"
    edit "$mnt/moved"
    unmount
    anew
    mount_ckpt "$below" -o "$options"
    check_step "$tmp/before" "$mnt/moved"
    check_step "$tmp/want" "$mnt/moved-1"
    edit "$mnt/my_net.ckpt"
    sync "$mnt/my_net.ckpt"
    rm -r "$mnt/moved" "$mnt/moved-1"
    unmount
    [ "$kind" = rclone ] || [ ! -e "$ck/.ckptfs" ] || fail "$context: left: $(find "$ck/.ckptfs")"
    at_rest
    check_edited "$ck"
  done
  tensorflow_restores_it
}

# TensorFlow restores what was committed on each of them.
tensorflow_restores_it() {
  local kind directories=()
  [ -n "${CKPTFS_PYTHON:-}" ] || return 0
  for kind in $kinds; do directories+=("$tmp/below/$kind"); done
  TF_CPP_MIN_LOG_LEVEL=3 "$CKPTFS_PYTHON" - "$tmp/want" "${directories[@]}" <<'EOS'
import os, sys
import numpy as np
import tensorflow as tf

for directory in sys.argv[2:]:
    prefix = tf.train.latest_checkpoint(directory)
    assert prefix and prefix.endswith("my_net.ckpt-1"), prefix
    reader = tf.train.load_checkpoint(prefix)
    names = sorted(reader.get_variable_to_shape_map())
    assert names == ["hidden/bias", "hidden/large", "hidden/weights", "out/weights"], names
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        wanted = {name: np.load(os.path.join(sys.argv[1], name + ".npy")) for name in names}
        variables = {name: tf.compat.v1.get_variable(name, initializer=np.zeros_like(wanted[name])) for name in names}
        tf.compat.v1.train.Saver(variables).restore(session, prefix)
        for name in names:
            assert np.array_equal(session.run(variables[name]), wanted[name]), name
EOS
}

# With -v the mount itself says what is lacking, and leaves nothing there.
a_verbose_mount_says_what_is_lacking() {
  local kind
  for kind in $kinds; do
    on "$kind" verbose
    new_mountpoint
    check_status 0 "$builddir/mount.ckptfs" -v "$below" "$mnt"
    grep -qF "$(lacking "$kind")" "$tmp/out" || fail "$context: -v does not say '$(lacking "$kind")': $(cat "$tmp/out")"
    [ ! -e "$below/.ckptfs" ] || fail "$context: left: $(find "$below/.ckptfs")"
    umount "$mnt"
    drop_below
  done
  rm -r "$ck"
}

# A draft is on disk, also for a filesystem that is mounted anew.
a_draft_is_taken_up() {
  local kind
  for kind in $kinds; do
    on "$kind" draft
    mount_ckpt "$below" -o "$options"
    edit "$mnt/my_net.ckpt"
    kill_daemon
    anew
    mount_ckpt "$below" -o "$options"
    check_step "$tmp/want" "$mnt/my_net.ckpt"
    sync "$mnt/my_net.ckpt"
    check_step "$tmp/want" "$mnt/my_net.ckpt-1"
    unmount
    at_rest
    check_edited "$ck"
  done
  rm -r "$ck"
}

# --- files that are open -------------------------------------------------------------------------------------

# A file goes on when its name is removed, when the draft is committed, and when it is discarded.
open_files_go_on() {
  local kind step
  for kind in $kinds; do
    on "$kind" open
    mount_ckpt "$below" -o "$options"
    step=$mnt/my_net.ckpt
    cp "$tmp/large.npy" "$step/gone.npy"
    exec 5<>"$step/gone.npy"
    rm "$step/gone.npy"
    printf 'AB' >&5
    cmp <(tail -c +3 "$tmp/large.npy") - <&5 || fail "$context: a removed file is not as it was written"
    exec 5<&-
    cp "$tmp/large.npy" "$step/over.npy"
    cp "$tmp/large.npy" "$step/other.npy"
    exec 5<"$step/over.npy" 6<"$step/other.npy"
    mv "$step/other.npy" "$step/over.npy"
    cmp "$tmp/large.npy" - <&5 || fail "$context: a file that another took the name of is not as it was"
    sync "$step" || fail "$context: sync: $(cat "$mnt.log")"
    cmp "$tmp/large.npy" - <&6 || fail "$context: a file that was committed is not as it was"
    exec 5<&- 6<&-
    unmount
    mount_ckpt "$below" -o "$options"
    cmp "$tmp/large.npy" "$mnt/my_net.ckpt-1/over.npy"
    unmount
    [ "$kind" = rclone ] || [ ! -e "$ck/.ckptfs" ] || fail "$context: left: $(find "$ck/.ckptfs")"
    at_rest
  done
  rm -r "$ck"
}

# What can't be removed yet makes no commit fail, and the next mount removes it.
leftovers_go_with_the_next_mount() {
  on bindfs rest
  mount_ckpt "$below" -o "$options"
  cp "$tmp/large.npy" "$mnt/my_net.ckpt/held.npy"
  exec 5<"$mnt/my_net.ckpt/held.npy"
  sync "$mnt/my_net.ckpt" || fail "$context: sync: $(cat "$mnt.log")"
  says "can't be removed yet"
  cmp "$tmp/large.npy" "$mnt/my_net.ckpt-1/held.npy"
  [ -e "$ck/.ckptfs/drafts/%old.0" ] || fail "$context: nothing is left that could be removed later"
  exec 5<&-
  unmount
  mount_ckpt "$below" -o "$options"
  ls "$mnt" >/dev/null
  unmount
  [ ! -e "$ck/.ckptfs" ] || fail "$context: left: $(find "$ck/.ckptfs")"
  at_rest
  rm -r "$ck"
}

# Where there are no hard links mv copies, and what can't be a link is refused.
steps_move_between_folders() {
  local kind
  for kind in $kinds; do
    on "$kind" moves
    mount_ckpt "$below" -o "$options"
    if [ "$kind" = rclone ]; then
      check_status 1 ln -s my_net.ckpt "$mnt/best"
      says "there are no symbolic links"
      [ ! -e "$below/best" ] || fail "$context: a file was made for the link"
    else
      ln -s my_net.ckpt "$mnt/best"
      check_step "$tmp/before" "$mnt/best"
      rm "$mnt/best"
    fi
    ln -sfn my_net.ckpt "$mnt/latest" || fail "$context: $(cat "$mnt.log")"
    mkdir "$mnt/old"
    mv "$mnt/my_net.ckpt" "$mnt/old/" || fail "$context: $(cat "$mnt.log")"
    check_step "$tmp/before" "$mnt/old/my_net.ckpt"
    [ ! -e "$mnt/my_net.ckpt" ] || fail "$context: it is in both folders"
    sync "$mnt" || fail "$context: sync: $(cat "$mnt.log")"
    unmount
    anew
    mount_ckpt "$below" -o "$options"
    check_step "$tmp/before" "$mnt/old/my_net.ckpt"
    unmount
    unmount_below
    [ -e "$ck/old/my_net.ckpt.index" ] || fail "$context: not on disk: $(find "$ck")"
    [ ! -e "$ck/my_net.ckpt.index" ] || fail "$context: still on disk: $(find "$ck")"
  done
  rm -r "$ck"
}

run_tests edits_are_committed a_verbose_mount_says_what_is_lacking a_draft_is_taken_up open_files_go_on \
  leftovers_go_with_the_next_mount steps_move_between_folders
