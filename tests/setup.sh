#!/usr/bin/env bash
# Installs on Debian 12 what ckptfs needs; silent where nothing is missing.
#
#   tests/setup.sh build     what building and examples/quickstart.sh need (the default)
#   tests/setup.sh test      and what tests/run.sh needs, with a virtual environment for TensorFlow
#   tests/setup.sh bench     and what tests/bench/run.sh compares with
#   tests/setup.sh python    prints that environment's interpreter
#   tests/setup.sh passthrough  prints where libfuse's example passthrough_ll is, which `bench` builds
#
# Packages come by apt, as root or through sudo. With CKPTFS_PYTHON set, that interpreter is taken to
# have TensorFlow, and no environment is made.
set -euo pipefail

build_packages="gcc libc6-dev make autoconf automake pkg-config xz-utils libfuse3-dev fuse3
  libprotobuf-c-dev protobuf-c-compiler libsnappy-dev libisal-dev libjson-c-dev libarchive-dev check attr"
test_packages="clang clang-format libclang-rt-dev valgrind libc6-dbg shellcheck mandoc
  rsync perl strace vim-tiny nano zsh fish procps util-linux python3-venv bindfs sshfs openssh-sftp-server rclone"
bench_packages="python3-venv procps util-linux bindfs squashfuse squashfs-tools fio libfuse3-dev"
requirements="tensorflow-cpu==2.21.* numpy ml_dtypes safetensors"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/ckptfs-tests
venv=$cache/venv
passthrough=$cache/passthrough_ll

die() {
  printf 'setup.sh: %s\n' "$*" >&2
  exit 1
}

# quietly CMD...: its output is shown only if it fails.
quietly() {
  local output
  output=$("$@" 2>&1) || {
    printf '%s\n' "$output" >&2
    die "failed: $*"
  }
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

missing_packages() {
  local package
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      printf '%s ' "$package"
  done
}

install_packages() {
  local missing
  command -v dpkg-query >/dev/null ||
    die "this is not Debian; install yourself what these packages hold: $*"
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "missing, and installing them takes root or sudo: $missing"
  echo "setup.sh: installing $missing"
  quietly as_root apt-get -qq update
  # shellcheck disable=SC2086 # a list of words
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 install $missing
}

# The stamp is written last, so that an environment whose making was cut short is made again.
environment_works() {
  [ "$(cat "$venv/stamp" 2>/dev/null)" = "$requirements" ] && "$venv/bin/python" -c 'import numpy' 2>/dev/null
}

make_environment() {
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  environment_works && return
  echo "setup.sh: making an environment with TensorFlow in $venv"
  quietly /usr/bin/python3 -m venv --clear "$venv"
  # shellcheck disable=SC2086 # a list of words
  quietly "$venv/bin/python" -m pip install --quiet $requirements
  quietly "$venv/bin/python" -c 'import tensorflow, ml_dtypes'
  printf '%s\n' "$requirements" >"$venv/stamp"
}

# It draws the bench's curves and the pictures of examples/. Whoever names a CKPTFS_PYTHON has it there, or goes without.
add_matplotlib() {
  "$venv/bin/python" -c 'import matplotlib' 2>/dev/null ||
    quietly "$venv/bin/python" -m pip install --quiet matplotlib
}

make_python() {
  [ -z "${CKPTFS_PYTHON:-}" ] || return 0
  environment_works || make_environment
  add_matplotlib
}

# libfuse's own example of a filesystem that hands everything on. Its source is in Debian's package; images of containers
# leave out /usr/share/doc, so the package is looked into. Where it does not build, the bench goes without.
make_passthrough() {
  local work
  [ ! -x "$passthrough" ] || return 0
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/passthrough.XXXXXX")
  # shellcheck disable=SC2046 # a list of words
  if (cd "$work" && apt-get -qq download libfuse3-dev && dpkg-deb -x libfuse3-dev_*.deb . &&
    gcc -O2 -o passthrough_ll usr/share/doc/libfuse3-dev/examples/passthrough_ll.c \
      $(pkg-config --cflags --libs fuse3)) >"$work/log" 2>&1; then
    mv "$work/passthrough_ll" "$passthrough"
  else
    echo "setup.sh: passthrough_ll does not build: $(tail -n 1 "$work/log")" >&2
  fi
  rm -rf "$work"
}

# shellcheck disable=SC2086 # lists of words
case ${1:-build} in
  build)
    install_packages $build_packages
    ;;
  test)
    install_packages $build_packages $test_packages
    make_python
    ;;
  bench)
    install_packages $build_packages $bench_packages
    make_passthrough
    make_python
    ;;
  passthrough)
    printf '%s\n' "$passthrough"
    ;;
  python)
    printf '%s\n' "${CKPTFS_PYTHON:-$venv/bin/python}"
    ;;
  *)
    die "usage: tests/setup.sh [build|test|bench|python|passthrough]"
    ;;
esac
