#!/usr/bin/env bash
# A step that has a meta graph is held to the dtypes and shapes of its variables, however it came to be.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need rsync getfattr setfattr
need_python

# copied HOW FROM TO: a step, by cp -r, by Python's copytree, by rsync, or by saving each array anew.
copied() {
  case $1 in
    cp) cp -r "$2" "$3" ;;
    cp_by_bytes) cp -r --sparse=always "$2" "$3" ;;
    copytree) "$CKPTFS_PYTHON" -c 'import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])' "$2" "$3" ;;
    rsync) rsync -r "$2/" "$3" ;;
    rsync_in_place) rsync -r --inplace "$2/" "$3" ;;
    saved)
      "$CKPTFS_PYTHON" -c '
import os, shutil, sys
import numpy as np
for path, _, names in os.walk(sys.argv[1]):
    to = os.path.join(sys.argv[2], os.path.relpath(path, sys.argv[1]))
    os.makedirs(to, exist_ok=True)
    for name in names:
        if name.endswith(".npy"):
            np.save(os.path.join(to, name), np.load(os.path.join(path, name)))
with open(os.path.join(sys.argv[1], "meta_graph.pbtxt")) as graph, open(os.path.join(sys.argv[2], "meta_graph.pbtxt"), "w") as to:
    to.write(graph.read())' "$2" "$3"
      ;;
  esac
}

arrays() {
  array "$tmp/f64.npy" "np.float64(7)"
  array "$tmp/i64.npy" "np.int64(7)"
  array "$tmp/f32.npy" "np.float32(7)"
  array "$tmp/three.npy" "np.zeros(3, 'f4')"
}

# copy_is_refused WORDS: the new step can't be committed, for that reason.
copy_is_refused() {
  local words=$1
  refuses "Invalid argument" sync "$mnt/copy"
  run getfattr -n user.ckptfs.error --only-values "$mnt/copy"
  grep -qF -- "$words" "$tmp/out" || fail "does not say '$words': $(cat "$tmp/out" "$tmp/err")"
}

a_copy_is_held_to_its_graph() {
  local how
  for how in cp cp_by_bytes copytree rsync rsync_in_place saved; do
    writable linear
    copied "$how" "$mnt/my-model-1000" "$mnt/copy"
    cp "$tmp/f64.npy" "$mnt/copy/global_step.npy" 2>/dev/null || true
    cp "$tmp/three.npy" "$mnt/copy/b.npy" 2>/dev/null || true
    copy_is_refused "global_step.npy: is DT_DOUBLE [], expected DT_INT64 [] as the variable has it; to change that, remove it first"
    copy_is_refused "b.npy: is DT_FLOAT [3], expected DT_FLOAT [] as the variable has it; to change that, remove it first"
    run getfattr -n user.ckptfs.error --only-values "$mnt/copy/b.npy"
    grep -qF "expected DT_FLOAT []" "$tmp/out" || fail "the file does not say why: $(cat "$tmp/out" "$tmp/err")"
    cp "$tmp/f32.npy" "$mnt/copy/b.npy"
    cp "$tmp/i64.npy" "$mnt/copy/global_step.npy"
    sync "$mnt/copy"
    nothing_is_lost
    check_equal "differences by $how" "$(differences my-model-1000 copy)" "~b.npy ~global_step.npy"
    unmount
  done
}

# As the sentence says.
what_was_removed_first_is_not() {
  local how
  for how in cp copytree; do
    writable linear
    copied "$how" "$mnt/my-model-1000" "$mnt/copy"
    rm "$mnt/copy/b.npy" "$mnt/copy/global_step.npy"
    cp "$tmp/three.npy" "$mnt/copy/b.npy"
    cp "$tmp/f64.npy" "$mnt/copy/global_step.npy"
    sync "$mnt/copy"
    nothing_is_lost
    cmp "$tmp/three.npy" "$mnt/copy/b.npy"
    unmount
  done
}

without_a_graph_anything_goes() {
  writable linear
  copied copytree "$mnt/my-model-1000" "$mnt/copy"
  rm "$mnt/copy/meta_graph.pbtxt"
  cp "$tmp/f64.npy" "$mnt/copy/global_step.npy"
  cp "$tmp/three.npy" "$mnt/copy/b.npy"
  sync "$mnt/copy"
  nothing_is_lost
  [ ! -e "$source/copy.meta" ] || fail "it has a graph"
  unmount
}

# Also names that the graph has and the step had not, and the graph when it is edited.
a_saved_step_is_held_to_its_graph() {
  writable linear
  rm "$mnt/my-model-0/w/Adam.npy"
  committed my-model-0 my-model-2001 -w/Adam.npy
  cp "$tmp/three.npy" "$mnt/my-model-2001/w/Adam.npy"
  cp "$tmp/three.npy" "$mnt/my-model-2001/new.npy"
  is_refused my-model-2001 "w/Adam.npy: is DT_FLOAT [3], expected DT_FLOAT [] as the variable has it"
  cp "$tmp/f32.npy" "$mnt/my-model-2001/w/Adam.npy"
  committed my-model-2001 my-model-2002 +w/Adam.npy +new.npy
  mv "$mnt/my-model-0/global_step.npy" "$mnt/my-model-0/aside.npy"
  mv "$mnt/my-model-0/b.npy" "$mnt/my-model-0/global_step.npy"
  sync "$mnt/my-model-0" # it was moved away first
  unmount
  writable ../cases/gpu-device
  sed -i '/op: "VariableV2"/,/^  }/s/size: 3/size: 4/' "$mnt/m-1/meta_graph.pbtxt"
  is_refused m-1 "w.npy: is DT_FLOAT [3], expected DT_FLOAT [4] as the variable has it"
  rm "$mnt/m-1/w.npy"
  array "$mnt/m-1/w.npy" "np.zeros(4, 'f4')"
  committed m-1 m-2 '~meta_graph.pbtxt' '~w.npy'
  unmount
}

partitioned_variables_too() {
  local step name
  writable partitioned
  step=$(basename "$(readlink "$mnt/latest")")
  copied copytree "$mnt/$step" "$mnt/copy"
  name=$(cd "$mnt/$step" && find . -name '*.npy' -printf '%P\n' | sort | while read -r at; do
    [[ $(getfattr -n user.ckptfs.shard --only-values "$at" 2>/dev/null) != *,* ]] || echo "$at"
  done)
  name=${name%%$'\n'*}
  [ -n "$name" ] || fail "no partitioned variable"
  cp "$tmp/f64.npy" "$mnt/copy/$name"
  copy_is_refused "$name: is DT_DOUBLE [], expected DT_"
  cat "$mnt/$step/$name" >"$mnt/copy/$name"
  sync "$mnt/copy"
  nothing_is_lost
  unmount
}

arrays
run_tests a_copy_is_held_to_its_graph what_was_removed_first_is_not without_a_graph_anything_goes \
  a_saved_step_is_held_to_its_graph partitioned_variables_too
