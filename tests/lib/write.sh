# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # what mount.sh sets; last is for the tests
# Sourced by the tests that write through a mount, after mount.sh: what was changed, and that nothing else was.
#
#   $source     the checkpoint directory, a copy of a fixture
#   $last       the newest step of it that `latest` leads to

source=
last=

# writable FIXTURE [OPTION...]: a new copy of it, mounted at $mnt. Nothing is committed unless it is asked for.
writable() {
  copy_of "$1"
  mount_ckpt "$source" -o "commit=sync${2:+,$2}"
}

copy_of() {
  source=$(mktemp -d "$tmp/source.XXXXXX")
  cp -r "$fixtures/$1/." "$source"
  chmod -R u+w "$source"
  remember
}

# The files of the steps that are there.
remember() {
  (cd "$source" && find . -path ./.ckptfs -prune -o -type f ! -name checkpoint -exec sha256sum {} +) >"$tmp/sums"
}

check_equal() {
  [ "$2" = "$3" ] || fail "$1: '$2', expected '$3'"
}

steps() {
  find "$1" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort -V | tr '\n' ' ' | sed 's/ $//'
}

# No draft is left, what was there is as it was, and every byte of the steps is right.
nothing_is_lost() {
  (cd "$source" && sha256sum --quiet -c "$tmp/sums") || fail "files of a step were changed"
  [ ! -e "$source/.ckptfs/drafts" ] || fail "a draft is left: $(find "$source/.ckptfs")"
  "$builddir/fsck.ckptfs" -n "$source" >"$tmp/out" 2>&1 || fail "fsck: $(cat "$tmp/out")"
}

# differences OLD NEW: one a line, with a sign: -gone.npy +new.npy ~changed.npy, and folders as -folder/
differences() {
  { diff -rq -x variables.tsv -x object_graph.pbtxt "$mnt/$1" "$mnt/$2" || true; } | sed -E \
    -e "s,^Files $mnt/$1/(.*) and .* differ$,~\1," \
    -e "s,^Only in $mnt/$1/?(.*): (.*)$,-\1/\2," \
    -e "s,^Only in $mnt/$2/?(.*): (.*)$,+\1/\2," -e 's,^([-+])/,\1,' | sort | tr '\n' ' ' | sed 's/ $//'
}

# committed BASE NEW DIFFERENCE...: what was written in BASE's folder is now the step NEW, which has these differences. It is the
# latest if BASE was.
committed() {
  local base=$1 new=$2 before latest
  shift 2
  latest=$(readlink "$mnt/latest" || true)
  [ "$latest" != "$base" ] || latest=$new
  before=$(steps "$mnt")
  sync "$mnt/$base" || fail "sync: $(getfattr -n user.ckptfs.error --only-values "$mnt/$base" 2>&1)"
  check_equal "new step" "$(comm -13 <(tr ' ' '\n' <<<"$before" | sort) <(steps "$mnt" | tr ' ' '\n' | sort))" "$new"
  nothing_is_lost
  check_equal "differences of $new" "$(differences "$base" "$new")" "$(printf '%s\n' "$@" | sort | tr '\n' ' ' | sed 's/ $//')"
  check_equal "latest" "$(readlink "$mnt/latest" || true)" "$latest"
  last=$new
  remember
}

# Committing makes no step.
commits_nothing() {
  local before
  before=$(steps "$mnt")
  sync "$mnt/$1" || fail "sync: $(getfattr -n user.ckptfs.error --only-values "$mnt/$1" 2>&1)"
  check_equal "steps" "$(steps "$mnt")" "$before"
  nothing_is_lost
}

# refuses ERROR CMD...: it fails, and says so.
refuses() {
  local words=$1
  shift
  run "$@"
  [ "$status" != 0 ] || fail "does not fail: $*"
  grep -qF -- "$words" "$tmp/err" || fail "does not say '$words': $*: $(cat "$tmp/err")"
}

# The draft in BASE's folder can't be committed, for the reason WORDS.
is_refused() {
  refuses "Invalid argument" sync "$mnt/$1"
  run getfattr -n user.ckptfs.error --only-values "$mnt/$1"
  grep -qF -- "$2" "$tmp/out" || fail "does not say '$2': $(cat "$tmp/out" "$tmp/err")"
  [ -e "$source/.ckptfs/drafts/$1" ] || fail "the draft of $1 is gone"
}

discard() {
  setfattr -n user.ckptfs.draft -v discard "$mnt/$1"
  nothing_is_lost
}

# array FILE PYTHON: a .npy file by NumPy.
array() {
  "$CKPTFS_PYTHON" -c "import sys, numpy as np; np.save(sys.argv[1], $2)" "$1"
}

# Bytes on disk of all that is in $source, each once.
disk_use() {
  du -s -B1 "$source" | cut -f1
}
