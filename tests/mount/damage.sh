#!/usr/bin/env bash
# Damaged checkpoints, and those that change while they are mounted: what TensorFlow reads is read, what it
# refuses is an error that the log explains, and the rest of the mount goes on.
. "$(dirname "$0")/../lib/mount.sh"
need getfattr
need_python

source=

copy_linear() {
  source=$(mktemp -d "$tmp/source.XXXXXX")
  cp -r "$fixtures/linear/." "$source"
  chmod -R u+w,a+rX "$source"
}

data_of() {
  echo "$source/$1.data-00000-of-00001"
}

check_fails_with() {
  local words=$1
  shift
  check_status 1 "$@"
  grep -qF "$words" "$tmp/err" || fail "expected '$words' from $*: $(cat "$tmp/err")"
}

check_logged() {
  grep -q -- "^mount.ckptfs: $1" "$mnt.log" || fail "no line '$1' in the log"
}

# eventually CMD...: within five seconds; the kernel may remember names and attributes for one.
eventually() {
  local end=$((SECONDS + 5))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "still does not succeed: $*"
    sleep 0.05
  done
}

# --- what was damaged before it was mounted -------------------------------------------------------------

# TensorFlow takes the first entry for the header and reads the rest, which is luck.
without_header="missing-header"

# is_harmed EXPECTED_JSON: there is something in it that TensorFlow refuses.
is_harmed() {
  grep -q '"answer": {"error"' "$1"
}

every_corrupt_step_is_as_tensorflow_reads_it() {
  local expected name pairs=()
  mount_ckpt "$fixtures/corrupt"
  for expected in "$fixtures"/corrupt/*.expected.json; do
    name=$(basename "$expected" .expected.json)
    [ "$name" = "$without_header" ] || pairs+=("$mnt/$name" "$expected")
  done
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/digests.py" "${pairs[@]}" || fail "other variables"
  for expected in "$fixtures"/corrupt/*.expected.json; do
    name=$(basename "$expected" .expected.json)
    [ "$name" != "$without_header" ] || continue
    ! is_harmed "$expected" || check_logged "$name: [^:]*: ..*"
  done
  unmount
}

a_step_without_header_is_refused() {
  mount_ckpt "$fixtures/corrupt"
  check_status 2 ls "$mnt/missing-header/my-model-2000"
  check_logged "missing-header: my-model-2000.index: no header"
  unmount
}

a_whole_tree_can_be_searched_past_what_is_damaged() {
  mount_ckpt "$fixtures/corrupt"
  run find "$mnt" -name w.npy
  check_finds "$mnt/unknown-dtype/my-model-2000/w.npy" "$mnt/wrong-magic/my-model-2000/w.npy"
  unmount
}

# check_finds PRESENT ABSENT: in the last command's output.
check_finds() {
  grep -qxF "$1" "$tmp/out" || fail "$1 is not found"
  ! grep -qxF "$2" "$tmp/out" || fail "$2 is found"
}

# --- what happens to shards -----------------------------------------------------------------------------

a_shard_cut_short_while_open_is_an_error() {
  copy_linear
  mount_ckpt "$source"
  exec 7<"$mnt/my-model-0/w.npy"
  truncate -s 10 "$(data_of my-model-0)"
  check_status 1 cat <&7
  grep -qF "Input/output error" "$tmp/err" || fail "$(cat "$tmp/err")"
  exec 7<&-
  check_logged "my-model-0: w: the file ends at 28, it had 40 bytes"
  check_fails_with "Input/output error" cat "$mnt/my-model-0/w.npy"
  check_logged "my-model-0: w: my-model-0.data-00000-of-00001: has 10 bytes"
  cat "$mnt/my-model-0/b.npy" "$mnt/my-model-1000/w.npy" >/dev/null
  unmount
}

# The program that maps it gets SIGBUS, as from any file that is cut short.
a_mapping_of_a_shard_cut_short_does_not_end_the_daemon() {
  copy_linear
  mount_ckpt "$source"
  "$CKPTFS_PYTHON" -c '
import mmap, os, signal, sys
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
os.truncate(sys.argv[2], 0)
child = os.fork()
if child == 0:
    os._exit(mapped[-1] and 1)
status = os.waitpid(child, 0)[1]
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS, status
' "$mnt/my-model-0/w.npy" "$(data_of my-model-0)"
  cat "$mnt/my-model-1000/w.npy" >/dev/null
  unmount
}

a_removed_shard_is_an_error_until_it_is_back() {
  copy_linear
  mount_ckpt "$source"
  cat "$mnt/my-model-0/w.npy" >"$tmp/before"
  mv "$(data_of my-model-0)" "$tmp/away"
  check_fails_with "Input/output error" cat "$mnt/my-model-0/w.npy"
  check_logged "my-model-0: w: my-model-0.data-00000-of-00001: No such file"
  mv "$tmp/away" "$(data_of my-model-0)"
  cmp "$tmp/before" "$mnt/my-model-0/w.npy"
  unmount
}

a_replaced_shard_is_read_afresh() {
  copy_linear
  mount_ckpt "$source"
  exec 7<"$mnt/my-model-0/w.npy"
  cat "$mnt/my-model-0/w.npy" >"$tmp/before"
  cp "$(data_of my-model-0)" "$source/new"
  mv "$source/new" "$(data_of my-model-0)"
  cmp "$tmp/before" "$mnt/my-model-0/w.npy"
  cp "$(data_of my-model-2000)" "$source/new"
  mv "$source/new" "$(data_of my-model-0)"
  check_fails_with "Input/output error" cat "$mnt/my-model-0/w.npy"
  check_logged "my-model-0: w: "
  cmp - "$tmp/before" <&7 || fail "a file that is open does not keep its bytes"
  exec 7<&-
  unmount
}

lists() {
  [ -e "$mnt/my-model-0/$1" ]
}

a_step_saved_again_is_shown_anew() {
  copy_linear
  mount_ckpt "$source"
  lists global_step.npy || fail "no global_step in linear"
  for file in "$fixtures"/net/my_net.ckpt.*; do
    cp "$file" "$source/new"
    mv "$source/new" "$source/my-model-0.${file##*/my_net.ckpt.}"
  done
  eventually same_names "$mnt/my-model-0" "$tmp/net"
  unmount
}

same_names() {
  diff <(cd "$1" && find . | sort) "$2"
}

names_of_net() {
  mount_ckpt "$fixtures/net"
  (cd "$mnt/my_net.ckpt" && find . | sort) >"$tmp/net"
  unmount
}

a_removed_step_is_gone_and_a_new_one_there() {
  copy_linear
  mount_ckpt "$source"
  ls "$mnt/my-model-0" >/dev/null
  rm "$source"/my-model-0.*
  cp -p "$(data_of my-model-2000)" "$source/later.data-00000-of-00001"
  cp -p "$source/my-model-2000.index" "$source/later.index"
  eventually test ! -e "$mnt/my-model-0"
  eventually cmp "$mnt/later/w.npy" "$mnt/my-model-2000/w.npy"
  unmount
}

# --- permissions ----------------------------------------------------------------------------------------

users_linear() {
  copy_linear
  [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$source"
}

a_shard_that_may_not_be_read_is_permission_denied() {
  users_linear
  mount_ckpt_as_user "$source"
  as_user ls -lR "$mnt" >/dev/null
  chmod 000 "$(data_of my-model-0)"
  check_fails_with "Permission denied" as_user cat "$mnt/my-model-0/w.npy"
  as_user cat "$mnt/my-model-1000/w.npy" >/dev/null
  chmod 600 "$(data_of my-model-0)"
  eventually as_user cat "$mnt/my-model-0/w.npy"
  end_users_mount
}

an_index_that_may_not_be_read_is_permission_denied() {
  users_linear
  mount_ckpt_as_user "$source"
  as_user ls -l "$mnt" >/dev/null
  chmod 000 "$source/my-model-0.index"
  run as_user ls "$mnt/my-model-0"
  grep -qF "Permission denied" "$tmp/err" || fail "$(cat "$tmp/err")"
  chmod 600 "$source/my-model-0.index"
  eventually as_user ls "$mnt/my-model-0/"
  end_users_mount
}

end_users_mount() {
  as_user fusermount3 -u "$mnt"
  wait "${daemons[$mnt]}" || fail "the user's daemon ended with status $?"
  unset "daemons[$mnt]"
}

# --- all of it ------------------------------------------------------------------------------------------

names_of_net
# says WORDS FOLDER: in its attribute.
says() {
  run getfattr -n user.ckptfs.error --only-values "$2"
  grep -qF -- "$1" "$tmp/out" || fail "does not say '$1': $(cat "$tmp/out" "$tmp/err")"
}

a_missing_shard_is_named() {
  copy_linear
  rm "$(data_of my-model-1000)"
  truncate -s 7 "$(data_of my-model-2000)"
  mount_ckpt "$source"
  says "my-model-1000.data-00000-of-00001: No such file or directory; 9 of 9 variables can't be read" "$mnt/my-model-1000"
  says "my-model-2000.data-00000-of-00001: has 7 bytes, expected " "$mnt/my-model-2000"
  check_status 1 getfattr -n user.ckptfs.error "$mnt/my-model-0"
  cp "$fixtures/linear/my-model-1000.data-00000-of-00001" "$source"
  eventually cat "$mnt/my-model-1000/w.npy"
  check_status 1 getfattr -n user.ckptfs.error "$mnt/my-model-1000"
  unmount
}

run_tests a_missing_shard_is_named every_corrupt_step_is_as_tensorflow_reads_it a_step_without_header_is_refused \
  a_whole_tree_can_be_searched_past_what_is_damaged a_shard_cut_short_while_open_is_an_error \
  a_mapping_of_a_shard_cut_short_does_not_end_the_daemon a_removed_shard_is_an_error_until_it_is_back \
  a_replaced_shard_is_read_afresh a_step_saved_again_is_shown_anew \
  a_removed_step_is_gone_and_a_new_one_there
need_user
run_tests a_shard_that_may_not_be_read_is_permission_denied \
  an_index_that_may_not_be_read_is_permission_denied
