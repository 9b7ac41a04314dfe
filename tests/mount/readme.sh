#!/usr/bin/env bash
# What README.md shows is what happens: its ```console blocks are run, and their output is compared.
#
# A line that starts with "$ " is a command, what follows up to the next one its output, errors included.
# All blocks run in one shell, in a folder that holds the checkpoint directory `net` (examples/net).
. "$(dirname "$0")/../lib/mount.sh"
need python3 getfattr rsync

mkdir "$tmp/bin" "$tmp/work"
ln -s "$builddir/mount.ckptfs" "$builddir/fsck.ckptfs" "$tmp/bin/"
if [ -n "${CKPTFS_PYTHON:-}" ]; then
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$CKPTFS_PYTHON" >"$tmp/bin/python3"
  chmod +x "$tmp/bin/python3"
fi
export PATH=$tmp/bin:$PATH LC_ALL=C.UTF-8
python3 -c 'import numpy' 2>/dev/null || skip "no numpy"

cp -r "$srcdir/examples/net" "$tmp/work/"
chmod -R u+w "$tmp/work"

# shellcheck disable=SC2016 # backquotes that are none
sed -n '/^```console$/,/^```$/p' "$srcdir/README.md" | grep -v '^```' >"$tmp/transcript"

# The transcript as a script that prints itself between the outputs. It ends at the first command that
# fails, other than diff, and unmounts what it mounted.
{
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
  done <"$tmp/transcript"
} >"$tmp/script"

result=0
(cd "$tmp/work" && bash "$tmp/script") >"$tmp/out" 2>&1 || result=$?
[ "$(grep -c '^\$ ' "$tmp/transcript")" -ge 5 ] || fail "README.md has lost its transcript"
diff -u "$tmp/transcript" "$tmp/out" || fail "README.md shows something else"
[ "$result" = 0 ] || fail "a command of README.md ended with status $result"
! mountpoint -q "$tmp/work/ckpt" || fail "README.md does not unmount"
