# shellcheck shell=bash
# Sourced by the tests that work on a real mount: tests/mount/*.sh and tests/tf/*.sh.
#
# Such a test is a plain bash script: a command that fails unasked ends it. Whatever happens, at its end
# its mounts, daemons and files are gone. srcdir and builddir come from the Makefile; run by hand from a
# build directory, a test finds them itself.
#
#   $tmp        the test's own directory; other users may enter it
#   $fixtures   checkpoints that TensorFlow wrote, not to be written to
#   $mnt        where the last mount_ckpt mounted; $mnt.log is what its daemon says
#
# A test that mounts nothing says so before: without_fuse=yes. It runs where there is no /dev/fuse, too.

set -Eeuo pipefail

srcdir=$(cd "${srcdir:-$(dirname "${BASH_SOURCE[0]}")/../..}" && pwd)
builddir=$(cd "${builddir:-.}" && pwd)
# shellcheck disable=SC2034 # for the tests
fixtures=$srcdir/tests/assets/fixtures
mnt=
mounts=0           # made so far
declare -A daemons # process id by mountpoint

fail() {
  printf 'FAIL: %s\n' "$*" >&2
  exit 1
}

# For what tests/setup.sh would have provided: tests/run.sh takes it for a failure where CI is true.
skip() {
  printf 'SKIP: %s\n' "$*" >&2
  exit 77
}

# For what not every machine can have.
skip_optional() {
  skip "optional: $*"
}

need() {
  local tool
  for tool; do
    command -v "$tool" >/dev/null || skip "no $tool"
  done
}

need_python() {
  [ -n "${CKPTFS_PYTHON:-}" ] || skip "CKPTFS_PYTHON names no Python with TensorFlow"
}

# --- the test's functions ---------------------------------------------------------------------------------

asked=("$@") # arguments of the test: the functions that run_tests is to call; none: all
declare -A called=()
lists=0 # of functions that were handed to run_tests

# run_tests FUNCTION...: calls each, and says which.
run_tests() {
  local name
  lists=$((lists + 1))
  for name; do
    [ "${#asked[@]}" = 0 ] || [[ " ${asked[*]} " == *" $name "* ]] || continue
    called[$name]=yes
    echo "$name"
    "$name"
  done
}

# Not of tests whose arguments mean something else.
all_were_called() {
  local name result=0
  [ "$lists" != 0 ] || return 0
  for name in "${asked[@]}"; do
    [ -z "${called[$name]:-}" ] || continue
    echo "FAIL: $name is no function that this test calls" >&2
    result=1
  done
  return "$result"
}

# --- commands and what they answer ----------------------------------------------------------------------

status=0

# run CMD...: sets status; the output is in $tmp/out and $tmp/err.
run() {
  status=0
  "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
}

check_status() {
  local want=$1
  shift
  run "$@"
  [ "$status" = "$want" ] || fail "exit status $status, not $want: $*: $(cat "$tmp/err")"
}

# check_says WORDS CMD...: the words are in what it writes to stderr.
check_says() {
  local words=$1
  shift
  run "$@"
  grep -qF -- "$words" "$tmp/err" || fail "does not say '$words': $*: $(cat "$tmp/err")"
}

# as_user CMD...: as an unprivileged user; as oneself, if that is one.
unprivileged=()
if [ "$(id -u)" = 0 ]; then
  unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all
    env HOME=/nonexistent)
fi
as_user() {
  "${unprivileged[@]}" "$@"
}

# need_user: as_user can run the program and mount.
need_user() {
  need setpriv
  as_user test -x "$builddir/mount.ckptfs" || skip "another user can't reach $builddir"
  as_user test -w /dev/fuse || skip "another user can't open /dev/fuse"
}

# nap: as sleep 0.01, for loops that wait for something. It starts no program, of which crash tests would start thousands.
nap() {
  read -r -t 0.01 <>"$tmp/nobody_writes" || true
}

# --- mounts ---------------------------------------------------------------------------------------------

# mount_ckpt SOURCE [OPTION...]: mounts at a new place, $mnt.
# The daemon stays in the foreground, so that its messages and its exit status are seen. What belongs to the
# project is mounted read-only: several tests use it at a time.
mount_ckpt() {
  new_mountpoint
  start_daemon "$builddir/mount.ckptfs" "$1" "$mnt" --foreground "${@:2}" -o "$(access_to "$1")"
}

access_to() {
  case $1 in
    "$srcdir"/*) echo ro ;;
    *) echo exec ;; # which changes nothing
  esac
}

# mount_ckpt_as_user SOURCE [OPTION...]: the same, for as_user.
mount_ckpt_as_user() {
  new_mountpoint
  [ "$(id -u)" != 0 ] || chown 65534:65534 "$mnt"
  start_daemon "${unprivileged[@]}" "$builddir/mount.ckptfs" "$1" "$mnt" --foreground "${@:2}" \
    -o "$(access_to "$1")"
}

new_mountpoint() {
  mounts=$((mounts + 1))
  mnt=$tmp/mnt$mounts
  mkdir "$mnt"
}

start_daemon() {
  "$@" 2>"$mnt.log" &
  daemons[$mnt]=$!
  until is_mounted "$mnt"; do
    kill -0 "${daemons[$mnt]}" 2>/dev/null || is_mounted "$mnt" || fail "did not mount: $*"
    nap
  done
}

# Starts no program: start_daemon calls it again and again.
is_mounted() {
  local all
  IFS= read -r -d '' all </proc/self/mounts || true
  [[ $all == *" $1 fuse"* ]]
}

# unmount [MOUNTPOINT]: $mnt if none is named. The daemon has ended well when it returns.
unmount() {
  end_mount "${1:-$mnt}" || fail "unmounting ${1:-$mnt}, or its daemon, ended with status $?"
}

# A daemon in the foreground does not tell when it is ready; until then it looks at its own mount, which is busy meanwhile.
end_mount() {
  local pid=${daemons[$1]} end=$((SECONDS + 5)) words
  local by=(umount)
  [ "$(id -u)" = 0 ] || by=(fusermount3 -u)
  until words=$("${by[@]}" "$1" 2>&1); do
    if [[ $words != *busy* ]] || [ "$SECONDS" -ge "$end" ]; then
      printf '%s\n' "$words" >&2
      return 32
    fi
    nap
  done
  unset "daemons[$1]"
  wait "$pid"
}

# kill_daemon [MOUNTPOINT]: SIGKILL, and the mount is gone.
kill_daemon() {
  local at=${1:-$mnt} pid
  pid=${daemons[$at]}
  unset "daemons[$at]"
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  umount -l "$at" 2>/dev/null || fusermount3 -uz "$at" 2>/dev/null || true
}

# Those of daemons that went to the background. The kernel escapes what is special in a name.
unmount_rest() {
  local at
  grep -F " $tmp/" /proc/self/mounts | cut -d' ' -f2 | while read -r at; do
    at=$(printf '%b' "$at")
    umount -l "$at" 2>/dev/null || fusermount3 -uz "$at"
  done
}

# Was it built with ThreadSanitizer? That is itself a thread of each program, and needs room of its own for all memory.
with_tsan() {
  grep -q __tsan_init "$builddir/mount.ckptfs"
}

with_sanitizers() {
  grep -qE '__(a|t)san_init' "$builddir/mount.ckptfs"
}

# With ThreadSanitizer: what that has to say, also of programs that went to the background, fails the test.
# Each program writes to a file of its own.
no_thread_reports() {
  local reports
  reports=$(find "$tmp/tsan" -type f -size +0)
  [ -n "$reports" ] || return 0
  echo "FAIL: ThreadSanitizer has reports:" >&2
  find "$tmp/tsan" -type f -size +0 -exec head -n 120 {} + >&2
  return 1
}

# What the daemons of the last two mounts said at last: the failure is mostly of these.
logs_of_mounts() {
  find "$tmp" -maxdepth 1 -name 'mnt*.log' -size +0 | sort -V | tail -n 2 | xargs -r -d '\n' tail -v -n 20
}

clean_up() {
  local result=$? at
  trap - EXIT ERR
  trap '' HUP INT TERM
  set +e
  cd /
  for at in "${!daemons[@]}"; do
    if [ "$result" = 0 ]; then
      end_mount "$at" || {
        echo "FAIL: unmounting $at, or its daemon, ended with status $?" >&2
        result=1
      }
    fi
    [ -z "${daemons[$at]:-}" ] || kill_daemon "$at"
  done
  if [ "$result" != 0 ]; then
    logs_of_mounts >&2
    jobs -p | xargs -r kill 2>/dev/null # a trainer goes on for ever
  fi
  unmount_rest
  [ "$result" != 0 ] || all_were_called || result=1
  no_thread_reports || result=1
  rm -rf --one-file-system "$tmp"
  exit "$result"
}

[ -n "${without_fuse:-}" ] || { [ -c /dev/fuse ] && [ -r /dev/fuse ] && [ -w /dev/fuse ]; } || skip "no /dev/fuse that can be opened"
[ -x "$builddir/mount.ckptfs" ] || skip "no mount.ckptfs in $builddir"

tmp=$(mktemp -d "${TMPDIR:-/tmp}/ckptfs.XXXXXX")
tmp=$(cd "$tmp" && pwd -P)
trap clean_up EXIT
trap 'echo "FAIL: $0, line $LINENO: $BASH_COMMAND" >&2' ERR
trap 'exit 1' HUP INT TERM
chmod 711 "$tmp"
mkfifo "$tmp/nobody_writes"
mkdir -m 1777 "$tmp/tsan"
TSAN_OPTIONS="log_path=$tmp/tsan/report:exitcode=66:die_after_fork=0:suppressions=$srcdir/tests/lib/tsan.supp${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
export TSAN_OPTIONS
