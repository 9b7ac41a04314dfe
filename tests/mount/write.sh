#!/usr/bin/env bash
# Ordinary tools change variables of a step on a mount: each time the next step has just these changes, and the step that
# they were made in is as it was.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need rsync getfattr setfattr
need_python

new_arrays() {
  array "$tmp/f7.npy" "np.float32(7)"
  array "$tmp/f8.npy" "np.float32(8)"
  array "$tmp/i9.npy" "np.int64(9)"
  array "$tmp/big.npy" "np.arange(200000, dtype='f4').reshape(400, 500)"
}

# --- writing whole files --------------------------------------------------------------------------------

cp_over_a_variable() {
  writable linear
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  cmp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2001 '~w.npy'
  cmp "$tmp/f7.npy" "$mnt/my-model-2001/w.npy"
  ! cmp -s "$tmp/f7.npy" "$mnt/my-model-0/w.npy" || fail "the old step shows the new bytes"
  unmount
}

cp_of_new_variables() {
  writable linear
  cp "$tmp/f7.npy" "$mnt/my-model-2000/new.npy"
  mkdir -p "$mnt/my-model-2000/a/b"
  cp "$tmp/big.npy" "$mnt/my-model-2000/a/b/c.npy"
  cp "$tmp/i9.npy" "$mnt/my-model-2000/w/nine.npy"
  cmp "$tmp/big.npy" "$mnt/my-model-2000/a/b/c.npy"
  committed my-model-2000 my-model-2001 +new.npy +a +w/nine.npy
  cmp "$tmp/f7.npy" "$mnt/my-model-2001/new.npy"
  cmp "$tmp/big.npy" "$mnt/my-model-2001/a/b/c.npy"
  cmp "$tmp/i9.npy" "$mnt/my-model-2001/w/nine.npy"
  unmount
}

# A folder without a variable in it is nothing that a step has.
empty_folders_are_no_change() {
  writable linear
  mkdir "$mnt/my-model-0/empty"
  [ -d "$mnt/my-model-0/empty" ] || fail "no folder"
  commits_nothing my-model-0
  [ ! -e "$mnt/my-model-0/empty" ] || fail "the folder is still there"
  unmount
}

cp_between_steps_moves_no_data() {
  writable linear
  cp "$tmp/big.npy" "$mnt/my-model-0/big.npy"
  committed my-model-0 my-model-2001 +big.npy
  cp "$mnt/my-model-2001/big.npy" "$mnt/my-model-1000/big.npy"
  cp "$mnt/my-model-0/b.npy" "$mnt/my-model-1000/w.npy"
  check_equal "in the draft" "$(readlink "$source/.ckptfs/drafts/my-model-1000/tree/big.npy")" my-model-2001/big.npy
  check_equal "in the draft" "$(readlink "$source/.ckptfs/drafts/my-model-1000/tree/w.npy")" my-model-0/b.npy
  cmp "$tmp/big.npy" "$mnt/my-model-1000/big.npy"
  committed my-model-1000 my-model-2002 +big.npy '~w.npy'
  cmp "$mnt/my-model-2002/w.npy" "$mnt/my-model-0/b.npy"
  cmp "$mnt/my-model-2002/big.npy" "$tmp/big.npy"
  unmount
}

cp_within_a_step() {
  writable linear
  cp "$mnt/my-model-1000/w.npy" "$mnt/my-model-1000/w2.npy"
  cp "$mnt/my-model-1000/w2.npy" "$mnt/my-model-1000/w3.npy"
  committed my-model-1000 my-model-2001 +w2.npy +w3.npy
  cmp "$mnt/my-model-2001/w3.npy" "$mnt/my-model-1000/w.npy"
  unmount
}

rsync_of_a_variable() {
  writable linear
  rsync --ignore-times "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  rsync -a "$tmp/big.npy" "$mnt/my-model-0/"
  committed my-model-0 my-model-2001 '~w.npy' +big.npy
  rsync -a --ignore-times --inplace "$tmp/f8.npy" "$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2002 '~w.npy'
  cmp "$tmp/f8.npy" "$mnt/my-model-2002/w.npy"
  unmount
}

rsync_of_a_step() {
  local copy=$tmp/rsynced
  writable linear
  rsync -a "$mnt/my-model-1000/" "$copy"
  rsync -a --ignore-times "$copy/" "$mnt/my-model-1000"
  commits_nothing my-model-1000
  cp "$tmp/f7.npy" "$copy/w/Adam.npy"
  rm "$copy/b.npy"
  rsync -a --ignore-times --delete "$copy/" "$mnt/my-model-1000"
  committed my-model-1000 my-model-2001 '~w/Adam.npy' -b.npy
  rsync -a --delay-updates --ignore-times "$copy/" "$mnt/my-model-1000"
  committed my-model-1000 my-model-2002 '~w/Adam.npy'
  rsync -a --partial-dir=.rsync-partial --ignore-times "$copy/" "$mnt/my-model-0"
  sync "$mnt/my-model-0"
  nothing_is_lost
  [ ! -e "$mnt/my-model-2003/.rsync-partial" ] || fail "a temporary folder was committed"
  unmount
}

the_same_bytes_are_no_change() {
  writable linear
  cp "$mnt/my-model-0/w.npy" "$tmp/same.npy"
  cat "$tmp/same.npy" >"$mnt/my-model-0/w.npy"
  commits_nothing my-model-0
  mv "$mnt/my-model-0/w.npy" "$mnt/my-model-0/other.npy"
  mv "$mnt/my-model-0/other.npy" "$mnt/my-model-0/w.npy"
  commits_nothing my-model-0
  rm "$mnt/my-model-0/w.npy"
  cp "$tmp/same.npy" "$mnt/my-model-0/w.npy"
  commits_nothing my-model-0
  mv "$mnt/my-model-0/w" "$mnt/my-model-0/v"
  mv "$mnt/my-model-0/v" "$mnt/my-model-0/w"
  commits_nothing my-model-0
  unmount
}

# What another step has stored is not written again, and still is a change.
what_another_step_has_is_a_change() {
  local before fd
  writable linear
  cp "$tmp/big.npy" "$mnt/my-model-0/big.npy"
  committed my-model-0 my-model-2001 +big.npy
  exec {fd}<"$mnt/my-model-2001/variables.tsv" # only parsed steps are asked: the kernel must not forget it
  "$CKPTFS_PYTHON" -c 'import sys, numpy as np; np.save(sys.argv[1], np.load(sys.argv[1]) + 1)' "$mnt/my-model-2001/big.npy"
  committed my-model-2001 my-model-2002 '~big.npy'
  before=$(disk_use)
  cat "$tmp/big.npy" >"$mnt/my-model-2002/big.npy"
  committed my-model-2002 my-model-2003 '~big.npy'
  [ $(($(disk_use) - before)) -le 32768 ] || fail "its bytes are stored again"
  cmp "$tmp/big.npy" "$mnt/my-model-2003/big.npy"
  exec {fd}<&-
  unmount
}

# --- writing in place -----------------------------------------------------------------------------------

dd_in_place() {
  writable linear
  cp "$tmp/big.npy" "$mnt/my-model-0/big.npy"
  committed my-model-0 my-model-2001 +big.npy
  cp "$tmp/big.npy" "$tmp/want.npy"
  printf 'abcdefgh' | tee >(dd of="$tmp/want.npy" bs=1 seek=100000 conv=notrunc status=none) |
    dd of="$mnt/my-model-2001/big.npy" bs=1 seek=100000 conv=notrunc status=none
  cmp "$tmp/want.npy" "$mnt/my-model-2001/big.npy"
  committed my-model-2001 my-model-2002 '~big.npy'
  cmp "$tmp/want.npy" "$mnt/my-model-2002/big.npy"
  cmp "$tmp/big.npy" "$mnt/my-model-2001/big.npy"
  unmount
}

truncated_files_are_refused() {
  writable linear
  check_says "Invalid argument" truncate -s 130 "$mnt/my-model-0/w.npy"
  check_equal "size" "$(stat -c %s "$mnt/my-model-0/w.npy")" 130
  is_refused my-model-0 "w.npy: has 2 bytes behind its header, expected 4"
  check_says "Invalid argument" truncate -s 0 "$mnt/my-model-0/w.npy"
  is_refused my-model-0 "w.npy: is empty"
  cat "$tmp/f7.npy" >"$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2001 '~w.npy'
  check_says "Invalid argument" truncate -s +4 "$mnt/my-model-0/w.npy"
  is_refused my-model-0 "w.npy: "
  truncate -s 132 "$mnt/my-model-0/w.npy"
  commits_nothing my-model-0
  unmount
}

appended_bytes_are_refused() {
  writable linear
  refuses "Invalid argument" dd if=/dev/zero of="$mnt/my-model-0/w.npy" bs=4 count=1 oflag=append conv=notrunc
  is_refused my-model-0 "w.npy: "
  discard my-model-0
  commits_nothing my-model-0
  unmount
}

# What sed -i makes of an array is looked at as any other file that takes its place.
sed_on_strings() {
  local file want=$tmp/text.npy
  writable strings
  "$CKPTFS_PYTHON" -c '
import sys, numpy as np, os
for path, _, names in os.walk(sys.argv[1]):
    for name in names:
        if name.endswith(".npy"):
            a = np.load(os.path.join(path, name))
            if a.ndim == 1 and a.dtype.kind == "S" and a.size and a[0]:
                a[0] = a[0].swapcase()[::-1] + b""
                np.save(sys.argv[2], a)
                print(os.path.join(path, name))
                sys.exit()
sys.exit("no such array")' "$mnt/text" "$want" >"$tmp/name"
  file=$(<"$tmp/name")
  sed -i 's/NUMPY/NUMPX/' "$file"
  is_refused text "${file##*/}: "
  discard text
  cat "$want" >"$file"
  committed text text-1 "~${file#"$mnt"/text/}"
  cmp "$want" "$mnt/text-1/${file#"$mnt"/text/}"
  sed 's/NUMPY/NUMPX/' "$want" >"$tmp/bad.npy"
  refuses "Invalid argument" cp "$tmp/bad.npy" "$file"
  is_refused text "${file##*/}: "
  discard text
  unmount
}

# At once, not when it is committed.
folders_that_no_variable_can_be_in() {
  local step name
  writable linear
  step=$mnt/my-model-0
  for name in $'tab\tb' 'half%4'; do
    refuses "Invalid argument" mkdir "$step/$name"
    refuses "cannot move" mv -T "$step/w" "$step/$name"
    grep -q "no variable can be in a folder of this name" "$mnt.log" || fail "the log does not say why"
  done
  mkdir "$step/tab%09b"
  cp "$tmp/f7.npy" "$step/tab%09b/v.npy"
  mkdir "$step/.hidden" "$step/$(printf %0200d 0)%" # the second is the first piece of a long name
  rmdir "$step/.hidden" "$step/$(printf %0200d 0)%"
  committed my-model-0 my-model-2001 '+tab%09b'
  unmount
}

wrong_files_are_refused() {
  writable linear
  array "$tmp/f64.npy" "np.float64(7)"
  array "$tmp/shape.npy" "np.zeros((2, 3), 'f4')"
  "$CKPTFS_PYTHON" -c 'import sys, numpy as np; np.save(sys.argv[1], np.array([{}, None], object), allow_pickle=True)' "$tmp/object.npy"
  array "$tmp/date.npy" "np.zeros(3, 'datetime64[s]')"
  refuses "Invalid argument" cp "$tmp/f64.npy" "$mnt/my-model-0/w.npy"
  is_refused my-model-0 "w.npy: is DT_DOUBLE [], expected DT_FLOAT [] as the variable has it"
  refuses "Invalid argument" cp "$tmp/shape.npy" "$mnt/my-model-0/w.npy"
  is_refused my-model-0 "w.npy: is DT_FLOAT [2, 3], expected DT_FLOAT []"
  refuses "Invalid argument" cp "$tmp/object.npy" "$mnt/my-model-0/w.npy"
  is_refused my-model-0 "w.npy: "
  rm "$mnt/my-model-0/w.npy"
  refuses "Invalid argument" cp "$tmp/date.npy" "$mnt/my-model-0/w.npy"
  is_refused my-model-0 "w.npy: "
  cp "$tmp/shape.npy" "$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2001 '~w.npy'
  cmp "$tmp/shape.npy" "$mnt/my-model-2001/w.npy"
  refuses "Invalid argument" cp "$mnt/my-model-0/global_step.npy" "$mnt/my-model-0/w.npy"
  discard my-model-0
  unmount
}

# --- renaming and removing ------------------------------------------------------------------------------

mv_of_variables() {
  writable linear
  mv "$mnt/my-model-0/w.npy" "$mnt/my-model-0/weight.npy"
  mkdir "$mnt/my-model-0/deep"
  mv "$mnt/my-model-0/b/Adam.npy" "$mnt/my-model-0/deep/momentum.npy"
  [ ! -e "$mnt/my-model-0/w.npy" ] || fail "w.npy is still there"
  committed my-model-0 my-model-2001 -w.npy +weight.npy -b/Adam.npy +deep
  cmp "$mnt/my-model-0/w.npy" "$mnt/my-model-2001/weight.npy"
  cmp "$mnt/my-model-0/b/Adam.npy" "$mnt/my-model-2001/deep/momentum.npy"
  unmount
}

mv_over_a_variable() {
  writable linear
  cp "$tmp/f7.npy" "$mnt/my-model-0/b.npy"
  mv "$mnt/my-model-0/b.npy" "$mnt/my-model-0/w.npy"
  cmp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2001 -b.npy '~w.npy'
  refuses "cannot move" mv "$mnt/my-model-0/global_step.npy" "$mnt/my-model-0/w.npy"
  mv -n "$mnt/my-model-0/b.npy" "$mnt/my-model-0/w.npy" 2>/dev/null || true
  commits_nothing my-model-0
  mv "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2002 '~w.npy'
  array "$tmp/f7.npy" "np.float32(7)"
  unmount
}

mv_of_a_scope() {
  writable linear
  mv "$mnt/my-model-1000/w" "$mnt/my-model-1000/fc"
  committed my-model-1000 my-model-2001 -w +fc
  diff -r "$mnt/my-model-1000/w" "$mnt/my-model-2001/fc"
  # what was written in it goes along, and what is gone stays so
  cp "$tmp/f7.npy" "$mnt/my-model-1000/w/Adam.npy"
  rm "$mnt/my-model-1000/w/Adam_1.npy"
  mv "$mnt/my-model-1000/w" "$mnt/my-model-1000/b/w"
  mv "$mnt/my-model-1000/b" "$mnt/my-model-1000/c"
  committed my-model-1000 my-model-2002 -w -b +c
  check_equal "in c" "$(cd "$mnt/my-model-2002/c" && find . -type f | sort | tr '\n' ' ')" \
    "./Adam.npy ./Adam_1.npy ./w/Adam.npy "
  cmp "$tmp/f7.npy" "$mnt/my-model-2002/c/w/Adam.npy"
  # an empty folder may be replaced, a full one not
  refuses "Directory not empty" mv -T "$mnt/my-model-1000/w" "$mnt/my-model-1000/b"
  rm "$mnt/my-model-1000/b/"*
  mv -T "$mnt/my-model-1000/w" "$mnt/my-model-1000/b"
  committed my-model-1000 my-model-2003 -w '~b/Adam.npy' '~b/Adam_1.npy'
  refuses "cannot move" mv "$mnt/my-model-1000/w" "$mnt/my-model-1000/w/inner"
  unmount
}

mv_of_a_large_scope() {
  local scope start ended n
  writable many
  scope=$(find "$mnt/model-1" -mindepth 1 -type d -printf '%p\n' | while read -r at; do
    echo "$(find "$at" -name '*.npy' | wc -l) $at"
  done | sort -n | awk '$1 >= 1000 {print $2; exit}')
  n=$(find "$scope" -name '*.npy' | wc -l)
  start=$(date +%s%N)
  mv "$scope" "$mnt/model-1/moved"
  ended=$(date +%s%N)
  echo "mv of a scope with $n variables: $(((ended - start) / 1000000)) ms"
  check_equal "variables" "$(find "$mnt/model-1/moved" -name '*.npy' | wc -l)" "$n"
  start=$(date +%s%N)
  sync "$mnt/model-1"
  ended=$(date +%s%N)
  echo "its commit: $(((ended - start) / 1000000)) ms"
  nothing_is_lost
  check_equal "variables" "$(find "$mnt/model-2" -name '*.npy' | wc -l)" "$(find "$mnt/model-1" -name '*.npy' | wc -l)"
  diff -r "$scope" "$mnt/model-2/moved"
  [ ! -e "$mnt/model-2/${scope#"$mnt"/model-1/}" ] || fail "it is still there"
  unmount
}

renameat2_flags() {
  writable linear
  "$CKPTFS_PYTHON" -c '
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def rename(a, b, flags):
    if libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), flags):
        return errno.errorcode[ctypes.get_errno()]
os.chdir(sys.argv[1])
assert rename("w.npy", "b.npy", 1) == "EEXIST"
assert rename("w.npy", "v.npy", 1) is None
assert rename("v.npy", "none.npy", 2) == "ENOENT"
assert rename("v.npy", "w.npy", 1) is None
open("b.npy", "r+b").close()
before = open("w.npy", "rb").read(), open("beta1_power.npy", "rb").read()
assert rename("w.npy", "beta1_power.npy", 2) is None
assert before == (open("beta1_power.npy", "rb").read(), open("w.npy", "rb").read())
assert rename("w", "b", 2) is None
assert rename("w", "beta2_power.npy", 2) == "EINVAL"
assert rename("w.npy", "w", 2) == "EINVAL"
assert rename("w.npy", "meta_graph.pbtxt", 2) == "EINVAL"
assert rename("meta_graph.pbtxt", "w.npy", 2) == "EINVAL"
' "$mnt/my-model-1000" || fail "renameat2"
  committed my-model-1000 my-model-2001 '~w.npy' '~beta1_power.npy' '~w/Adam.npy' '~w/Adam_1.npy' '~b/Adam.npy' '~b/Adam_1.npy'
  unmount
}

rm_of_variables() {
  writable linear
  rm "$mnt/my-model-0/w.npy"
  find "$mnt/my-model-0" -name 'Adam*' -delete
  committed my-model-0 my-model-2001 -w.npy -w -b
  rm -r "$mnt/my-model-0/w"
  committed my-model-0 my-model-2002 -w
  rm -r "$mnt/my-model-0/w"
  mkdir "$mnt/my-model-0/w"
  cp "$tmp/i9.npy" "$mnt/my-model-0/w/Adam.npy"
  committed my-model-0 my-model-2003 '~w/Adam.npy' -w/Adam_1.npy
  refuses "Directory not empty" rmdir "$mnt/my-model-0/w"
  refuses "Is a directory" rm "$mnt/my-model-0/w"
  refuses "No such file" rm "$mnt/my-model-0/none.npy"
  commits_nothing my-model-0
  unmount
}

open_files_outlive_their_names() {
  writable linear
  "$CKPTFS_PYTHON" -c '
import os, sys
os.chdir(sys.argv[1])
for path in "w.npy", "new.npy":
    f = open(path, "r+b" if path == "w.npy" else "w+b")
    f.write(b"x" * 200)
    f.flush()
    os.unlink(path)
    assert os.fstat(f.fileno()).st_nlink == 0, os.fstat(f.fileno())
    f.seek(0)
    assert f.read() == b"x" * 200
    f.write(b"y")
    f.close()
    assert not os.path.exists(path)
f = open("b.npy", "rb")
os.unlink("b.npy")
assert os.fstat(f.fileno()).st_size == 132 and len(f.read()) == 132
f.close()
fd = os.open("n.npy", os.O_CREAT | os.O_RDWR)
os.unlink("n.npy")
assert os.pread(fd, 10, 0) == b""
os.pwrite(fd, b"abc", 0)
assert os.pread(fd, 10, 0) == b"abc"
assert os.fstat(fd).st_nlink == 0
os.rename("beta1_power.npy", "beta.npy")
os.close(fd)
' "$mnt/my-model-0" || fail "unlinked while open"
  committed my-model-0 my-model-2001 -w.npy -b.npy -beta1_power.npy +beta.npy
  unmount
}

# What is written to such a file is nowhere in the way.
copies_beside_an_open_file() {
  writable linear
  cp "$mnt/my-model-1000/b.npy" "$mnt/my-model-0/b.npy"
  "$CKPTFS_PYTHON" -c '
import os, subprocess, sys
os.chdir(sys.argv[1])
fd = os.open("n.npy", os.O_CREAT | os.O_RDWR)
os.unlink("n.npy")
os.pwrite(fd, b"abc", 0)
subprocess.run(["cp", "../my-model-2000/b.npy", "b.npy"], check=True)
subprocess.run(["cp", "../my-model-2000/w.npy", "v.npy"], check=True)
assert os.pread(fd, 9, 0) == b"abc"
' "$mnt/my-model-0"
  committed my-model-0 my-model-2001 '~b.npy' +v.npy
  cmp "$mnt/my-model-2001/b.npy" "$mnt/my-model-2000/b.npy"
  unmount
}

# --- names ----------------------------------------------------------------------------------------------

other_names_are_refused() {
  local long
  long=$(printf '%0251d' 0)
  writable linear
  refuses "Invalid argument" mkdir "$mnt/my-model-0/x.npy"
  refuses "Invalid argument" cp "$tmp/f7.npy" "$mnt/my-model-0/a%2.npy"
  refuses "File name too long" cp "$tmp/f7.npy" "$mnt/my-model-0/${long}x.npy"
  refuses "Operation not permitted" ln "$mnt/my-model-0/w.npy" "$mnt/my-model-0/x.npy"
  refuses "Operation not permitted" ln -s w.npy "$mnt/my-model-0/x.npy"
  refuses "Operation not permitted" mkfifo "$mnt/my-model-0/x.npy"
  commits_nothing my-model-0
  cp "$tmp/f7.npy" "$mnt/my-model-0/a%2F.npy" 2>/dev/null || true
  commits_nothing my-model-0
  unmount
}

dot_files_are_not_committed() {
  writable linear
  cp "$tmp/f7.npy" "$mnt/my-model-0/.w.npy.x7Yz"
  cp "$tmp/f7.npy" "$mnt/my-model-0/.tmp.npy"
  echo text >"$mnt/my-model-0/.note"
  cmp "$tmp/f7.npy" "$mnt/my-model-0/.tmp.npy"
  check_equal "text" "$(cat "$mnt/my-model-0/.note")" text
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2001 '~w.npy'
  check_equal "dot files" "$(find "$mnt" -name '.*' -type f)" ""
  cp "$tmp/f7.npy" "$mnt/my-model-0/.tmp.npy"
  commits_nothing my-model-0
  cp "$tmp/f7.npy" "$mnt/my-model-0/.tmp.npy"
  mv "$mnt/my-model-0/.tmp.npy" "$mnt/my-model-0/w.npy"
  committed my-model-0 my-model-2002 '~w.npy'
  mv "$mnt/my-model-0/b.npy" "$mnt/my-model-0/.b.npy"
  cp "$mnt/my-model-0/w.npy" "$mnt/my-model-0/.c.npy"
  committed my-model-0 my-model-2003 '-b.npy'
  mkdir -p "$mnt/made/v/.OPTIMIZER_SLOT" "$mnt/made/.tmp" # a component of keys, and a tool's folder
  cp "$tmp/f7.npy" "$mnt/made/v/.OPTIMIZER_SLOT/m.npy"
  cp "$tmp/f7.npy" "$mnt/made/.tmp/m.npy"
  sync "$mnt/made"
  check_equal "variables" "$(cd "$mnt/made" && find . -name '*.npy')" ./v/.OPTIMIZER_SLOT/m.npy
  unmount
}

new_arrays
run_tests cp_over_a_variable cp_of_new_variables empty_folders_are_no_change cp_between_steps_moves_no_data \
  cp_within_a_step rsync_of_a_variable rsync_of_a_step the_same_bytes_are_no_change \
  what_another_step_has_is_a_change dd_in_place truncated_files_are_refused appended_bytes_are_refused \
  sed_on_strings folders_that_no_variable_can_be_in wrong_files_are_refused mv_of_variables mv_over_a_variable mv_of_a_scope \
  mv_of_a_large_scope renameat2_flags rm_of_variables open_files_outlive_their_names \
  copies_beside_an_open_file other_names_are_refused dot_files_are_not_committed
