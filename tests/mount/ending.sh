#!/usr/bin/env bash
# The daemon ends, whatever goes on at that moment.
. "$(dirname "$0")/../lib/mount.sh"

source=
reader=
hold=$tmp/hold # for tests/lib/hold_hook.c

copy_linear() {
  source=$(mktemp -d "$tmp/source.XXXXXX")
  cp -r "$fixtures/linear/." "$source"
  chmod -R u+w "$source"
}

mount_held() {
  new_mountpoint
  rm -f "$hold" "$hold".*
  start_daemon env LD_PRELOAD="$builddir/hold_hook.so" HOLD="$hold" \
    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0:detect_leaks=0" \
    "$builddir/mount.ckptfs" "$source" "$mnt" --foreground -o ro
}

# until_true CMD...: that is the case within twenty seconds.
until_true() {
  local end=$((SECONDS + 20))
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.02
  done
}

# A zombie has ended.
has_ended() {
  [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

state_is() {
  grep -q "^State:.$2" "/proc/$1/status"
}

# ends WHAT: the daemon of $mnt does. One that hangs in the kernel can't even be killed, until nothing waits for it.
ends() {
  local pid=${daemons[$mnt]}
  unset "daemons[$mnt]"
  until_true has_ended "$pid" || {
    rm -f "$tmp/go"
    kill -KILL "$pid" ${reader:+"$reader"}
    umount -i -c -f "$mnt" 2>/dev/null || true # without asking the mount for anything
    fail "the daemon is still there 20 s after $1"
  }
  wait "$pid" || status=$?
}

hangs_in_the_kernel() {
  grep -qs '^State:.D' "/proc/${daemons[$mnt]}"/task/*/status
}

# --- events ---------------------------------------------------------------------------------------------

# Two folders by turns, each with so many steps that events come faster than they are compared.
make_events() {
  while [ -e "$tmp/go" ]; do
    : >"$1/a/event"
    : >"$1/b/event"
  done
}

unmounting_while_events_go_on_ends_the_daemon() {
  local i from maker
  source=$tmp/events
  for i in a/{1..200} b/{1..200}; do
    mkdir -p "$source/${i%/*}"
    for from in "$fixtures/linear"/my-model-0.{index,data-00000-of-00001}; do
      ln -s "$from" "$source/${i%/*}/step-${i#*/}${from##*/my-model-0}"
    done
  done
  mount_ckpt "$source"
  find "$mnt" >/dev/null
  touch "$tmp/go"
  make_events "$source" &
  maker=$!
  until_true umount_here
  ends "unmounting"
  rm "$tmp/go"
  wait "$maker"
}

umount_here() {
  if [ "$(id -u)" = 0 ]; then
    umount "$mnt" 2>/dev/null
  else
    fusermount3 -u "$mnt" 2>/dev/null
  fi
}

# --- signals --------------------------------------------------------------------------------------------

# All of its threads are there to take what has come to a process that was stopped.
a_signal_to_a_daemon_that_was_stopped_ends_it() {
  local i pid
  copy_linear
  for ((i = 0; i < 20; i++)); do
    mount_ckpt "$source"
    pid=${daemons[$mnt]}
      ls "$mnt" >/dev/null
    kill -STOP "$pid"
    until_true state_is "$pid" T
    kill -TERM "$pid"
    kill -CONT "$pid"
    ends "SIGTERM"
  done
}

has_held() {
  [ "$(stat -c %s "$hold.held" 2>/dev/null || echo 0)" -ge "$1" ]
}

# notifier_hangs READER: the notifier tells again of a step that is gone, as something has changed, until it can't, since the request
# has come first; or until that was answered, as this libfuse has more threads.
notifier_hangs() {
  : >"$source/event"
  sleep 0.1
  hangs_in_the_kernel || has_ended "$1"
}

# open_folder NAME..., then read_folder: what is between them comes before the first request to read it. The reader has each NAME in
# it open: the notifier tells nothing of what the kernel has forgotten, and any other program may make it drop its caches.
open_folder() {
  # shellcheck disable=SC2016 # it is Perl
  coproc perl -e '
    $| = 1; chdir(shift) or die; opendir(D, ".") or die;
    for (@ARGV) { sysopen(my $f, $_, 0) or die; push @f, $f }
    print "open\n"; <STDIN>; readdir(D)' "$mnt" "$@"
  reader=$!
  read -r <&"${COPROC[0]}"
}

read_folder() {
  echo >&"${COPROC[1]}"
}

# All threads that answer are busy. The kernel has the folder locked for a request that waits in the queue, and the notifier
# waits for that lock.
a_signal_while_a_request_waits_in_the_queue_ends_it() {
  local i pid askers=()
  copy_linear
  mount_held
  pid=${daemons[$mnt]}
  cat "$mnt/my-model-0/w.npy" >/dev/null
  open_folder my-model-2000 my-model-0/w.npy
  echo "pread 10" >"$hold"
  for ((i = 0; i < 12; i++)); do
    getfattr -n user.ckptfs.stats "$mnt/my-model-0/w.npy" >/dev/null 2>&1 &
    askers+=($!)
  done
  until_true has_held 10 || fail "no ten requests are under way"
  read_folder
  rm "$source"/my-model-2000.*
  until_true notifier_hangs "$reader" || fail "the notifier does not wait"
  kill -TERM "$pid"
  rm "$hold"
  ends "SIGTERM"
  wait "${askers[@]}" "$reader" || true
}

# With AddressSanitizer a leak is an error.
what_is_open_is_closed() {
  local pid
  copy_linear
  mount_ckpt "$source"
  pid=${daemons[$mnt]}
  exec 8<"$mnt" 9<"$mnt/my-model-0/w.npy"
  kill -TERM "$pid"
  ends "SIGTERM"
  exec 8<&- 9<&-
  [ "$status" = 0 ] || fail "the daemon ends with $status"
}

# --- death ----------------------------------------------------------------------------------------------

notifier_waits() {
  [ -e "$hold.waits" ] || hangs_in_the_kernel
}

# While a folder is read the kernel has it locked.
killing_it_while_a_folder_is_read_ends_it() {
  copy_linear
  mount_held
  open_folder my-model-2000
  echo "fstatat 1" >"$hold"
  read_folder
  until_true has_held 1 || fail "the folder is not read"
  rm "$source"/my-model-2000.*
  until_true notifier_waits || fail "the notifier does not wait"
  kill -KILL "${daemons[$mnt]}"
  ends "SIGKILL"
  umount -l "$mnt" 2>/dev/null || fusermount3 -uz "$mnt"
  wait "$reader" || true
}

# --- all of it ------------------------------------------------------------------------------------------

need getfattr perl
[ -e "$builddir/hold_hook.so" ] || skip "no hold_hook.so in $builddir"
run_tests unmounting_while_events_go_on_ends_the_daemon a_signal_to_a_daemon_that_was_stopped_ends_it \
  a_signal_while_a_request_waits_in_the_queue_ends_it what_is_open_is_closed killing_it_while_a_folder_is_read_ends_it
