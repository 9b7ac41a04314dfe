#!/usr/bin/env bash
# .ckptfs/status: a text that says what a draft has changed and what is refused, for those who have no getfattr. It is not listed.
. "$(dirname "$0")/../lib/mount.sh"
. "$srcdir/tests/lib/write.sh"

need getfattr setfattr
need_python

says() {
  diff - "$1/.ckptfs/status" >&2 || fail "$1/.ckptfs/status: not so"
}

when='at sync of this folder or the mount, or at the unmount'

it_is_there_and_not_listed() {
  source=$tmp/net
  cp -r "$srcdir/examples/net" "$source"
  chmod -R u+w "$source"
  mount_ckpt "$source"
  says "$mnt/model-200" <<<'changes: none'
  says "$mnt" <<<'changes: none'
  check_equal "what .ckptfs holds" "$(ls -A "$mnt/.ckptfs")" status
  check_equal "what .ckptfs of a step holds" "$(ls -A "$mnt/model-200/.ckptfs")" status
  [ -z "$(find "$mnt" -name '.ckptfs')" ] || fail "find lists .ckptfs"
  cp -r "$mnt/model-200" "$tmp/copy"
  [ ! -e "$tmp/copy/.ckptfs" ] || fail "cp -r copies .ckptfs"
  diff -r "$mnt/model-200" "$tmp/copy"
  check_equal "size" "$(stat -c %s "$mnt/.ckptfs/status")" 14
  check_equal "draft" "$(getfattr --only-values -n user.ckptfs.draft "$mnt/model-200")" 0
}

each_change_is_named() {
  local step=$mnt/model-200
  rm "$step/embedding.npy"
  mv "$step/output/kernel.npy" "$step/output/k.npy"
  cp "$step/hidden/bias.npy" "$step/twin.npy"
  cp "$mnt/model-100/embedding.npy" "$step/hidden/old.npy"
  array "$step/fresh.npy" 'np.zeros(3)'
  array "$step/output/bias.npy" 'np.zeros(2, np.float32)'
  sort >"$tmp/want" <<END
changes: 6
removed: embedding.npy
moved: output/kernel.npy to output/k.npy
copied: hidden/bias.npy to twin.npy
copied: model-100/embedding.npy to hidden/old.npy
new: fresh.npy
written: output/bias.npy
next commit: model-201, $when
END
  sort "$step/.ckptfs/status" | diff "$tmp/want" - >&2 || fail "other changes"
  check_equal "draft" "$(getfattr --only-values -n user.ckptfs.draft "$step")" 6
  diff <(sed 1d "$mnt/.ckptfs/status") "$step/.ckptfs/status"
  check_equal "step" "$(head -n 1 "$mnt/.ckptfs/status")" "step: model-200"
  discard_draft "$step"
  mv "$step/hidden" "$step/deep" # what is in a folder that was moved
  grep -q '^moved: hidden/kernel.npy to deep/kernel.npy$' "$step/.ckptfs/status" || fail "$(cat "$step/.ckptfs/status")"
  discard_draft "$step"
}

discard_draft() {
  setfattr -n user.ckptfs.draft -v discard "$1"
  says "$1" <<<'changes: none'
}

# One open file: what it says does not come from old pages.
a_refusal_is_explained() {
  local step=$mnt/model-200 why
  "$CKPTFS_PYTHON" - "$step" <<'END'
import errno, sys, numpy as np
status = sys.argv[1] + '/.ckptfs/status'
with open(status) as before:
    assert before.read() == 'changes: none\n'
    try:
        np.save(sys.argv[1] + '/output/bias.npy', np.zeros(3))
        sys.exit('np.save was not refused')
    except OSError as e:
        assert e.errno == errno.EINVAL, e
    assert 'error: output/bias.npy: is DT_DOUBLE [3], expected DT_FLOAT [2]' in open(status).read()
END
  why=$(getfattr --only-values -n user.ckptfs.error "$step")
  says "$step" <<END
changes: 1
written: output/bias.npy
error: $why
next commit: model-201, not before the error is corrected; then $when
END
  refuses "Invalid argument" sync "$step"
  array "$step/output/bias.npy" 'np.zeros(2, np.float32)'
  check_equal "errors" "$(grep -c '^error' "$step/.ckptfs/status" || true)" 0
  sync "$step"
  check_equal "latest" "$(readlink "$mnt/latest")" model-201
  says "$step" <<<'changes: none'
}

a_new_step_has_one() {
  mkdir "$mnt/mine"
  says "$mnt/mine" <<<$'changes: 0\nnext commit: no step, there are no variables yet'
  cp "$mnt/model-200/embedding.npy" "$mnt/mine"
  says "$mnt/mine" <<<"changes: 1
copied: model-200/embedding.npy to embedding.npy
next commit: mine, $when"
  sync "$mnt/mine"
  says "$mnt/mine" <<<'changes: none'
}

# EPERM or EEXIST, and no draft is begun.
nobody_changes_it() {
  local at
  for at in "$mnt" "$mnt/model-200"; do
    refuses "File exists" mkdir "$at/.ckptfs"
    refuses "Operation not permitted" rm -r "$at/.ckptfs"
    refuses "Operation not permitted" rmdir "$at/.ckptfs"
    refuses "Operation not permitted" mv "$at/.ckptfs" "$at/other"
    refuses "Operation not permitted" mv -T "$at/.ckptfs/status" "$at/status"
    refuses "Operation not permitted" mkdir "$at/.ckptfs/more"
    refuses "Operation not permitted" touch "$at/.ckptfs/more"
    refuses "Operation not permitted" ln -s model-100 "$at/.ckptfs/more"
    refuses "Operation not permitted" truncate -s 0 "$at/.ckptfs/status"
    refuses "Operation not permitted" cp /dev/null "$at/.ckptfs/status"
    chmod 600 "$at/.ckptfs/status" # accepted, and not kept, as of all that is made up
    check_equal "mode" "$(stat -c %a "$at/.ckptfs/status")" 444
    sync "$at/.ckptfs" "$at/.ckptfs/status"
  done
  refuses "Operation not permitted" mv "$mnt/model-200/hidden" "$mnt/model-200/.ckptfs"
  refuses "Operation not permitted" mv -T "$mnt/model-100" "$mnt/.ckptfs"
  says "$mnt" <<<'changes: none'
  grep -q '\.ckptfs: ckptfs makes it up, it can.t be changed' "$mnt.log" || fail "no line in the log"
  rm -r "$mnt/mine" # which does not meet it
  unmount
}

# With a timer: what was published is not to be published again.
a_timer_is_mentioned() {
  mount_ckpt "$source" -o commit=1
  rm "$mnt/model-200/embedding.npy"
  until grep -q '^next commit: no step, model-202 has these changes$' "$mnt/model-200/.ckptfs/status"; do sleep 0.05; done
  unmount
  mount_ckpt "$source" -o commit=3600
  rm "$mnt/model-200/embedding.npy"
  grep -q '^next commit: model-20., after 3600 s without a change, at sync' "$mnt/model-200/.ckptfs/status" ||
    fail "$(cat "$mnt/model-200/.ckptfs/status")"
  discard_draft "$mnt/model-200"
  unmount
}

# Of a step that is not whole, and of one that can't be read at all.
a_damaged_step_says_why() {
  rm "$source/model-100.data-00000-of-00001"
  printf x >"$source/broken.index"
  mount_ckpt "$source" -o ro
  grep -q '^error: model-100.data-00000-of-00001: .*variables can.t be read$' "$mnt/model-100/.ckptfs/status" ||
    fail "$(cat "$mnt/model-100/.ckptfs/status")"
  grep -q '^error: broken.index: ' "$mnt/broken/.ckptfs/status" || fail "$(cat "$mnt/broken/.ckptfs/status")"
  unmount
}

in_a_saved_model_the_name_stays() {
  mkdir "$tmp/export"
  touch "$tmp/export/saved_model.pb"
  mkdir "$tmp/export/variables"
  for file in index data-00000-of-00001; do
    cp "$srcdir/examples/net/model-200.$file" "$tmp/export/variables/variables.$file"
  done
  mount_ckpt "$tmp/export/variables"
  rm "$mnt/variables/embedding.npy"
  grep -q '^next commit: variables, ' "$mnt/variables/.ckptfs/status" || fail "$(cat "$mnt/variables/.ckptfs/status")"
  discard_draft "$mnt/variables"
}

# What a commit made may have one shard of two by its name: fsck.ckptfs -V says that this is all.
a_lone_shard_is_no_half() {
  unmount
  rm -rf "$source"
  cp -r "$srcdir/examples/net" "$source"
  chmod -R u+w "$source"
  mount_ckpt "$source"
  rm "$mnt/model-200/embedding.npy"
  sync "$mnt/model-200"
  unmount
  [ -e "$source/model-201.data-00000-of-00002" ] && [ ! -e "$source/model-201.data-00001-of-00002" ]
  check_says "model-201: has one shard, which is named as one of two; there is no second one" "$builddir/fsck.ckptfs" -n -V "$source"
  [ "$(grep -c 'one of two' "$tmp/err")" = 1 ] || fail "said of others: $(cat "$tmp/err")"
}

run_tests it_is_there_and_not_listed each_change_is_named a_refusal_is_explained a_new_step_has_one nobody_changes_it \
  a_timer_is_mentioned a_damaged_step_says_why in_a_saved_model_the_name_stays a_lone_shard_is_no_half
