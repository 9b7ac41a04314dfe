#!/usr/bin/env bash
# Several that end one draft: sync of the step, of a folder in it and of the mount, the timer, umount. The second waits for the first and
# gets its result, and what was begun meanwhile is a draft of its own.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr setfattr pgrep
need_python

net() {
  source=$(mktemp -d "$tmp/source.XXXXXX")
  cp -r "$srcdir/examples/net/." "$source"
  chmod -R u+w "$source"
  rm -f "$source"/*.py
}

# --- four that sync, and one that writes ------------------------------------------------------------------

# sync_again_and_again FOLDER: until $tmp/stop is there. Whether it has only failed as is documented: a file was half written.
sync_again_and_again() {
  trap - EXIT ERR
  set +e
  until [ -e "$tmp/stop" ]; do
    sync "$1" 2>"$tmp/sync.err.$2" || grep -qF "Invalid argument" "$tmp/sync.err.$2" || exit 1
  done
}

# Writes the numbers 0, 1, ... COUNT - 1 into a variable, each fifth time syncs itself, and says which numbers have to be in a step.
write_numbers() {
  "$CKPTFS_PYTHON" - "$1" "$2" <<'EOS'
import io, os, sys
import numpy as np

step, count = sys.argv[1], int(sys.argv[2])
shape = np.load(os.path.join(step, "embedding.npy")).shape
acknowledged = []
for number in range(count):
    file = io.BytesIO()
    np.save(file, np.full(shape, number, "f4"))
    with open(os.path.join(step, "embedding.npy"), "wb") as f:
        f.write(file.getvalue())
    if number % 5 == 4 or number == count - 1:
        fd = os.open(step, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        acknowledged.append(number)
print(*acknowledged)
EOS
}

# All of these numbers are in steps.
numbers_are_saved() {
  "$CKPTFS_PYTHON" - "$mnt" "$@" <<'EOS'
import glob, sys
import numpy as np

saved = {int(np.load(f)[0, 0]) for f in glob.glob(sys.argv[1] + "/model-*/embedding.npy")}
lost = [n for n in map(int, sys.argv[2:]) if n not in saved]
assert not lost, f"acknowledged, and in no step: {lost}"
EOS
}

draft_of() {
  getfattr -n user.ckptfs.draft --absolute-names --only-values "$mnt/$1"
}

four_that_sync() {
  local count=$1 folder pids=() numbers
  net
  rm -f "$tmp/stop"
  mount_ckpt "$source" -o "commit=$2"
  for folder in . model-200 model-200/output model-200/hidden; do
    sync_again_and_again "$mnt/$folder" "${folder//\//.}" &
    pids+=($!)
  done
  write_numbers "$mnt/model-200" "$count" >"$tmp/numbers" 2>"$tmp/write.err" ||
    fail "a write failed: $(tail -n 1 "$tmp/write.err")"
  touch "$tmp/stop"
  for pid in "${pids[@]}"; do
    wait "$pid" || fail "a sync failed: $(cat "$tmp"/sync.err.*)"
  done
  read -ra numbers <"$tmp/numbers"
  sync "$mnt"
  check_equal "user.ckptfs.draft" "$(draft_of model-200)" 0
  numbers_are_saved "${numbers[@]}" 2>"$tmp/err" || fail "$(tail -n 1 "$tmp/err")"
  # Nothing is stuck: what is written now is a draft, which unmounting commits.
  cp "$mnt/model-100/hidden/bias.npy" "$mnt/model-200/hidden/bias.npy"
  check_equal "user.ckptfs.draft" "$(draft_of model-200)" 1
  cp "$tmp/e.npy" "$mnt/model-200/embedding.npy"
  unmount
  [ ! -e "$source/.ckptfs" ] || fail "left: $(find "$source/.ckptfs")"
  "$builddir/fsck.ckptfs" -n "$source" >"$tmp/out" 2>&1 || fail "fsck: $(cat "$tmp/out")"
  mount_ckpt "$source" -o ro
  newest=$(steps "$mnt" | tr ' ' '\n' | sort -V | tail -n 1)
  cmp "$tmp/e.npy" "$mnt/$newest/embedding.npy" || fail "unmounting has not committed what was written last"
  unmount
}

# --- while the timer commits ------------------------------------------------------------------------------

mount_timed() {
  net
  new_mountpoint
  rm -f "$hook" "$hook".*
  start_hooked "$source" -o commit=600
}

# timer_is_committing: what there is, and waits in the middle of it.
timer_is_committing() {
  hold_next_call
  until was_hit; do
    kill -0 "${daemons[$mnt]}" 2>/dev/null || fail "$context: the daemon died"
    an_hour_passes
  done
}

# asks PID: it, or a child of its, has asked the daemon and waits for the answer; or it has ended.
asks() {
  local tries pid
  for tries in {1..500}; do
    kill -0 "$1" 2>/dev/null || return 0
    for pid in "$1" $(pgrep -P "$1" || true); do
      [[ $(cat "/proc/$pid/wchan" 2>/dev/null) != *@(fuse|request_wait)* ]] || return 0
    done
    sleep 0.01
  done
  echo "after $tries looks it has not asked: $(cat "/proc/$1/wchan")" >&2
}

# succeeds_meanwhile CMD...: while the timer commits.
succeeds_meanwhile() {
  local pid status=0
  context="$1 during the timer's commit"
  mount_timed
  cp "$tmp/e.npy" "$mnt/model-200/embedding.npy"
  timer_is_committing
  "$@" >"$tmp/out" 2>"$tmp/err" &
  pid=$!
  asks "$pid"
  release
  wait "$pid" || status=$?
  [ "$status" = 0 ] || fail "$context: exit status $status: $(cat "$tmp/err")"
}

step_is_made() {
  [ ! -e "$source/.ckptfs/drafts" ] || fail "$context: a draft is left"
  mount_ckpt "$source" -o ro
  check_equal "$context: steps" "$(steps "$mnt")" "model-100 model-200 model-201"
  cmp "$tmp/e.npy" "$mnt/model-201/embedding.npy"
  unmount
}

sync_the_mount() { sync "$mnt"; }
sync_the_step() { sync "$mnt/model-200"; }
sync_a_scope() { sync "$mnt/model-200/hidden"; }
ask_for_a_commit() { setfattr -n user.ckptfs.draft -v commit "$mnt/model-200"; }
discard_it() { setfattr -n user.ckptfs.draft -v discard "$mnt/model-200"; }
write_another() { cp "$mnt/model-100/hidden/bias.npy" "$mnt/model-200/hidden/bias.npy"; }
unmount_it() { "$builddir/umount.ckptfs" "$mnt"; }

during_the_timers_commit() {
  local what
  for what in sync_the_mount sync_the_step sync_a_scope ask_for_a_commit discard_it; do
    succeeds_meanwhile "$what"
    unmount
    step_is_made
  done
  # what is written meanwhile is in this step or in the next one
  succeeds_meanwhile write_another
  sync "$mnt"
  cmp "$mnt/model-100/hidden/bias.npy" "$mnt/latest/hidden/bias.npy" || fail "$context: it is not in the next step"
  unmount
  succeeds_meanwhile unmount_it
  ! is_mounted "$mnt" || fail "still mounted"
  wait "${daemons[$mnt]}" || fail "the daemon ended with status $?"
  unset "daemons[$mnt]"
  step_is_made
}

# looks NAME...: what is asked of these of the step's folder, in which it stands, is answered while the commit is held, at which call of it
# ever.
looks() {
  local what
  for what in "stat" "ls -l" "cat"; do
    # shellcheck disable=SC2086 # a command and its option
    timeout 20 $what "$@" >/dev/null 2>"$tmp/err" || fail "$context: $what: $(cat "$tmp/err")"
  done
  timeout 20 ls output >/dev/null || fail "$context: a folder is not listed"
  ! timeout 20 ls "output/none$call.npy" 2>/dev/null || fail "$context: a name is there"
}

# A commit is held at each of its calls that change something on disk, one after the other. The hook counts on from one to the next.
looks_go_on() {
  local call counted=0 first committed=0
  net
  mount_hooked "$source" -o commit=sync
  cd "$mnt/model-200" # while the mount is synced the kernel lets nobody look a name up in it
  for ((call = 1; committed == 0; call++)); do
    context="call $call"
    cp "$tmp/e.npy" "$mnt/model-200/embedding.npy"
    rm -f "$hook".*
    arm "$((counted + call))" wait
    sync "$mnt" 2>"$tmp/err.1" &
    first=$!
    until was_hit || ! kill -0 "$first" 2>/dev/null; do
      sleep 0.01
    done
    if was_hit; then
      context="call $call, $(cat "$hook.hit")"
      counted=$((counted + call))
      looks embedding.npy output/bias.npy
    else
      committed=1
    fi
    release
    wait "$first" || fail "$context: $(cat "$tmp/err.1")"
  done
  [ "$call" -gt 20 ] || fail "a commit of $call calls"
  cd /
  unmount
}

# A scope was moved, and is committed. What is asked of it meanwhile is not done in its old place.
change_in_a_moved_scope() {
  local what pid
  for what in "unlink {}/bias.npy" "rmdir {}/empty" "rename {}/bias.npy {}/b.npy" "mkdir {}/new"; do
    context="${what%% *} in a moved scope"
    mount_timed
    mkdir "$mnt/model-200/hidden/empty"
    mv "$mnt/model-200/hidden" "$mnt/model-200/moved"
    stat "$mnt"/model-200/moved/* >"$tmp/out" # so that the kernel knows them
    timer_is_committing
    # shellcheck disable=SC2086 # one word for each argument
    "$CKPTFS_PYTHON" -c 'import os, sys; getattr(os, sys.argv[1])(*sys.argv[2:])' ${what//'{}'/$mnt/model-200/moved} 2>"$tmp/err" &
    pid=$!
    asks "$pid"
    release
    # The kernel looks only paths up again, not the last name of one.
    wait "$pid" || grep -qE "FileNotFoundError|Stale file handle" "$tmp/err" || fail "$context: $(tail -n 1 "$tmp/err")"
    sync "$mnt/model-200"
    check_equal "$context: steps" "$(steps "$mnt")" "model-100 model-200 model-201"
    check_equal "$context: the old place" "$(cd "$mnt/model-200/hidden" && echo *)" "$(cd "$mnt/model-100/hidden" && echo *)"
    unmount
  done
}

# Two at once, and the timer is not one of them.
two_syncs_at_once() {
  local first second
  net
  mount_hooked "$source" -o commit=sync
  rm -f "$hook".*
  cp "$tmp/e.npy" "$mnt/model-200/embedding.npy"
  hold_next_call
  sync "$mnt/model-200" 2>"$tmp/err.1" &
  first=$!
  held
  sync "$mnt" 2>"$tmp/err.2" &
  second=$!
  asks "$second"
  release
  wait "$first" || fail "the first: $(cat "$tmp/err.1")"
  wait "$second" || fail "the second: $(cat "$tmp/err.2")"
  unmount
  step_is_made
}

# What is asked of a file during a commit is done after it, also through a descriptor, for which the kernel does not ask again.
attributes_are_set() {
  local embedding first pids=() pid
  net
  mount_hooked "$source" -o commit=sync
  rm -f "$hook".*
  embedding=$mnt/model-200/embedding.npy
  cp "$tmp/e.npy" "$embedding"
  exec 7<"$embedding"
  hold_next_call
  sync "$mnt/model-200" &
  first=$!
  held
  touch - >&7 2>"$tmp/err.1" &
  pids+=($!)
  chmod u+w "$embedding" 2>"$tmp/err.2" &
  pids+=($!)
  truncate -s "$(stat -c %s "$tmp/e.npy")" "$embedding" 2>"$tmp/err.3" &
  pids+=($!)
  for pid in "${pids[@]}"; do
    asks "$pid"
  done
  release
  wait "$first"
  for pid in "${pids[@]}"; do
    wait "$pid" || fail "during a commit: $(cat "$tmp"/err.?)"
  done
  exec 7<&-
  sync "$mnt"
  unmount
  step_is_made
}

# A commit that fails: the second gets its error.
both_are_told() {
  local first second told=0
  net
  mount_hooked "$source" -o commit=sync
  rm -f "$hook".*
  cp "$tmp/e.npy" "$mnt/model-200/embedding.npy"
  chattr +i "$source" 2>/dev/null || return 0
  hold_next_call
  sync "$mnt/model-200" 2>"$tmp/err.1" &
  first=$!
  held
  sync "$mnt" 2>"$tmp/err.2" &
  second=$!
  asks "$second"
  release
  wait "$first" || told=$((told + 1))
  wait "$second" || told=$((told + 1))
  chattr -i "$source"
  check_equal "of two told that it failed" "$told" 2
  sync "$mnt"
  unmount
  step_is_made
}

four_sync_each_write() {
  four_that_sync 300 sync
}

four_sync_beside_the_timer() {
  four_that_sync 150 1
}

net
mount_ckpt "$source" -o ro
array "$tmp/e.npy" "np.full_like(np.load('$mnt/model-200/embedding.npy'), -1)"
unmount
run_tests during_the_timers_commit looks_go_on change_in_a_moved_scope two_syncs_at_once attributes_are_set both_are_told \
  four_sync_each_write four_sync_beside_the_timer
