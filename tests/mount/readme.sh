#!/usr/bin/env bash
# What README.md, docs/tutorial.md and docs/faq.md show is what happens: their ```console blocks are run, and their output
# is compared. So is README's picture.
#
# A line that starts with "$ " is a command, and lines after it that start with "> " go on with it; what follows up to the
# next command is its output, errors included. All blocks of a file run in one shell, in a folder of its own that holds the
# checkpoint directories `net` (examples/net) and `dtypes` (a fixture); in what is shown it is /home/ada.
. "$(dirname "$0")/../lib/mount.sh"
need python3 getfattr rsync script

mkdir "$tmp/bin"
ln -s "$builddir/mount.ckptfs" "$builddir/fsck.ckptfs" "$builddir/ckptfs" "$tmp/bin/"
if [ -n "${CKPTFS_PYTHON:-}" ]; then
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$CKPTFS_PYTHON" >"$tmp/bin/python3"
  chmod +x "$tmp/bin/python3"
fi
export PATH=$tmp/bin:$PATH LC_ALL=C.UTF-8
export TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=0 # TensorFlow is quiet
python3 -c 'import numpy' 2>/dev/null || skip "no numpy"

# put_command COMMAND: the lines of the script that print a command and run it. COMMAND has its "$ " and "> ".
put_command() {
  local text=${1#'$ '}
  text=${text//$'\n> '/$'\n'}
  printf 'printf "%%s\n" %q\n' "$1"
  case $text in
    'diff '*) printf '%s || [ $? = 1 ]\n' "$text" ;;
    *) printf '%s\n' "$text" ;;
  esac
}

# write_script TRANSCRIPT: a script that prints the transcript's commands between their outputs. It ends at the first
# command that fails, other than diff, and unmounts what it mounted.
write_script() {
  local line command=
  cat <<'END'
set -e
at_end() {
  result=$?
  for at in ckpt more; do
    ! mountpoint -q $at || fusermount3 -u $at || umount -l $at
  done
  exit $result
}
trap at_end EXIT
END
  while IFS= read -r line; do
    if [[ $line == '> '* && -n $command ]]; then
      command+=$'\n'$line
      continue
    fi
    [ -z "$command" ] || put_command "$command"
    command=
    [[ $line != '$ '* ]] || command=$line
  done <"$1"
  [ -z "$command" ] || put_command "$command"
}

# check_file FILE: in a folder of its own, with its own copy of the checkpoints.
check_file() {
  local file=$1 result=0 work
  work=$tmp/$(basename "$file" .md)
  mkdir "$work" "$work/in"
  cp -r "$srcdir/examples/net" "$fixtures/dtypes" "$work/in/"
  chmod -R u+w "$work/in"
  # shellcheck disable=SC2016 # backquotes that are none
  sed -n '/^```console$/,/^```$/p' "$srcdir/$file" | grep -v '^```' >"$work/transcript"
  write_script "$work/transcript" >"$work/script"
  (cd "$work/in" && bash "$work/script") 2>&1 | sed "s|$work/in|/home/ada|" >"$work/out" || result=$?
  [ "$(grep -c '^\$ ' "$work/transcript")" -ge 5 ] || fail "$file has lost its transcript"
  diff -u "$work/transcript" "$work/out" || fail "$file shows something else"
  [ "$result" = 0 ] || fail "a command of $file ended with status $result"
  ! grep -q " $work/in/" /proc/self/mounts || fail "$file does not unmount"
}

check_recording() {
  TMPDIR=$tmp bash "$srcdir/docs/record.sh" >"$tmp/recording.svg"
  diff -u "$srcdir/docs/recording.svg" "$tmp/recording.svg" || fail "docs/recording.svg shows something else: docs/record.sh makes it"
}

check_file README.md
check_recording
need_python
check_file docs/tutorial.md
python3 -c 'import ml_dtypes' 2>/dev/null || skip "no ml_dtypes, which docs/faq.md uses"
check_file docs/faq.md
