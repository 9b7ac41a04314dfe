#!/usr/bin/env bash
# Several users in root's mount with allow_other: what is new belongs to its maker, and who may only read changes nothing.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr setfattr
need_python
[ "$(id -u)" = 0 ] || skip_optional "only root mounts for others"
need_user

user=65534

# for_all FIXTURE MODE: a copy of it, a directory of MODE, mounted by root for all.
for_all() {
  copy_of "$1"
  chmod "$2" "$source"
  mount_ckpt "$source" -o commit=sync,allow_other
}

# belongs_to OWNER FILE...
belongs_to() {
  local owner=$1 file
  shift
  for file; do
    check_equal "owner of $file" "$(stat --cached=never -c %u:%g "$file")" "$owner:$owner"
  done
}

files_of() {
  find "$source" -maxdepth 1 -name "$1.*" | sort
}

# theirs STEP: a step that the user has made is theirs while it is a draft, and when it is committed.
theirs() {
  local step=$mnt/$1 file
  belongs_to "$user" "$step"
  [ -z "$(find "$step" ! -user "$user")" ] || fail "not the maker's: $(find "$step" ! -user "$user")"
  as_user cp "$tmp/f7.npy" "$step/more.npy" || fail "its maker can't write into $1"
  as_user mkdir "$step/scope" || fail "its maker can't make folders in $1"
  as_user cp "$tmp/f7.npy" "$step/scope/a.npy" || fail "its maker can't write into a folder of $1"
  belongs_to "$user" "$step/scope" "$step/scope/a.npy"
  as_user rm "$step/more.npy" || fail "its maker can't remove from $1"
  as_user sync "$step" || fail "its maker can't commit $1"
  nothing_is_lost
  remember
  [ -e "$source/$1.index" ] || fail "$1 is not committed"
  while read -r file; do
    # a shard that it shares with the step that it is a copy of is the other's
    [ "$(stat -c %h "$file")" != 1 ] || belongs_to "$user" "$file"
  done < <(files_of "$1")
  belongs_to "$user" "$source/$1.index" "$step" "$step/scope/a.npy"
  # and it goes on
  as_user cp "$tmp/f8.npy" "$step/scope/a.npy" || fail "its maker can't change $1 after its commit"
  as_user sync "$step"
  remember
}

what_is_new_is_its_makers() {
  for_all linear 1777
  as_user mkdir "$mnt/made" || fail "a user can't make a step in a directory of all"
  theirs made
  as_user cp -r "$mnt/my-model-1000" "$mnt/copied" || fail "a user can't copy a step in a directory of all"
  theirs copied
  # root's is root's
  mkdir "$mnt/roots"
  cp "$tmp/f7.npy" "$mnt/roots/a.npy"
  belongs_to 0 "$mnt/roots" "$mnt/roots/a.npy"
  refuses "Permission denied" as_user cp "$tmp/f7.npy" "$mnt/roots/b.npy"
  sync "$mnt/roots"
  belongs_to 0 "$source/roots.index"
  unmount
}

# refused_to_the_user CMD...: and the draft is as it was.
refused_to_the_user() {
  run as_user "$@"
  [ "$status" != 0 ] || fail "who may only read can: $*"
  grep -qE "Permission denied|Operation not permitted" "$tmp/err" || fail "says: $(cat "$tmp/err")"
  check_equal "user.ckptfs.draft after: $*" "$(getfattr -n user.ckptfs.draft --only-values --absolute-names "$mnt/my-model-0")" 1
  check_equal "steps after: $*" "$(steps "$mnt")" "my-model-0 my-model-1000 my-model-2000"
  cmp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
}

who_only_reads_commits_nothing() {
  for_all linear 755
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  as_user cat "$mnt/my-model-0/b.npy" >"$tmp/out" || fail "a user can't read"
  refused_to_the_user sync "$mnt/my-model-0"
  refused_to_the_user sync "$mnt"
  refused_to_the_user setfattr -n user.ckptfs.draft -v commit "$mnt/my-model-0"
  refused_to_the_user setfattr -n user.ckptfs.draft -v discard "$mnt/my-model-0"
  # a file that is only read can be synced, and so can a folder inside a step; nothing comes of it
  as_user sync "$mnt/my-model-0/b.npy" "$mnt/my-model-0/w"
  check_equal "steps" "$(steps "$mnt")" "my-model-0 my-model-1000 my-model-2000"
  sync "$mnt" || fail "root can't commit"
  cmp "$tmp/f7.npy" "$mnt/my-model-2001/w.npy"
  unmount
}

array "$tmp/f7.npy" "np.float32(7)"
array "$tmp/f8.npy" "np.float32(8)"
run_tests what_is_new_is_its_makers who_only_reads_commits_nothing
