#!/usr/bin/env bash
# Steps whose files are symbolic links into a cache, as DVC and git-annex make them, can be changed, renamed and removed as others.
# The links are what is renamed and removed; what they lead to stays as it is.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr setfattr

cache=
other= # a folder on another filesystem, if there is one

# linked FIXTURE [CACHE]: $source has links to read-only files of the cache; the state file is a file.
linked() {
  local file name digest to
  cache=${2:-$(mktemp -d "$tmp/cache.XXXXXX")}
  source=$(mktemp -d "$tmp/source.XXXXXX")
  for file in "$fixtures/$1"/*; do
    name=${file##*/}
    if [ "$name" = checkpoint ]; then
      cp "$file" "$source"
      continue
    fi
    digest=$(md5sum <"$file" | cut -d' ' -f1)
    to=$cache/${digest:0:2}/${digest:2}
    mkdir -p "${to%/*}"
    cp -f "$file" "$to"
    chmod 444 "$to"
    ln -s "$(realpath --relative-to="$source" "$to")" "$source/$name"
  done
  chmod -R a+rX "$cache" "$source"
  (cd "$cache" && find . -type f -exec sha256sum {} +) >"$tmp/cached"
  (cd "$source" && find . -type l -printf '%p %l\n' | sort) >"$tmp/links"
  echo text >"$source/note.txt"
  remember
}

# The cache is as it was, and no file in it was added or lost.
cache_is_whole() {
  (cd "$cache" && sha256sum --quiet -c "$tmp/cached") || fail "a file of the cache was changed"
  check_equal "files in the cache" "$(find "$cache" -type f | wc -l)" "$(wc -l <"$tmp/cached")"
}

# links_are COMMAND...: what this filter makes of the links that there were.
links_are() {
  diff <("$@" <"$tmp/links" | sort) <(cd "$source" && find . -type l -printf '%p %l\n' | sort) || fail "other links"
  cache_is_whole
}

change() {
  local step=$mnt/my-model-1000
  cp "$mnt/my-model-0/w.npy" "$step/b.npy"
  printf '\001\002\003\004' | dd of="$step/w.npy" bs=1 seek=128 conv=notrunc status=none
  rm "$step/beta1_power.npy"
}

is_changed() {
  cmp "$mnt/my-model-0/w.npy" "$mnt/$1/b.npy"
  check_equal "written bytes" "$(tail -c4 "$mnt/$1/w.npy" | od -An -tx1)" " 01 02 03 04"
  [ ! -e "$mnt/$1/beta1_power.npy" ] || fail "a variable was not removed"
}

# on_cache [CACHE]: all that is done with a step.
on_cache() {
  linked linear "$@"
  mount_ckpt "$source" -o commit=sync
  change
  committed my-model-1000 my-model-2001 -beta1_power.npy '~b.npy' '~w.npy'
  is_changed my-model-2001
  links_are cat
  cp -r "$mnt/my-model-0" "$mnt/copy"
  sync "$mnt"
  diff -r "$mnt/my-model-0" "$mnt/copy"
  mv "$mnt/my-model-0" "$mnt/best"
  links_are sed 's,^./my-model-0\.,./best.,'
  diff -r "$mnt/best" "$mnt/copy"
  rm -r "$mnt/my-model-2000"
  links_are sed -e 's,^./my-model-0\.,./best.,' -e '/my-model-2000/d'
  check_equal "new links" "$(find "$source" -name 'my-model-2001*' -type l)" ""
  unmount
  nothing_is_lost
}

within_a_filesystem() {
  on_cache
}

across_filesystems() {
  find_other || return 0
  on_cache "$other"
}

find_other() {
  rm -rf "$other"
  other=$(mktemp -d /dev/shm/ckptfs.XXXXXX) || return 1
  [ "$(stat -c %d "$other")" != "$(stat -c %d "$tmp")" ]
}

# The draft has what it needs, or says that it has not.
drafts_are_taken_up() {
  linked linear
  mount_ckpt "$source" -o commit=sync
  change
  kill_daemon
  rm -rf "$cache" # what was pinned is held
  mount_ckpt "$source" -o commit=sync
  sync "$mnt/my-model-1000"
  check_equal "written bytes" "$(tail -c4 "$mnt/my-model-2001/w.npy" | od -An -tx1)" " 01 02 03 04"
  unmount
  find_other || return 0
  linked linear "$other"
  mount_ckpt "$source" -o commit=sync
  change
  kill_daemon
  mount_ckpt "$source" -o commit=sync
  sync "$mnt/my-model-1000"
  is_changed my-model-2001
  change
  kill_daemon
  rm "$(readlink -f "$source/my-model-1000.index")"
  cp "$fixtures/linear/my-model-2000.index" "$(realpath -m "$source/$(readlink "$source/my-model-1000.index")")"
  mount_ckpt "$source" -o commit=sync
  ls "$mnt" >/dev/null
  grep -qF "my-model-1000" "$mnt.log" || fail "says nothing of a draft whose step was replaced: $(cat "$mnt.log")"
  [ -e "$source/.ckptfs/drafts/my-model-1000" ] || fail "the draft is gone"
  unmount
}

# A link in a link, and a meta graph that the cache does not have here.
odd_links_work() {
  linked linear
  mv "$source/my-model-1000.index" "$source/real"
  ln -s real "$source/my-model-1000.index"
  chmod u+w "$cache"/*
  rm "$(readlink -f "$source/my-model-0.meta")"
  (cd "$cache" && find . -type f -exec sha256sum {} +) >"$tmp/cached"
  mount_ckpt "$source" -o commit=sync
  change
  committed my-model-1000 my-model-2001 -beta1_power.npy '~b.npy' '~w.npy'
  [ ! -e "$mnt/my-model-2001/meta_graph.pbtxt" ] || fail "it has a graph"
  cache_is_whole
  unmount
}

# Their files may be written by nobody, which protects the cache; a mount can say otherwise.
users_write_too() {
  [ "$(id -u)" = 0 ] || return 0
  linked linear
  chown -R 65534:65534 "$cache" "$source"
  mount_ckpt_as_user "$source" -o "commit=sync,umask=022"
  as_user cp "$mnt/my-model-0/w.npy" "$mnt/my-model-1000/b.npy"
  as_user sync "$mnt/my-model-1000"
  as_user cmp "$mnt/my-model-0/w.npy" "$mnt/my-model-2001/b.npy"
  links_are cat
  unmount
}

trap 'result=$?; trap - ERR; set +e; rm -rf "$other"; (exit "$result"); clean_up' EXIT
run_tests within_a_filesystem across_filesystems drafts_are_taken_up odd_links_work
need_user
run_tests users_write_too
