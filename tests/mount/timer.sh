#!/usr/bin/env bash
# commit=SECONDS: the timer publishes what a quiet draft holds as the next step, and the draft goes on with all of it.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr setfattr
need_python

# Nobody waits for these ten minutes: an_hour_passes.
timed() {
  copy_of "$1"
  mount_timed
}

mount_timed() {
  mount_hooked "$source" -o commit=600
}

# there STEP: the timer has made it, and the draft is not sealed any more.
there() {
  local i
  for ((i = 0; i < 3000; i++)); do
    [ ! -d "$mnt/$1" ] || [ -e "$source/.ckptfs/drafts/${2:-my-model-0}/commit" ] || return 0
    an_hour_passes
  done
  fail "$1 is not made"
}

# The files of a step do not change any more.
keep_sums() {
  (cd "$source" && sha256sum -- "$1".* && stat -c '%n %i %a %Y' -- "$1".data*) >"$tmp/kept.$1"
}

as_kept() {
  (cd "$source" && sha256sum -- "$1".* && stat -c '%n %i %a %Y' -- "$1".data*) | diff "$tmp/kept.$1" - >&2 ||
    fail "files of $1 were changed"
}

# --- what a person sees -----------------------------------------------------------------------------------

# With the clock as it is.
edits_stay_together() {
  local i n names
  copy_of "$cases/deep-scopes"
  mount_ckpt "$source" -o commit=1
  n=$(find "$mnt/model.ckpt-200" -name '*.npy' | wc -l)
  mapfile -t names < <(cd "$mnt/model.ckpt-200" && find . -name 'Adam*.npy' | head -n 3)
  for i in 0 1 2; do
    rm "$mnt/model.ckpt-200/${names[i]}"
    there "model.ckpt-$((201 + i))" model.ckpt-200
    check_equal "variables of the step" "$(find "$mnt/model.ckpt-$((201 + i))" -name '*.npy' | wc -l)" $((n - 1 - i))
    check_equal "variables that the folder shows" "$(find "$mnt/model.ckpt-200" -name '*.npy' | wc -l)" $((n - 1 - i))
  done
  for i in 0 1 2; do
    [ ! -e "$mnt/model.ckpt-203/${names[i]}" ] || fail "the last step has ${names[i]}"
  done
  unmount
  [ ! -e "$source/model.ckpt-204.index" ] || fail "unmounting has published it once more"
  [ ! -e "$source/.ckptfs" ] || fail "left: $(find "$source/.ckptfs")"
}

what_was_written_stays_seen() {
  timed linear
  array "$mnt/my-model-0/w.npy" "np.float32(8)"
  array "$tmp/w.npy" "np.float32(8)"
  mkdir "$mnt/my-model-0/empty"
  cd "$mnt/my-model-0/empty"
  there my-model-2001
  quiet_hours
  cmp "$tmp/w.npy" "$mnt/my-model-0/w.npy" || fail "what was written is not seen any more"
  check_equal "steps" "$(steps "$mnt")" "my-model-0 my-model-1000 my-model-2000 my-model-2001"
  cp "$tmp/w.npy" new.npy || fail "the folder can't be used any more"
  cd /
  there my-model-2002
  check_equal "differences" "$(differences my-model-1000 my-model-2002)" "$(differences my-model-1000 my-model-0)"
  check_equal "changes" "$(getfattr -n user.ckptfs.draft --only-values "$mnt/my-model-0")" 2
  setfattr -n user.ckptfs.draft -v discard "$mnt/my-model-0"
  check_equal "differences" "$(differences my-model-0 my-model-2002)" "+empty ~w.npy"
  unmount
  nothing_is_lost
}

# not as long as somebody writes; and another step's draft meanwhile
open_files_hold_it_up() {
  timed linear
  exec 5>>"$mnt/my-model-0/b.npy"
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  cp "$tmp/f7.npy" "$mnt/my-model-1000/w.npy"
  there my-model-2001 my-model-1000
  check_equal "differences" "$(differences my-model-1000 my-model-2001)" ""
  quiet_hours
  [ ! -e "$source/.ckptfs/drafts/my-model-0/published" ] || fail "it was published while a file was open"
  exec 5>&-
  there my-model-2002
  unmount
  nothing_is_lost
  mount_ckpt "$source" -o ro
  check_equal "steps" "$(steps "$mnt")" "my-model-0 my-model-1000 my-model-2000 my-model-2001 my-model-2002"
  check_equal "differences" "$(differences my-model-0 my-model-2002)" "~w.npy"
  check_equal "differences" "$(differences my-model-1000 my-model-2001)" "~w.npy"
  unmount
}

# --- its end ----------------------------------------------------------------------------------------------

sync_makes_nothing_new() {
  local end
  for end in sync xattr unmount; do
    timed linear
    cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
    cp "$tmp/large.npy" "$mnt/my-model-0/large.npy"
    there my-model-2001
    case $end in
      sync) sync "$mnt/my-model-0" ;;
      xattr) setfattr -n user.ckptfs.draft -v commit "$mnt/my-model-0" ;;
    esac
    [ "$end" = unmount ] || check_equal "differences" "$(differences my-model-0 my-model-2001)" "+large.npy ~w.npy"
    unmount
    nothing_is_lost
    [ ! -e "$source/my-model-2002.index" ] || fail "$end has published it once more"
  done
}

# The next step is what the folder shows, also where that is what it was at first.
taking_it_back_is_a_step() {
  timed linear
  cp "$mnt/my-model-0/w.npy" "$tmp/old.npy"
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  there my-model-2001
  cp "$tmp/old.npy" "$mnt/my-model-0/w.npy"
  there my-model-2002
  check_equal "differences" "$(differences my-model-0 my-model-2002)" ""
  # and the same once more is none
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  cp "$tmp/old.npy" "$mnt/my-model-0/w.npy"
  sync "$mnt/my-model-0"
  unmount
  nothing_is_lost
  [ ! -e "$source/my-model-2003.index" ] || fail "it was published twice"
}

# Whatever becomes of the step that the timer made: what is in no step is published by sync, what is in one is not.
steps_of_the_timer_go() {
  local what new
  for what in removed renamed rotated overwritten; do
    timed linear
    cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
    there my-model-2001
    new=my-model-2001
    case $what in
      removed) rm -r "$mnt/my-model-2001" ;;
      renamed) mv "$mnt/my-model-2001" "$mnt/best" && new=best ;;
      rotated) rm "$source"/my-model-2001.* ;;
      overwritten)
        # a trainer that counts on: the timer's step is published again, under the next name
        for file in "$source"/my-model-2000.*; do
          cp "$file" "$tmp/saved"
          mv "$tmp/saved" "$source/my-model-2001${file#"$source/my-model-2000"}"
        done
        new=my-model-2002
        until [ -d "$mnt/my-model-2002" ]; do sleep 0.01; done
        ;;
    esac
    cmp "$tmp/f7.npy" "$mnt/my-model-0/w.npy" || fail "$what: what was written is not seen any more"
    sync "$mnt/my-model-0"
    check_equal "$what: differences" "$(differences my-model-0 "$new")" "~w.npy"
    check_equal "$what: steps" "$(find "$source" -maxdepth 1 -name '*.index' | wc -l)" "$([ "$what" = overwritten ] && echo 5 || echo 4)"
    unmount
    nothing_is_lost
  done
}

# A trainer rotates the base away: it is held.
the_base_goes() {
  timed linear
  cp -r "$mnt/my-model-0" "$tmp/want"
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  cp "$tmp/f7.npy" "$tmp/want/w.npy"
  there my-model-2001
  rm "$source"/my-model-0.*
  rm "$mnt/my-model-0/b.npy" "$tmp/want/b.npy"
  there my-model-2002
  diff -rq -x '*.tsv' -x '*.pbtxt' "$tmp/want" "$mnt/my-model-0" || fail "the folder is another"
  unmount
  mount_ckpt "$source" -o ro
  diff -rq -x '*.tsv' -x '*.pbtxt' "$tmp/want" "$mnt/my-model-2002" || fail "the step is another"
  check_equal "steps" "$(steps "$mnt")" "my-model-1000 my-model-2000 my-model-2001 my-model-2002"
  unmount
  rm -r "$tmp/want"
}

# --- new steps --------------------------------------------------------------------------------------------

# A new step is itself what the folder shows. It is not made as long as it would lose something.
new_steps() {
  timed linear
  mkdir "$mnt/made" "$mnt/made/scope"
  cp "$tmp/f7.npy" "$mnt/made/w.npy"
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  there my-model-2001
  quiet_hours
  [ ! -e "$source/made.index" ] || fail "it is made without its empty scope"
  (cd "$mnt/made/scope" && cp "$tmp/f7.npy" v.npy) || fail "the scope is gone"
  until [ -e "$source/made.index" ]; do an_hour_passes; done
  cmp "$tmp/f7.npy" "$mnt/made/scope/v.npy"
  cp "$tmp/large.npy" "$mnt/made/large.npy"
  there made-1 made
  check_equal "differences" "$(differences made made-1)" ""
  unmount
  mount_ckpt "$source" -o ro
  check_equal "variables" "$(cd "$mnt/made" && find . -name '*.npy' | sort | tr '\n' ' ')" "./scope/v.npy ./w.npy "
  check_equal "variables" "$(cd "$mnt/made-1" && find . -name '*.npy' | sort | tr '\n' ' ')" "./large.npy ./scope/v.npy ./w.npy "
  check_equal "steps" "$(steps "$mnt")" "made made-1 my-model-0 my-model-1000 my-model-2000 my-model-2001"
  unmount
}

# --- files that became shards -----------------------------------------------------------------------------

# In each way in which a file can be changed the step stays as it is.
shards_are_not_written_to() {
  local way number=2001
  rm -f "$tmp"/kept.*
  timed linear
  cp "$tmp/large.npy" "$mnt/my-model-0/large.npy"
  exec 5<"$mnt/my-model-0/large.npy"
  for way in write append_and_cut truncate mapping allocate mode owner time over opened removed; do
    there my-model-$number
    keep_sums my-model-$number
    "$CKPTFS_PYTHON" - "$mnt/my-model-0/large.npy" $way "$number" <<'END' || fail "$way"
import mmap, os, sys
path, way, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = open(path, "rb").read()
if way == "write":
    with open(path, "r+b") as f:
        f.seek(130)
        f.write(b"\1\2\3\4")
elif way == "append_and_cut":
    with open(path, "ab") as f:
        f.write(b"more")
        f.flush()
        f.truncate(len(data))
    with open(path, "r+b") as f:
        f.seek(140)
        f.write(b"\5")
elif way == "truncate":
    os.truncate(path, 0)
    open(path, "wb").write(data[:-1] + b"\7")
elif way == "mapping":
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        m[200:204] = b"\1\1\1\1"
elif way == "allocate":
    fd = os.open(path, os.O_RDWR)
    os.posix_fallocate(fd, len(data), 100)
    os.ftruncate(fd, len(data))
    os.pwrite(fd, b"\3", 300)
    os.close(fd)
elif way in ("mode", "owner", "time"):
    if way == "mode":
        os.chmod(path, 0o600)
    elif way == "owner":
        if os.geteuid() == 0:
            os.chown(path, 12345, 12345)
    else:
        os.utime(path, (1, 1))
    with open(path[:-4] + "2.npy", "wb") as f:
        f.write(data[:-4] + number.to_bytes(4, "little"))
elif way == "over":
    hidden = os.path.join(os.path.dirname(path), ".large.x")
    with open(hidden, "wb") as f:
        f.write(data[:-1] + b"\11")
    os.rename(hidden, path)
elif way == "opened":
    fd = os.open(path, os.O_RDWR)
    os.setxattr(os.path.dirname(path), "user.ckptfs.draft", b"commit")
    os.pwrite(fd, b"\10", 400)
    os.close(fd)
elif way == "removed":
    fd = os.open(path, os.O_RDWR)
    os.unlink(path)
    os.pwrite(fd, b"\11", 500)
    os.ftruncate(fd, 600)
    os.close(fd)
END
    as_kept my-model-$number
    number=$((number + 1))
  done
  # it can be read through a descriptor from before all of that
  [ "$(wc -c <&5)" -gt 0 ] || fail "what is open can't be read"
  exec 5<&-
  unmount
  for file in "$tmp"/kept.*; do
    as_kept "${file#"$tmp"/kept.}"
  done
  nothing_is_lost
}

# --- crashes ----------------------------------------------------------------------------------------------

# Killed between the timer's commit and more edits, and after these.
a_killed_daemon_leaves_the_note() {
  timed linear
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  cp "$tmp/large.npy" "$mnt/my-model-0/large.npy"
  there my-model-2001
  keep_sums my-model-2001
  kill_daemon
  mount_timed
  cmp "$tmp/f7.npy" "$mnt/my-model-0/w.npy" || fail "what was written is not seen any more"
  quiet_hours
  [ ! -e "$mnt/my-model-2002" ] || fail "it is published twice"
  printf 'x' | dd of="$mnt/my-model-0/large.npy" bs=1 seek=1000 conv=notrunc status=none
  sync "$mnt/my-model-0/large.npy"
  kill_daemon
  as_kept my-model-2001
  mount_timed
  there my-model-2002
  unmount
  as_kept my-model-2001
  nothing_is_lost
  mount_ckpt "$source"
  check_equal "steps" "$(steps "$mnt")" "my-model-0 my-model-1000 my-model-2000 my-model-2001 my-model-2002"
  check_equal "differences" "$(differences my-model-2001 my-model-2002)" "~large.npy"
  unmount
}

# Of each kind of checkpoint: the draft is taken up after a crash, and compared with what was published. A variable is changed, one is removed,
# one is renamed.
each_kind_is_published_once() {
  local fixture base first steps
  for fixture in absolute bigendian dtypes keras partitioned snappy strings v1 v1-sharded sharded names; do
    timed $fixture
    base=$(steps "$mnt" | cut -d' ' -f1)
    mapfile -t first < <(cd "$mnt/$base" && find . -name '*.npy' ! -name '_CHECK*' ! -name 'save_counter*' | sort)
    "$CKPTFS_PYTHON" - "$mnt/$base" "${first[@]}" <<'END' || fail "$fixture: can't be changed"
import os, sys
base, first = sys.argv[1], sys.argv[2:]
for name in first[2:]:  # what can't be read as an array stays as it is
    data = bytearray(open(os.path.join(base, name), "rb").read())
    if len(data) > 128 and b"f4" in data[:60]:
        data[-4:] = b"\0\0\0\1"
        open(os.path.join(base, name), "wb").write(data)
        break
if len(first) > 1:
    os.remove(os.path.join(base, first[1]))
os.rename(os.path.join(base, first[0]), os.path.join(base, "renamed.npy"))
END
    until [ -e "$source/.ckptfs/drafts/$base/published" ]; do an_hour_passes; done
    steps=$(find "$source" -maxdepth 1 -name '*.index' | wc -l)
    kill_daemon
    mount_timed
    ls "$mnt/$base" >"$tmp/out"
    quiet_hours
    sync "$mnt/$base"
    check_equal "$fixture: steps" "$(find "$source" -maxdepth 1 -name '*.index' | wc -l)" "$steps"
    unmount
    [ ! -e "$source/.ckptfs" ] || fail "$fixture: left: $(find "$source/.ckptfs")"
  done
}

# --- all of it --------------------------------------------------------------------------------------------

cases=../cases
array "$tmp/f7.npy" "np.float32(7)"
array "$tmp/large.npy" "np.arange(100000, dtype='f4')"
run_tests edits_stay_together what_was_written_stays_seen open_files_hold_it_up sync_makes_nothing_new taking_it_back_is_a_step \
  steps_of_the_timer_go the_base_goes new_steps shards_are_not_written_to a_killed_daemon_leaves_the_note \
  each_kind_is_published_once
