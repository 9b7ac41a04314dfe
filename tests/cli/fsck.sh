#!/usr/bin/env bash
# fsck.ckptfs on every fixture, on every damage there is, and on a step with each of its bytes changed in turn; repairs.
set -Eeuo pipefail

srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
builddir=$(cd "${builddir:-.}" && pwd)
fixtures=$srcdir/tests/assets/fixtures
fsck=$builddir/fsck.ckptfs
tmp=$(mktemp -d "${TMPDIR:-/tmp}/ckptfs.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'echo "FAIL: $0, line $LINENO: $BASH_COMMAND" >&2' ERR
cd "$tmp"

fail() {
  printf 'FAIL: %s\n' "$*" >&2
  [ ! -e out ] || cat out err >&2
  exit 1
}

# check STATUS ARGUMENT...: runs it; what it says is in out and err.
check() {
  local want=$1 status=0
  shift
  "$fsck" "$@" >out 2>err </dev/null || status=$?
  [ "$status" = "$want" ] || fail "exit status $status, not $want: fsck.ckptfs $*"
}

# says WORDS...: each is in what the last check printed.
says() {
  local words
  for words; do
    grep -qF -- "$words" out err || fail "does not say '$words'"
  done
}

# new FIXTURE: a copy in ./dir.
new() {
  rm -rf dir
  cp -r "$fixtures/$1" dir
  chmod -R u+w dir
}

# state_is LINE...: what dir/checkpoint holds.
state_is() {
  printf '%s\n' "$@" | diff -u - dir/checkpoint || fail "the state file is not as expected"
}

# --- usage ----------------------------------------------------------------------------------------------

check 0 --help
check 0 --version
check 16
check 16 -n -y "$fixtures/linear"
check 16 -Cx "$fixtures/linear"
check 16 --no-such-option "$fixtures/linear"
check 8 "$tmp/nothing"
says "no such directory"
check 8 "$fixtures/linear" my-model-7
says "has no step my-model-7"
check 0 -a -T -M -r -f -V -C "$fixtures/linear"
says "checking $fixtures/linear/my-model-1000"

# --- what is whole --------------------------------------------------------------------------------------

for name in linear net dtypes strings sharded partitioned v1 v1-sharded snappy bigendian keras maxshard savedmodel \
  names many rotation; do
  check 0 "$fixtures/$name"
  says "0 problems, 0 notes, 0 corrected"
done
check 0 "$fixtures/savedmodel"
says "1 step, 3 variables"
check 0 "$fixtures/linear/my-model-1000"
says "1 step, 9 variables"
check 0 "$fixtures/linear/my-model-1000.index"
says "1 step, 9 variables"
check 0 "$fixtures/linear" my-model-0 my-model-2000
says "2 steps, 18 variables"
check 0 "$fixtures/savedmodel" variables/variables
says "1 step"
# Other projects' checkpoints: of some the data is not there, or they were moved; all else is whole.
real=${CKPTFS_REAL:-$srcdir/../shared/real}
if [ -d "$real" ]; then
  "$fsck" -n "$real" >out 2>err || [ $? = 4 ] || fail "could not look at $real"
  [ ! -s err ]
  ! grep -vE '^note: |: No such file or directory; |, where TensorFlow does not find it; it is in this folder$| corrected$' \
    out || fail "finds damage in $real"
fi

# --- what is damaged ------------------------------------------------------------------------------------

check 4 "$fixtures/corrupt/flipped-tensor-bit"
says "flipped-tensor-bit/my-model-2000: w: my-model-2000.data-00000-of-00001: crc32c of 4 bytes at 28 is 524e19aa"
check 4 "$fixtures/corrupt/missing-shard"
says "my-model-2000.data-00000-of-00001: No such file or directory; 9 variables have bytes in it"
check 4 "$fixtures/corrupt/huge-num-shards"
says "note: " "data of another number of shards, which are not used: my-model-2000.data-00000-of-00001"

# Bytes in a slice, in a V1 table's second block, which names what is in it, and in its first, which has the list.
new partitioned
printf '\377' | dd of=dir/model-3.data-00000-of-00001 bs=1 seek=1000 conv=notrunc status=none
check 4 dir
says "dir/model-3: " "its slice " "crc32c of "
new snappy
printf 'UU' | dd of=dir/old.ckpt-10 bs=1 seek=100000 conv=notrunc status=none
check 4 dir
says "dir/old.ckpt-10: " ": its slice " ": old.ckpt-10: block at " ": crc32c is " "2 steps, 28 variables"
new v1
printf 'UU' | dd of=dir/model.ckpt-10 bs=1 seek=1000 conv=notrunc status=none
check 4 dir
says "dir/model.ckpt-10: block at 0: crc32c is " "model.ckpt-10, which is no checkpoint"
new v1
truncate -s -1 dir/model.ckpt-10
check 4 dir
says "dir/model.ckpt-10: not a table: it ends in "

# No index, no shard, no checkpoint.
new sharded
step=$(basename dir/*.index .index)
mv "dir/$step.data-00001-of-00003" dir/away
check 4 dir
says "$step.data-00001-of-00003: No such file or directory"
rm "dir/$step.index"
check 4 dir
says "note: dir/$step: data without an index: $step.data-00000-of-00003, $step.data-00002-of-00003" \
  "note: dir/$step.meta: a meta graph without a checkpoint" "which is gone"
new v1-sharded
rm dir/model-2-00001-of-00002
check 4 dir
says "model-2-00001-of-00002: No such file or directory"

# Variables that only the graph, or only the step, has.
new linear
cp "$fixtures/net/my_net.ckpt.meta" dir/my-model-0.meta
check 0 dir my-model-0
says "note: dir/my-model-0: " "its graph" "0 problems"

# --- the state file -------------------------------------------------------------------------------------

new absolute
chmod 640 dir/checkpoint
check 4 -n dir
says "lists /tmp/old-home-of-a-run/run/model-10, where TensorFlow does not find it; it is in this folder"
cmp dir/checkpoint "$fixtures/absolute/checkpoint"
check 4 dir
check 1 -y dir
says "dir/checkpoint: rewritten" "3 problems, 0 notes, 3 corrected"
state_is 'model_checkpoint_path: "model-20"' 'all_model_checkpoint_paths: "model-10"' \
  'all_model_checkpoint_paths: "model-20"'
[ "$(stat -c %a dir/checkpoint)" = 640 ]
check 0 dir
mkdir repaired
cp -r dir repaired/absolute

new keras
rm dir/ckpt-2.*
check 1 -p dir
state_is 'model_checkpoint_path: "ckpt-3"' 'all_model_checkpoint_paths: "ckpt-3"' \
  'all_model_checkpoint_timestamps: 1500000180.0' 'last_preserved_timestamp: 1499999999.0'
check 0 dir
new keras
rm dir/ckpt-3.*
check 1 -a dir
says "calls ckpt-3 the latest, which is gone"
state_is 'model_checkpoint_path: "ckpt-2"' 'all_model_checkpoint_paths: "ckpt-2"' \
  'all_model_checkpoint_timestamps: 1500000120.0' 'last_preserved_timestamp: 1499999999.0'
cp -r dir repaired/keras

new linear
touch -d '2001-01-01' dir/*.index
touch -d '2001-01-02' dir/my-model-1000.index
printf '%s\n' 'model_checkpoint_path: "C:\\runs\\my-model-9"' 'later: 7' >dir/checkpoint
check 1 -y dir
state_is 'model_checkpoint_path: "my-model-1000"' 'all_model_checkpoint_paths: "my-model-1000"' 'later: 7'
printf '%s\n' 'model_checkpoint_path: "C:\\runs\\my-model-0"' >dir/checkpoint
check 1 -y dir
state_is 'model_checkpoint_path: "my-model-0"'
cp -r dir repaired/linear

new v1-sharded
sed -i 's|"model|"/gone/run/model|' dir/checkpoint
check 1 -y dir
cmp dir/checkpoint "$fixtures/v1-sharded/checkpoint"
cp -r dir repaired/v1-sharded

# What can't be parsed is lost when it is rewritten: not with -p.
for name in garbage-checkpoint binary-checkpoint; do
  new corrupt/$name
  check 4 -p dir
  check 1 -y dir
  state_is 'model_checkpoint_path: "my-model-2000"' 'all_model_checkpoint_paths: "my-model-2000"'
  check 0 dir
  cp -r dir repaired/$name
done
new linear
: >dir/checkpoint
touch -d '2001-01-03' dir/my-model-0.index
touch -d '2001-01-01' dir/my-model-1000.index
touch -d '2001-01-02' dir/my-model-2000.index
check 1 -y dir
state_is 'model_checkpoint_path: "my-model-0"' 'all_model_checkpoint_paths: "my-model-1000"' \
  'all_model_checkpoint_paths: "my-model-2000"' 'all_model_checkpoint_paths: "my-model-0"'

# Nothing is left that it could name.
rm dir/*.index
check 4 -y dir

# A folder that can't be written to.
if [ "$(id -u)" != 0 ]; then
  new absolute
  chmod a-w dir
  check 12 -y dir
  says "not repaired"
  chmod u+w dir
fi

# --- left-overs -----------------------------------------------------------------------------------------

hex=0123456789abcdef0123456789abcdef
new linear
mkdir -p dir/sub dir/.ckptfs/drafts/{my-model-0,tuned,%old.0} dir/my-model-9_temp_$hex dir/old_temp dir/mine_temp
old=(dir/my-model-9.index.tempstate123 "dir/checkpoint.tmp$hex" dir/old_temp/part-00000-of-00001.index
  dir/sub/x.tempstate9 "dir/my-model-9_temp_$hex/part-0")
touch "${old[@]}" dir/young.tempstate5 dir/x.tempstate dir/mine_temp/mine dir/x.tmp0
touch -d '2 hours ago' "${old[@]}" dir/my-model-9_temp_$hex dir/old_temp
check 4 dir
says "dir/my-model-9.index.tempstate123: was left by a save" "dir/old_temp: was left" "dir/my-model-9_temp_$hex: was left" \
  "dir/sub/x.tempstate9: was left" "note: dir/young.tempstate5: belongs to a save that may be under way" \
  "note: dir/.ckptfs/drafts/my-model-0: an unfinished draft; the next mount takes it up" \
  "note: dir/.ckptfs/drafts/tuned: an unfinished draft" "5 problems, 3 notes"
check 1 -p dir
says "5 problems, 3 notes, 5 corrected"
check 0 dir
[ -e dir/young.tempstate5 ] && [ -e dir/x.tempstate ] && [ -e dir/mine_temp/mine ] && [ -e dir/x.tmp0 ]
[ -d dir/.ckptfs/drafts/my-model-0 ] && [ -d dir/.ckptfs/drafts/tuned ]
[ ! -e dir/old_temp ] && [ ! -e dir/my-model-9_temp_$hex ] && [ ! -e dir/sub/x.tempstate9 ]

rm -r dir/.ckptfs/drafts
touch dir/.ckptfs/lock
check 0 dir
says "note: dir/.ckptfs: was left by a mount; there are no drafts in it"

# --- interrupted ----------------------------------------------------------------------------------------

new absolute
for pause in 0.0001 0.001 0.002 0.003 0.004 0.006 0.008 0.01 0.02; do
  cp "$fixtures/absolute/checkpoint" dir/checkpoint
  timeout -s INT "$pause" "$fsck" -y dir >out 2>err || true
  [ "$(find dir -name '*.tmp*')" = "" ] || fail "left a temporary file"
  cmp -s dir/checkpoint "$fixtures/absolute/checkpoint" || cmp repaired/absolute/checkpoint dir/checkpoint
done

# --- hostile --------------------------------------------------------------------------------------------

rm -rf dir
mkdir dir
mkfifo dir/a.index dir/checkpoint
ln -s nowhere dir/b.index
ln -s . dir/loop
head -c 100000 /dev/urandom >dir/c.index
check 4 dir
says "dir/b: b.index: open: " "dir/c: c.index: not a table" "2 steps"

# --- with Python ----------------------------------------------------------------------------------------

if command -v python3 >/dev/null; then
  python3 "$srcdir/tests/cli/fsck.py" "$fsck" "$fixtures" "$tmp"
else
  echo "without python3: neither --json nor each byte was checked"
fi
if [ -n "${CKPTFS_PYTHON:-}" ]; then
  "$CKPTFS_PYTHON" "$srcdir/tests/cli/fsck_latest.py" repaired
fi
