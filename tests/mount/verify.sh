#!/usr/bin/env bash
# Damaged bytes never reach a reader unnoticed: one bit is flipped, at one place after the other, and all variables are
# read under each kind of verification. What is done and expected stands in verify.py.
. "$(dirname "$0")/../lib/mount.sh"
need cat cp dd
need_python

mkdir "$tmp/source"
mount_ckpt "$tmp/source" -o ro
read=$mnt
mount_ckpt "$tmp/source" -o ro,verify=open
open=$mnt
mount_ckpt "$tmp/source" -o ro,verify=off
off=$mnt
"$CKPTFS_PYTHON" "$srcdir/tests/mount/verify.py" "$fixtures" "$tmp/source" "$read" "$open" "$off"
grep -qF 'recorded' "$read.log" || fail "the log does not tell of damaged variables"
