#!/usr/bin/env bash
# A trainer saves into the directory all the time, while steps of its are edited through the mount: all its steps and
# all of ours restore.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need_python
export TF_CPP_MIN_LOG_LEVEL=3
commits=50

# An int32 array of eight, each N.
make_ours() {
  local byte
  byte=$(printf '%03o' "$1")
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<i4', 'fortran_order': False, 'shape': (8,), }"
  for _ in 1 2 3 4 5 6 7 8; do printf '%b' "\\0$byte\\0000\\0000\\0000"; done
}

# beside PREFIX: a trainer saves PREFIX-0, -1, ..., ours are edits of model-0: with the prefix `model` our next step is often
# what the trainer saves next.
# beside PREFIX raw: the same, and the trainer saves through the mount.
beside() {
  local work=$tmp/$1${2:-} base=model-0 saved i trainer in near
  mkdir -p "$work/ck"
  in=$work/ck
  near=$work # where the trainer tells what it has saved
  if [ $# = 2 ]; then
    mount_ckpt "$work/ck" -o "commit=sync,$2"
    in=$mnt
    near=$tmp
  fi
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/trainer.py" train "$in" "$1" 0.02 >"$work/count" 2>"$work/trainer.err" &
  trainer=$!
  until [ -e "$near/saved" ]; do
    kill -0 "$trainer" 2>/dev/null || fail "the trainer ended: $(tail -n 5 "$work/trainer.err")"
    sleep 0.05
  done
  [ $# = 2 ] || mount_ckpt "$work/ck" -o commit=sync
  if [ "$1" != model ]; then
    cp -r "$mnt/$1-0" "$mnt/model-0"
    sync "$mnt/model-0"
  fi
  for i in $(seq 1 "$commits"); do
    make_ours "$i" >"$tmp/ours.npy"
    cp "$tmp/ours.npy" "$mnt/$base/ours.npy"
    sync "$mnt/$base" || fail "commit $i beside $1"
    grep -oE 'model-[0-9]+: committed' "$mnt.log" | tail -n 1 >>"$work/ours"
    # With one of the trainer's in between.
    saved=$(cat "$near/saved")
    until [ "$(cat "$near/saved")" != "$saved" ]; do
      kill -0 "$trainer" 2>/dev/null || fail "the trainer ended: $(tail -n 5 "$work/trainer.err")"
      sleep 0.01
    done
  done
  touch "$near/stop"
  wait "$trainer" || fail "the trainer failed: $(tail -n 5 "$work/trainer.err")"
  unmount
  sed -i "s,$in/,$work/ck/," "$work/ck/checkpoint" # with paths of a mount that is gone TensorFlow finds nothing
  [ ! -e "$work/ck/.ckptfs" ] || fail "left: $(find "$work/ck/.ckptfs")"
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/trainer.py" check "$work/ck" >"$work/steps"
  ! grep -qE 'BROKEN|MIXED' "$work/steps" || fail "beside $1: $(grep -E 'BROKEN|MIXED' "$work/steps" | head -n 5)"
  # All of the trainer's.
  for i in $(seq 0 $(($(cat "$work/count") - 1))); do
    grep -qE "^$1-$i $i $i -1 theirs whole" "$work/steps" || fail "$1-$i is not the trainer's: $(grep "^$1-$i " "$work/steps")"
  done
  # All of ours.
  for i in $(seq 1 "$commits"); do
    grep -qE " $i ours whole" "$work/steps" || fail "our edit $i is lost: $(sed -n "${i}p" "$work/ours")"
  done
  "$builddir/fsck.ckptfs" -n "$work/ck" >"$tmp/fsck" 2>&1 || fail "fsck: $(cat "$tmp/fsck")"
  echo "beside $*: $(cat "$work/count") steps of the trainer, $commits of ours"
}

beside other
beside model
beside model raw
