#!/usr/bin/env bash
# Builds and tests everything, from a fresh Debian 12 on: tests/run.sh
#
# tests/run.sh NAME[:PART]... runs the named tests alone, in the build directory $CKPTFS_BUILD (build/ unless it is set), which
# is made if it is not there. NAME is a script without tests/ and .sh, or a test program; PART one function of the script, or
# one test case of the program:
#
#     tests/run.sh mount/write check_step
#     tests/run.sh mount/write:mv_of_a_scope check_step:name
#
# The last line is `N passed, N failed`, or with `, N skipped`: of all test programs, and of the steps
# that are none (a build without warnings, distcheck, ...). With CI=true nothing that tests/setup.sh
# provides may be missing: such a skip is a failure.
set -uo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
cd "$source_dir" || exit 1
jobs=$(($(nproc) * 3 / 2)) # tests wait half of the time
passed=0 failed=0 skipped=0

work=$(mktemp -d "${TMPDIR:-/tmp}/ckptfs-run.XXXXXX") || exit 1
chmod 711 "$work" # tests run programs in it as another user
mkdir -m 1777 "$work/tmp"
export TMPDIR=$work/tmp
export PYTHONDONTWRITEBYTECODE=1

clean_up() {
  local at
  grep -oE "^[^ ]+ $work/[^ ]* fuse" /proc/self/mounts | cut -d' ' -f2 | while read -r at; do
    umount -l "$at" 2>/dev/null || fusermount3 -uz "$at"
  done
  chmod -R u+w "$work" # distcheck's source tree is read-only
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# --- steps ----------------------------------------------------------------------------------------------

# step NAME CMD...: runs it, and says how it went. Its log is shown if it fails.
step() {
  local name=$1 log=$work/log result=0 start=$SECONDS
  shift
  ("$@") >"$log" 2>&1 </dev/null || result=$?
  if [ "$result" = 0 ]; then
    printf 'ok    %s (%d s)\n' "$name" $((SECONDS - start))
  else
    printf 'FAIL  %s (%d s)\n' "$name" $((SECONDS - start))
    tail -n 60 "$log"
  fi
  return "$result"
}

# counted_step NAME CMD...: a step that counts as one test.
counted_step() {
  if step "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
}

# test_step NAME BUILD_DIR CMD...: a step that runs `make check` there; its test programs are counted.
test_step() {
  local name=$1 build=$2 failed_before=$failed result=0
  shift 2
  step "$name" "$@" || result=$?
  count_tests "$build"
  # It did not get as far as its tests, or left some out.
  [ "$result" = 0 ] || [ "$failed" != "$failed_before" ] || failed=$((failed + 1))
}

count_tests() {
  local test result
  while read -r test; do
    result=$(sed -n 's/^:global-test-result: //p' "$1/$test.trs")
    case $result in
      PASS) passed=$((passed + 1)) ;;
      SKIP) count_skip "$1" "$test" ;;
      *)
        failed=$((failed + 1))
        printf '      %s: %s\n' "$result" "$test"
        grep -nE -A 30 -m 3 '^FAIL|Traceback|Sanitizer|^==[0-9]+==' "$1/$test.log" | head -n 120
        tail -n 60 "$1/$test.log"
        ;;
    esac
  done < <(find "$1" -name '*.trs' -printf '%P\n' | sed 's/\.trs$//' | sort)
}

count_skip() {
  local why
  why=$(grep -m 1 '^SKIP: ' "$1/$2.log")
  if [ "${CI:-}" = true ] && [[ $why != "SKIP: optional: "* ]]; then
    failed=$((failed + 1))
    printf '      skipped, which is a failure here: %s (%s)\n' "$2" "${why#SKIP: }"
  else
    skipped=$((skipped + 1))
    printf '      skipped: %s (%s)\n' "$2" "${why#SKIP: }"
  fi
}

# --- builds ---------------------------------------------------------------------------------------------

make_in() {
  timeout --foreground -k 30 2400 make -C "$1" -j"$jobs" --no-print-directory "${@:2}"
}

configure_in() {
  mkdir "$1" && cd "$1" && "$source_dir/configure" -q "${@:2}"
}

# The source tree that the tarball has, which nothing may write to.
unpack() {
  configure_in "$work/dist" CC=gcc && make_in "$work/dist" dist && mkdir "$work/source" &&
    tar -xf "$work"/dist/ckptfs-*.tar.xz -C "$work/source" --strip-components=1 && chmod -R a-w "$work/source"
}

# -Werror is for make alone: configure's own probes may warn. Here the tests run that distcheck would run.
check_gcc() {
  unpack && source_dir=$work/source && configure_in "$work/gcc" CC=gcc &&
    make_in "$work/gcc" CFLAGS="-O2 -g -Werror" check
}

check_sanitizers() {
  configure_in "$work/sanitizers" CC=gcc --enable-sanitizers &&
    make_in "$work/sanitizers" CFLAGS="-O1 -g -Werror" check
}

# ThreadSanitizer wants its addresses where they are without randomisation, which some kernels overdo.
check_threads() {
  local fixed=()
  ! setarch -R true 2>/dev/null || fixed=(setarch -R)
  configure_in "$work/tsan" CC=gcc --enable-tsan &&
    make_in "$work/tsan" CFLAGS="-O1 -g -Werror" &&
    "${fixed[@]}" timeout --foreground -k 30 2400 make -C "$work/tsan" -j"$jobs" --no-print-directory \
      CFLAGS="-O1 -g -Werror" check-threads
}

# The test programs are built, but not run.
build_clang() {
  configure_in "$work/clang" CC=clang && make_in "$work/clang" CFLAGS="-O2 -g -Werror" check TESTS=
}

# The test programs are built, but not run: check_gcc has run them in the same tree.
distcheck() {
  make_in "$work/dist" distcheck TESTS=
}

formatted() {
  find src tests -name '*.[ch]' -not -path 'tests/assets/*' -print0 |
    xargs -0 clang-format --dry-run -Werror
}

scripts_checked() {
  find . -mindepth 2 -type f -not -path './.git/*' -not -path './build*' -not -path './autom4te.cache/*' |
    while IFS= read -r file; do
      if head -n 1 "$file" | grep -qaE '^#(!.*\<(ba)?sh| shellcheck shell=.*)$'; then
        printf '%s\0' "$file"
      fi
    done | xargs -0 -P "$jobs" -n 10 shellcheck
}

manuals_checked() {
  mandoc -T lint man/*.[158]
}

run_everything() {
  if step "autoreconf" autoreconf -fi; then
    test_step "make check with gcc, of the tarball" "$work/gcc" check_gcc
    test_step "make check with sanitizers" "$work/sanitizers" check_sanitizers
    test_step "make check-threads with ThreadSanitizer" "$work/tsan" check_threads
    counted_step "build with clang" build_clang
    counted_step "make distcheck, without tests" distcheck
  else
    failed=$((failed + 1))
  fi
  counted_step "clang-format" formatted
  counted_step "shellcheck" scripts_checked
  counted_step "mandoc" manuals_checked
}

# --- named tests ----------------------------------------------------------------------------------------

build_once() {
  [ -e configure ] || autoreconf -fi || return
  mkdir -p "$build" && cd "$build" || return
  [ -e Makefile ] || "$source_dir/configure" -q || return
  make_in . check TESTS=
}

run_named() {
  local test
  build=$(realpath -m "${CKPTFS_BUILD:-build}")
  if ! step "build in $build" build_once; then
    failed=1
    return
  fi
  for test; do
    one_test "$test"
  done
}

# one_test NAME[:PART]: runs it, and counts it.
one_test() {
  local result=0 start=$SECONDS
  (run_test "$1") </dev/null || result=$?
  if [ "$result" = 0 ]; then
    passed=$((passed + 1))
    printf 'ok    %s (%d s)\n' "$1" $((SECONDS - start))
  elif [ "$result" = 77 ]; then
    skipped=$((skipped + 1))
    printf 'skipped: %s\n' "$1"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s (%d s)\n' "$1" $((SECONDS - start))
  fi
}

run_test() {
  local name=${1%%:*} part=
  [[ $1 != *:* ]] || part=${1#*:}
  name=${name#tests/}
  name=${name%.sh}
  export srcdir=$source_dir builddir=$build
  cd "$build" || return
  if [ -e "$srcdir/tests/$name.sh" ]; then
    timeout -k 30 600 bash "$srcdir/tests/$name.sh" ${part:+"$part"}
  elif [[ $name = check_* || $name = replay_* ]] && [ -x "$name" ]; then
    [ -z "$part" ] || export CK_RUN_CASE=$part
    "./$name" ${part:+"$part"}
  else
    echo "there is neither tests/$name.sh nor a test program $name"
    return 1
  fi
}

# --- the run --------------------------------------------------------------------------------------------

# What a mount needs is looked at before anything is downloaded or built. Tests without a mount run all the same.
look_at_machine() {
  [ -c /dev/fuse ] ||
    echo "run.sh: no /dev/fuse, so nothing can be mounted; a container needs --device /dev/fuse --cap-add SYS_ADMIN"
  [ -e /etc/mtab ] ||
    echo "run.sh: no /etc/mtab, which fusermount3 reads to unmount: ln -s /proc/self/mounts /etc/mtab"
}

look_at_machine
[ "$#" != 0 ] || echo "run.sh: takes about 35 minutes on two cores; packages and TensorFlow take about 1.6 GB"
tests/setup.sh test || {
  echo "0 passed, 1 failed"
  exit 1
}
CKPTFS_PYTHON=$(tests/setup.sh python)
export CKPTFS_PYTHON

if [ -c /dev/fuse ] && [ "$(id -u)" = 0 ] && [ "$(stat -c %a /dev/fuse)" != 666 ]; then
  echo "chmod 666 /dev/fuse, so that tests can mount as an unprivileged user"
  chmod 666 /dev/fuse
fi

if [ "$#" = 0 ]; then
  run_everything
else
  run_named "$@"
fi

if [ "$skipped" = 0 ]; then
  echo "$passed passed, $failed failed"
else
  echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ]
