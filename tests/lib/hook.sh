# shellcheck shell=bash
# Sourced behind mount.sh by the tests that stop the daemon at one of its calls (tests/lib/io_hook.c), or let one fail.
#
#   $hook     what the file of that name says happens to the daemons that mount_hooked starts
#   $options  for mounts of the small checkpoint: with these the old step's shard, a large new one and one of small
#             variables make up the new step's $shards; 0: it is a V1 file
#   $context  what is being tried, for messages

# shellcheck disable=SC2154 # $tmp and others are of mount.sh

hook=$tmp/hook
# shellcheck disable=SC2034 # for the tests
options=commit=sync,compact=1
shards=3
context=preparing
[ -e "$builddir/io_hook.so" ] || skip "no io_hook.so in $builddir"

# mount_hooked SOURCE [OPTION...]: as mount_ckpt.
mount_hooked() {
  new_mountpoint
  rm -f "$hook" "$hook.hit"
  start_hooked "$@"
}

start_hooked() {
  start_daemon env LD_PRELOAD="$builddir/io_hook.so" IO_HOOK="$hook" \
    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
    "$builddir/mount.ckptfs" "$1" "$mnt" --foreground "${@:2}"
}

# arm N kill|wait|ERRNO|stop [on|ERRNO]
arm() {
  printf '%s\n' "$*" >"$hook.new"
  mv "$hook.new" "$hook"
}

disarm() {
  rm -f "$hook"
}

# hold_next_call: the daemon's next call waits; held waits until there is one, release lets it go on.
hold_next_call() {
  rm -f "$hook.go" "$hook.hit"
  arm 1 wait
}

held() {
  until was_hit; do
    kill -0 "${daemons[$mnt]}" 2>/dev/null || fail "$context: the daemon died"
    nap
  done
}

release() {
  disarm
  touch "$hook.go"
}

was_hit() {
  [ -e "$hook.hit" ]
}

# an_hour_passes: for the daemons of mount_hooked, so that a timer is due at once. What is closed is not yet released: call it in the
# loop that waits for what the timer does. The number is written over the last one, which is never longer.
hours=0
an_hour_passes() {
  hours=$((hours + 1))
  echo "$((hours * 3600))" 1<>"$hook.later"
  nap
}

# quiet_hours: hours pass, and in each the timer has looked at the drafts, and has done what it wanted to. There is a draft.
quiet_hours() {
  local i
  for _ in 1 2 3 4; do
    an_hour_passes
    for ((i = 0; i < 3000; i++)); do
      ! grep -qsx $((hours * 3600)) "$hook.waits" || continue 2
      nap
    done
    fail "$context: the timer does not look at the drafts"
  done
}

# --- at which calls it is killed ----------------------------------------------------------------------------

# every_nth N: at each N-th, and with sanitizers, which are slow, at each 5 N-th; not in each script from the same call on.
every_nth() {
  stride=$1
  ! with_sanitizers || stride=$((5 * stride))
  start=$(($(printf '%s' "${0##*/}" | cksum | cut -d' ' -f1) % stride)) # the call before the first
}
every_nth 1

# kills_in_recovery DIR AT MAKE TAKE_UP STEP [OPTION...]: for each call of the recovery after a commit that is killed at call AT, MAKE DIR
# mounts an edit that is not committed, the commit of STEP and then the recovery are killed, and TAKE_UP DIR checks what the
# next mount makes of it. OPTION is for mounts. Where DIR has %d, that is the number of the call.
kills_in_recovery() {
  local at=$2 make=$3 take_up=$4 step=$5 m=$start dir hit
  local pattern=$1
  shift 5
  while :; do
    m=$((m + stride))
    dir=${pattern//%d/$m}
    "$make" "$dir"
    arm "$at" kill
    run_armed sync "$mnt/$step"
    was_hit || fail "the commit has less than $at calls now"
    kill_daemon
    context="killed at call $at of the commit, and at $m of the recovery"
    new_mountpoint
    rm -f "$hook.hit"
    arm "$m" kill
    # It is mounted before it recovers; whoever is first.
    start_hooked "$dir" "$@"
    stat "$mnt/$step" >"$tmp/out" 2>&1 || was_hit || fail "$context: $(cat "$tmp/out")"
    hit=$(cat "$hook.hit" 2>/dev/null || true)
    disarm
    kill_daemon
    context="$context, $hit"
    "$take_up" "$dir"
    [ -n "$hit" ] || break
  done
  echo "killed at calls of the recovery from $at, up to $((m - 1))"
}

# run_armed CMD...: as run, when the daemon may be killed meanwhile. If that happens in the middle of a notification, the kernel
# keeps it until CMD, a rename in that folder, has its answer. Nobody gives that then; umount -f ends it.
run_armed() {
  run until_killed "$@"
}

until_killed() {
  local cmd
  "$@" &
  cmd=$!
  while kill -0 "$cmd" 2>/dev/null; do
    ! was_hit || umount -i -c -f "$mnt" 2>/dev/null || true
    nap
  done
  wait "$cmd"
}

# --- a small checkpoint, and an edit of it ----------------------------------------------------------------

# make_npy COUNT FILL: a .npy file of COUNT float32 values, each of four bytes FILL (octal), on stdout.
make_npy() {
  local header="{'descr': '<f4', 'fortran_order': False, 'shape': ($1,), }"
  printf '\223NUMPY\001\000\166\000%-117s\n' "$header"
  head -c "$(($1 * 4))" /dev/zero | tr '\000' "\\$2"
}

# fresh DIR: a checkpoint directory with one step, my_net.ckpt: hidden/{weights,biases}, output/{weights,biases}.
fresh() {
  rm -rf "$1"
  cp -r "$fixtures/net" "$1"
  chmod -R u+w "$1"
}

# What the edit puts in; and, in $tmp/want, what the new step is to hold. A large variable becomes a shard of its own.
prepare_edit() {
  local ck=$tmp/prepare
  fresh "$ck"
  mount_ckpt "$ck" -o ro
  cp -r "$mnt/my_net.ckpt" "$tmp/want"
  unmount
  rm -rf "$ck"
  chmod -R u+w "$tmp/want"
  rm "$tmp/want"/*.tsv "$tmp/want"/*.pbtxt
  cp "$tmp/want/hidden/weights.npy" "$tmp/weights.npy"
  printf '\001\002\003\004' | dd of="$tmp/weights.npy" bs=1 seek=128 conv=notrunc status=none
  make_npy 80000 101 >"$tmp/large.npy"
  cp -r "$tmp/want" "$tmp/before"
  edit "$tmp/want"
}

# edit STEP: one variable changed, one new, one renamed, a scope renamed, one removed.
edit() {
  cp "$tmp/weights.npy" "$1/hidden/weights.npy"
  cp "$tmp/large.npy" "$1/hidden/large.npy"
  mv "$1/hidden/biases.npy" "$1/hidden/bias.npy"
  mv "$1/output" "$1/out"
  rm "$1/out/biases.npy"
}

# digest STEP: the names and bytes of its variables.
digest() {
  (cd "$1" && find . \( -type f -name '*.npy' -exec sha256sum {} + \) -o \( -type d -print \) | LC_ALL=C sort)
}

# check_step WANT STEP: it has the variables of the folder WANT, and no others.
check_step() {
  digest "$1" >"$tmp/want.txt"
  digest "$2" >"$tmp/have.txt"
  diff "$tmp/want.txt" "$tmp/have.txt" >&2 || fail "$context: $2 is not as it should be"
}

# check_old DIR: the files of the first step are those that TensorFlow wrote.
check_old() {
  local file
  for file in "$fixtures"/net/my_net.ckpt.*; do
    cmp "$file" "$1/${file##*/}" || fail "$context: the old step was changed"
  done
}

# check_edited DIR: at rest, it has the edit once, as a whole and nothing else.
check_edited() {
  check_old "$1"
  (cd "$1" && LC_ALL=C ls -A) >"$tmp/have.txt"
  {
    echo checkpoint
    [ "$shards" != 0 ] || echo my_net.ckpt-1
    [ "$shards" = 0 ] || printf 'my_net.ckpt-1.data-%05d-of-0000'"$shards"'\n' $(seq 0 $((shards - 1)))
    [ "$shards" = 0 ] || echo my_net.ckpt-1.index
    echo my_net.ckpt-1.meta
    printf '%s\n' my_net.ckpt.data-00000-of-00001 my_net.ckpt.index my_net.ckpt.meta
  } | diff - "$tmp/have.txt" >&2 || fail "$context: stray files in $1"
  grep -qF 'model_checkpoint_path: "my_net.ckpt-1"' "$1/checkpoint" ||
    fail "$context: checkpoint does not name the new step: $(cat "$1/checkpoint")"
  "$builddir/fsck.ckptfs" -n "$1" >"$tmp/fsck" 2>&1 || fail "$context: fsck: $(cat "$tmp/fsck")"
}
