#!/usr/bin/env bash
# Installs on Debian 12 what ckptfs needs; silent where nothing is missing.
#
#   tests/setup.sh build     what building and examples/quickstart.sh need (the default)
#   tests/setup.sh test      and what tests/run.sh needs, with a virtual environment for TensorFlow
#   tests/setup.sh python    prints that environment's interpreter
#
# Packages come by apt, as root or through sudo. With CKPTFS_PYTHON set, that interpreter is taken to
# have TensorFlow, and no environment is made.
set -euo pipefail

build_packages="gcc libc6-dev make autoconf automake pkg-config xz-utils libfuse3-dev fuse3
  libprotobuf-c-dev protobuf-c-compiler libsnappy-dev libisal-dev check attr"
test_packages="clang clang-format libclang-rt-dev valgrind libc6-dbg shellcheck mandoc
  rsync perl vim-tiny nano procps util-linux python3-venv bindfs sshfs openssh-sftp-server rclone"
requirements="tensorflow-cpu==2.21.* numpy ml_dtypes"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/ckptfs-tests
venv=$cache/venv

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

# shellcheck disable=SC2086 # lists of words
case ${1:-build} in
  build)
    install_packages $build_packages
    ;;
  test)
    install_packages $build_packages $test_packages
    [ -n "${CKPTFS_PYTHON:-}" ] || environment_works || make_environment
    ;;
  python)
    printf '%s\n' "${CKPTFS_PYTHON:-$venv/bin/python}"
    ;;
  *)
    die "usage: tests/setup.sh [build|test|python]"
    ;;
esac
