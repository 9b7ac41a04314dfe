#!/usr/bin/env bash
# From a fresh Debian 12 to a mounted checkpoint: examples/quickstart.sh
#
# Installs what building and the tour need (by apt, as root or through sudo), builds in build/, and shows what the
# program does with the checkpoint in examples/net. build/ stays; nothing is installed of ckptfs itself.
set -euo pipefail

cd "$(dirname "$0")/.."
mkdir -p build
log=build/quickstart.log

# logged CMD...: its output is shown only if it fails.
logged() {
  "$@" >>"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    echo "quickstart.sh: this failed: $* (all of its output is in $log)" >&2
    exit 1
  }
}

build() {
  [ -x configure ] || logged autoreconf -fi
  [ -f build/Makefile ] || (cd build && logged_in_build ../configure -q --sbindir=/sbin)
  logged make -C build -s -j"$(nproc)"
}

logged_in_build() {
  log=quickstart.log logged "$@"
}

echo "== Installing what the build needs, where it is missing"
bash tests/setup.sh build
echo "== Building in $PWD/build"
: >"$log"
build
exec bash examples/tour.sh build/mount.ckptfs
