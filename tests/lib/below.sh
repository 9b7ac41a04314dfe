# shellcheck shell=bash
# Sourced behind mount.sh by the tests that have a checkpoint directory on another FUSE filesystem.
#
#   $below      where mount_below mounted it
#   $kinds      the filesystems that there are to try
#   $kind, $ck  what `on` was called with, and the checkpoint directory itself; it needs hook.sh

# shellcheck disable=SC2154 # $tmp is of mount.sh

# shellcheck disable=SC2034 # for the tests
kinds="bindfs bindfs-hard-remove sshfs rclone"
below=
below_pids=() # what mount_below has started, without bindfs

need bindfs sshfs rclone fusermount3
sftp_server=/usr/lib/openssh/sftp-server
[ -x "$sftp_server" ] || skip "no $sftp_server"

# mount_below KIND DIR: DIR, by the filesystem KIND, at $below.
mount_below() {
  below=$2.by-$1
  mkdir -p "$below"
  below_pids=()
  case $1 in
    bindfs)
      bindfs "$2" "$below"
      ;;
    bindfs-hard-remove)
      bindfs -o hard_remove "$2" "$below"
      ;;
    sshfs)
      rm -f "$tmp/to-server" "$tmp/to-client"
      mkfifo "$tmp/to-server" "$tmp/to-client"
      "$sftp_server" <"$tmp/to-server" >"$tmp/to-client" 2>/dev/null &
      below_pids+=($!)
      sshfs -f -o passive ":$2" "$below" >"$tmp/to-server" <"$tmp/to-client" &
      below_pids+=($!)
      ;;
    rclone)
      start_rclone "$2" 1h
      ;;
  esac
  until is_mounted "$below"; do sleep 0.01; done
}

# What rclone has in its cache it writes to DIR when a file was not used for as long as WAIT. That is never while the test is at it, for
# a file that is removed while rclone writes it is there again afterwards.
start_rclone() {
  local dir=$1 wait=$2
  rclone mount --config /dev/null --vfs-cache-mode writes --vfs-write-back "$wait" \
    --cache-dir "$tmp/rclone" "$dir" "$below" 2>>"$tmp/rclone.log" &
  below_pids+=($!)
}

is_dirty() {
  grep -rqs '"Dirty": *true' "$tmp/rclone/vfsMeta"
}

# All that was written is in the directory afterwards: another rclone goes on with the cache, and does not wait.
unmount_below() {
  end_below
  if is_dirty; then
    start_rclone "${below%.by-rclone}" 10ms
    while is_dirty; do sleep 0.01; done
    end_below
  fi
  rm -rf "$tmp/rclone"
}

# The same, but what rclone has not written yet is lost.
drop_below() {
  end_below
  rm -rf "$tmp/rclone"
}

end_below() {
  local pid
  until fusermount3 -u "$below" 2>/dev/null; do sleep 0.01; done
  for pid in "${below_pids[@]}"; do wait "$pid" || true; done
  below_pids=()
}

# on KIND: a new checkpoint directory, $ck, which is $below by the filesystem KIND.
on() {
  context=$1
  kind=$1
  ck=$tmp/below/${2:-$1}
  mkdir -p "$tmp/below"
  fresh "$ck"
  mount_below "$1" "$ck"
}

# The other filesystem is mounted anew: what it only remembers is gone.
anew() {
  unmount_below
  mount_below "$kind" "$ck"
}
