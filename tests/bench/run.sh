#!/usr/bin/env bash
# Measures ckptfs beside what else could do the work: tests/bench/run.sh [NAME...] [--quick]
#
# As root, on Debian 12: tests/setup.sh installs the peers, and the caches are dropped before what is measured cold. NAME is a row of
# the table or a curve; all without one (--help lists them). --quick takes less data and fewer turns. docs/PERFORMANCE.md says what
# the rows are.
#
#   CKPTFS_BUILD       build directory; it is brought up to date first (default: build)
#   CKPTFS_BENCH_OUT   folder for table.md, results.json and the pictures (default: bench in the build directory)
#   CKPTFS_BENCH_DATA  folder for the data, which is kept there; else it is in $TMPDIR (/var/tmp), and is removed
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
source_dir=$(cd "$here/../.." && pwd)
build=$(realpath -m "${CKPTFS_BUILD:-$source_dir/build}")

die() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || die "only root can drop the caches"
[ -c /dev/fuse ] || die "no /dev/fuse, so nothing can be mounted"

bring_up_to_date() {
  [ -e "$build/Makefile" ] || {
    [ -e "$source_dir/configure" ] || (cd "$source_dir" && autoreconf -fi) || return
    mkdir -p "$build" && (cd "$build" && "$source_dir/configure" -q) || return
  }
  make -C "$build" -s -j"$(nproc)" check TESTS=
}

"$source_dir/tests/setup.sh" bench
log=$(mktemp)
bring_up_to_date >"$log" 2>&1 || {
  tail -n 40 "$log" >&2
  rm -f "$log"
  die "no build in $build"
}
rm -f "$log"
CKPTFS_PASSTHROUGH=$("$source_dir/tests/setup.sh" passthrough)
export CKPTFS_PASSTHROUGH CKPTFS_BUILD=$build PYTHONDONTWRITEBYTECODE=1
exec "$("$source_dir/tests/setup.sh" python)" "$here/main.py" "$@"
