#!/usr/bin/env bash
# Scopes twelve folders deep: a folder keeps its number (st_ino) while drafts begin, go on and end, so that rm -r, find -delete,
# mv, chmod -R and the like, which come back by `..` and compare, do all or nothing of what they were told.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need find rsync tar getfattr setfattr
need_python

case=../cases/deep-scopes
deep=transformer/parallel_0/body/decoder/layer_0/self_attention/multihead_attention/dot_product/relative/output_transform/dense
step=model.ckpt-200

# numbers STEP: what the daemon says now of each folder, whatever the kernel remembers.
numbers() {
  (cd "$mnt/$1" && find . -type d -exec stat --cached=never -c '%n %i' {} + | LC_ALL=C sort)
}

# same_numbers STEP WHEN: as in $tmp/numbers.
same_numbers() {
  numbers "$1" >"$tmp/now"
  diff "$tmp/numbers" "$tmp/now" >&2 || fail "folders of $1 have other numbers $2"
}

variables() {
  (cd "$1" && find . -name '*.npy' | LC_ALL=C sort)
}

# variables.tsv tells of the step as it was saved, also while it has a draft.
same_tree() {
  diff -r -x variables.tsv "$@"
}

# well CMD...: it succeeds, and has nothing to say.
well() {
  check_status 0 "$@"
  [ ! -s "$tmp/err" ] || fail "$*: $(cat "$tmp/err")"
}

# --- numbers --------------------------------------------------------------------------------------------

# keeps_numbers STEP: over its drafts.
keeps_numbers() {
  numbers "$1" >"$tmp/numbers"
  check_equal "folders with a number of their own" "$(cut -d' ' -f2 "$tmp/numbers" | sort -u | wc -l)" "$(wc -l <"$tmp/numbers")"
  cp "$tmp/kernel.npy" "$mnt/$1/$deep/kernel.npy"
  same_numbers "$1" "in a draft"
  rm "$mnt/$1/$deep/bias/Adam.npy"
  mkdir "$mnt/$1/$deep/new"
  rmdir "$mnt/$1/$deep/new"
  same_numbers "$1" "in a draft that goes on"
  setfattr -n user.ckptfs.draft -v discard "$mnt/$1"
  same_numbers "$1" "after it was discarded"
  cp "$tmp/kernel.npy" "$mnt/$1/$deep/kernel.npy"
  sync "$mnt/$1"
  same_numbers "$1" "after a commit"
}

folders_keep_numbers() {
  writable "$case"
  keeps_numbers "$step"
  # of steps that were nothing but a draft
  cp -r "$mnt/$step" "$mnt/copy"
  mkdir -p "$mnt/made/$deep/kernel"
  cp "$tmp/kernel.npy" "$mnt/made/$deep/kernel.npy"
  cp "$tmp/kernel.npy" "$mnt/made/$deep/kernel/Adam.npy"
  numbers copy >"$tmp/copy"
  numbers made >"$tmp/made"
  # The kernel may forget a folder that nobody is in, and a step has its number from its index then.
  exec {in_copy}<"$mnt/copy" {in_made}<"$mnt/made"
  sync "$mnt"
  cp "$tmp/copy" "$tmp/numbers"
  same_numbers copy "after its first commit"
  cp "$tmp/made" "$tmp/numbers"
  same_numbers made "after its first commit"
  keeps_numbers copy
  exec {in_copy}<&- {in_made}<&-
  # one that was renamed in a draft keeps its number too
  mkdir "$mnt/$step/empty"
  stat --cached=never -c %i "$mnt/$step/empty" >"$tmp/before"
  mv "$mnt/$step/empty" "$mnt/$step/$deep/moved"
  check_equal "number of a new folder that was moved" "$(stat --cached=never -c %i "$mnt/$step/$deep/moved")" "$(cat "$tmp/before")"
  discard "$step"
  unmount
}

# --- each tool, on a step without a draft and on one with it -----------------------------------------------

# Begins a draft, deep inside.
begin() {
  cp "$tmp/kernel.npy" "$mnt/$step/$deep/kernel.npy"
}

rm_r() {
  well rm -r "${mnt:?}/$step"
  [ ! -e "$mnt/$step" ] || fail "it is still there"
  check_equal "files of it" "$(find "$source" -name "$step*")" ""
  sync "$mnt"
  check_equal "steps" "$(steps "$mnt")" model.ckpt-100
}

rm_r_of_scopes() {
  well rm -r "$mnt/$step/transformer" "$mnt/$step/bert"
  sync "$mnt/$step"
  ! variables "$mnt/latest/" | grep -E 'transformer|bert' || fail "rm -r has left something"
}

rmtree() {
  well "$CKPTFS_PYTHON" -c 'import shutil, sys; shutil.rmtree(sys.argv[1])' "$mnt/$step"
  sync "$mnt"
  check_equal "steps" "$(steps "$mnt")" model.ckpt-100
}

find_delete() {
  variables "$mnt/$step" | grep -v Adam >"$tmp/want"
  well find "$mnt/$step" -name 'Adam*' -delete
  sync "$mnt/$step"
  variables "$mnt/latest/" >"$tmp/have"
  diff "$tmp/want" "$tmp/have" >&2 || fail "find -delete has left something"
}

mv_away() {
  rm -rf "$tmp/away"
  cp -r "$mnt/$step" "$tmp/want.d"
  well mv "$mnt/$step" "$tmp/away"
  same_tree "$tmp/want.d" "$tmp/away"
  rm -rf "$tmp/want.d"
  sync "$mnt"
  check_equal "steps" "$(steps "$mnt")" model.ckpt-100
}

mv_of_the_step() {
  cp -r "$mnt/$step" "$tmp/want.d"
  well mv "$mnt/$step" "$mnt/other"
  sync "$mnt"
  same_tree "$tmp/want.d" "$mnt/$(readlink "$mnt/latest")"
  rm -rf "$tmp/want.d"
}

chmod_r() {
  well chmod -R u+w "$mnt/$step"
  well chmod -R g-w "$mnt/$step"
}

cp_r() {
  rm -rf "$tmp/tree"
  well cp -r "$mnt/$step" "$tmp/tree"
  well cp -r "$mnt/$step" "$mnt/copy"
  same_tree "$tmp/tree" "$mnt/copy"
  sync "$mnt/copy"
  same_tree "$tmp/tree" "$mnt/copy"
  well cp -r "$tmp/tree/." "$mnt/$step"
}

copytree() {
  well "$CKPTFS_PYTHON" -c 'import shutil, sys; shutil.copytree(*sys.argv[1:])' "$mnt/$step" "$mnt/copy"
  same_tree "$mnt/$step" "$mnt/copy"
}

tar_both_ways() {
  well tar -cf "$tmp/step.tar" -C "$mnt/$step" .
  mkdir "$mnt/unpacked"
  well tar -xf "$tmp/step.tar" -C "$mnt/unpacked"
  same_tree "$mnt/$step" "$mnt/unpacked"
}

rsync_delete() {
  rm -rf "$tmp/tree"
  cp -r "$mnt/model.ckpt-100" "$tmp/tree"
  rm -r "$tmp/tree/bert" "$tmp/tree/$deep/kernel"
  well rsync -rc --delete --exclude '*.tsv' --exclude '*.pbtxt' "$tmp/tree/" "$mnt/$step/"
  variables "$tmp/tree" >"$tmp/want"
  variables "$mnt/$step" >"$tmp/have"
  diff "$tmp/want" "$tmp/have" >&2 || fail "rsync --delete has left something"
  sync "$mnt/$step"
  diff -r -x '*.tsv' -x '*.pbtxt' "$tmp/tree" "$mnt/latest/" || fail "rsync --delete"
}

tools=(rm_r rm_r_of_scopes rmtree find_delete mv_away mv_of_the_step chmod_r cp_r copytree tar_both_ways rsync_delete)

each_tool() {
  local tool
  for tool in "${tools[@]}"; do
    writable "$case"
    "$tool"
    unmount
    writable "$case"
    begin
    "$tool"
    unmount
    "$builddir/fsck.ckptfs" -n "$source" >"$tmp/out" 2>&1 || fail "$tool: fsck: $(cat "$tmp/out")"
  done
}

# --- drafts that begin and end in the middle of a walk ------------------------------------------------------

# find(1) walks the whole step, and at each file a draft is begun, goes on, is committed or discarded.
walk_over_drafts() {
  writable "$case"
  (cd "$mnt/$step" && find . | LC_ALL=C sort) >"$tmp/want"
  cat >"$tmp/at" <<EOS
read -r n <"$tmp/n"
echo \$((n + 1)) >"$tmp/n"
case \$((n % 6)) in
  0) cp "$tmp/kernel.npy" "$mnt/$step/$deep/kernel.npy" ;;
  1) rm "$mnt/$step/beta1_power.npy" ;;
  2) sync "$mnt/$step" ;;
  3) cp "$tmp/other.npy" "$mnt/$step/$deep/kernel.npy" ;;
  4) setfattr -n user.ckptfs.draft -v discard "$mnt/$step" ;;
esac
EOS
  echo 0 >"$tmp/n"
  well find "$mnt/$step" -depth -mindepth 1 -path '*_*' -exec bash "$tmp/at" \;
  [ "$(cat "$tmp/n")" -gt 20 ] || fail "it has not walked: $(cat "$tmp/n")"
  setfattr -n user.ckptfs.draft -v discard "$mnt/$step"
  (cd "$mnt/$step" && find . | LC_ALL=C sort) >"$tmp/have"
  diff "$tmp/want" "$tmp/have" >&2 || fail "the step has changed"
  nothing_is_lost
  unmount
}

# Tools that only look, while another process has drafts of the same step begun, committed and discarded; and those that change, while it
# does so with another step.
beside_another() {
  local base=model.ckpt-100 tool other
  copy_of "$case"
  mount_ckpt "$source" -o commit=1
  rm -f "$tmp/stop"
  (
    trap - EXIT ERR
    set +e
    for ((i = 0; i < 300; i++)); do
      [ ! -e "$tmp/stop" ] || exit 0
      cp "$tmp/kernel.npy" "$mnt/$base/$deep/kernel.npy" || exit 1
      cp "$tmp/other.npy" "$mnt/$base/$deep/kernel.npy" || exit 1
      if [ $((i % 10)) = 0 ]; then sync "$mnt/$base" || exit 1; fi
      setfattr -n user.ckptfs.draft -v discard "$mnt/$base" || exit 1
    done
    until [ -e "$tmp/stop" ]; do sleep 0.01; done
  ) 2>"$tmp/other.err" &
  other=$!
  for _ in 1 2 3 4 5; do
    well find "$mnt/$base" -name nothing
    well chmod -R u+w "$mnt/$base"
    well du -s "$mnt/$base"
    rm -rf "$tmp/tree"
    # The one variable that is written may be another by the time that cp opens it.
    run cp -r "$mnt/$base" "$tmp/tree"
    [ "$status" = 0 ] || ! grep -v "/$deep/kernel.npy', as it was replaced" "$tmp/err" >&2 || fail "cp -r"
  done
  cp "$tmp/kernel.npy" "$tmp/tree/$deep/kernel.npy" # whatever it was when it was read
  well rm -r "${mnt:?}/$step"
  for tool in rm_r find_delete rmtree mv_of_the_step; do
    cp -r "$tmp/tree" "$mnt/theirs"
    step=theirs
    sync "$mnt/theirs"
    if [ "$tool" = find_delete ]; then
      well find "$mnt/theirs" -name 'Adam*' -delete
      sync "$mnt/theirs"
      well rm -r "$mnt/theirs" "$mnt/theirs-1"
    elif [ "$tool" = mv_of_the_step ]; then
      well mv "$mnt/theirs" "$mnt/moved"
      same_tree "$tmp/tree" "$mnt/moved"
    else
      well rm -r "$mnt/theirs"
    fi
    step=model.ckpt-200
  done
  touch "$tmp/stop"
  wait "$other" || fail "the other process: $(cat "$tmp/other.err")"
  unmount
  "$builddir/fsck.ckptfs" -n "$source" >"$tmp/out" 2>&1 || fail "fsck: $(cat "$tmp/out")"
  [ ! -e "$source/.ckptfs" ] || fail "left: $(find "$source/.ckptfs")"
}

array "$tmp/kernel.npy" "np.full((4, 4), 7, 'f4')"
array "$tmp/other.npy" "np.full((4, 4), 8, 'f4')"
run_tests folders_keep_numbers each_tool walk_over_drafts beside_another
