#!/usr/bin/env bash
# What README.md, docs/tutorial.md and docs/faq.md show is what happens: their ```console blocks are run, and their output
# is compared.
#
# A line that starts with "$ " is a command, what follows up to the next one its output, errors included.
# All blocks of a file run in one shell, in a folder of its own that holds the checkpoint directory `net` (examples/net).
. "$(dirname "$0")/../lib/mount.sh"
need python3 getfattr rsync

mkdir "$tmp/bin"
ln -s "$builddir/mount.ckptfs" "$builddir/fsck.ckptfs" "$tmp/bin/"
if [ -n "${CKPTFS_PYTHON:-}" ]; then
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$CKPTFS_PYTHON" >"$tmp/bin/python3"
  chmod +x "$tmp/bin/python3"
fi
export PATH=$tmp/bin:$PATH LC_ALL=C.UTF-8
python3 -c 'import numpy' 2>/dev/null || skip "no numpy"

# write_script: the transcript as a script that prints itself between the outputs. It ends at the first command that
# fails, other than diff, and unmounts what it mounted.
write_script() {
  cat <<'END'
set -e
at_end() {
  result=$?
  ! mountpoint -q ckpt || fusermount3 -u ckpt || umount -l ckpt
  exit $result
}
trap at_end EXIT
END
  while IFS= read -r line; do
    [[ $line == '$ '* ]] || continue
    printf 'printf "%%s\\n" %q\n' "$line"
    case $line in
      '$ diff '*) printf '%s || [ $? = 1 ]\n' "${line#'$ '}" ;;
      *) printf '%s\n' "${line#'$ '}" ;;
    esac
  done <"$1"
}

# check_file FILE: in a folder of its own, with its own copy of the checkpoints.
check_file() {
  local file=$1 result=0 work
  work=$tmp/$(basename "$file" .md)
  mkdir "$work" "$work/in"
  cp -r "$srcdir/examples/net" "$work/in/"
  chmod -R u+w "$work/in"
  # shellcheck disable=SC2016 # backquotes that are none
  sed -n '/^```console$/,/^```$/p' "$srcdir/$file" | grep -v '^```' >"$work/transcript"
  write_script "$work/transcript" >"$work/script"
  (cd "$work/in" && bash "$work/script") >"$work/out" 2>&1 || result=$?
  [ "$(grep -c '^\$ ' "$work/transcript")" -ge 5 ] || fail "$file has lost its transcript"
  diff -u "$work/transcript" "$work/out" || fail "$file shows something else"
  [ "$result" = 0 ] || fail "a command of $file ended with status $result"
  ! mountpoint -q "$work/in/ckpt" || fail "$file does not unmount"
}

for file in README.md docs/tutorial.md docs/faq.md; do
  check_file "$file"
done
