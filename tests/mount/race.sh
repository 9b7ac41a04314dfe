#!/usr/bin/env bash
# race.sh [SECONDS]: what is written while commits go on is in one of the steps: see race.py. SECONDS are for each of four ways to commit.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need_python

# race COMMIT FOLDER...
race() {
  copy_of linear
  mount_ckpt "$source" -o "commit=$1"
  "$CKPTFS_PYTHON" "$srcdir/tests/mount/race.py" "$mnt" "$seconds" "${@:2}"
  nothing_is_lost
  unmount
}

seconds=${1:-5}
race sync my-model-0
race sync . my-model-0 my-model-0/w .
race 1 # the timer alone
race 1 my-model-0 .
