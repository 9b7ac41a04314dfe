#!/usr/bin/env bash
# Training goes on while its checkpoints are mounted and read: nothing wrong is ever read, an open file keeps its bytes,
# and what is shown is soon what is there. What is done and expected stands in live.py.
. "$(dirname "$0")/../lib/mount.sh"
need find cp unshare
need_python

# live rotate|overwrite COUNT [raw]: with `raw` TensorFlow saves through the mount, too.
live() {
  local folder=$tmp/$1${3:-}
  mkdir "$folder"
  mount_ckpt "$folder" -o "${3:-rw}"
  [ $# = 2 ] || folder=$mnt
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/live.py" "$folder" "$mnt" "$1" "$2"
  ! grep -E 'crc32c|damaged' "$mnt.log" || [ "$1" = overwrite ] || fail "damage where there is none"
  unmount
}

# Below, in a user namespace that has no inotify watches, only the folder's times tell of changes.
if [ -n "${CKPTFS_DEAF:-}" ]; then
  echo 0 >/proc/sys/user/max_inotify_watches
  "$CKPTFS_PYTHON" - "$tmp" <<'END' || fail "inotify still works"
import ctypes, os, sys
libc = ctypes.CDLL(None)
sys.exit(libc.inotify_add_watch(libc.inotify_init(), os.fsencode(sys.argv[1]), 0x100) >= 0)
END
  live rotate 60
  live overwrite 40
  exit 0
fi

live rotate 200
live overwrite 100
live rotate 200 raw
live overwrite 100 raw
if unshare --user --map-root-user --mount test -w /proc/sys/user/max_inotify_watches 2>"$tmp/err"; then
  CKPTFS_DEAF=1 unshare --user --map-root-user --mount bash "${BASH_SOURCE[0]}"
else
  echo "without a user namespace inotify can't be taken away: $(cat "$tmp/err")"
fi
