#!/usr/bin/env bash
# Steps that share their shards: rm -r of one leaves the others whole, in any order.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need_python

prepare_edit
results=$tmp/results
mkdir "$results"
for order in "my_net.ckpt copy" "copy my_net.ckpt"; do
  ck=$results/${order%% *}
  fresh "$ck"
  mount_ckpt "$ck" -o "$options"
  cp -r "$mnt/my_net.ckpt" "$mnt/copy"
  sync "$mnt/copy"
  check_step "$tmp/before" "$mnt/copy"
  edit "$mnt/my_net.ckpt"
  sync "$mnt/my_net.ckpt"
  cp -r "$mnt/my_net.ckpt-1" "$mnt/my_net.ckpt-2"
  sync "$mnt/my_net.ckpt-2"
  ln -sfn my_net.ckpt-2 "$mnt/latest"
  shard=$(stat -c %i "$ck/my_net.ckpt.data-00000-of-00001")
  [ "$(find "$ck" -name '*.data-*' -inum "$shard" | wc -l)" = 4 ] || fail "the steps do not share their bytes"
  left=(copy my_net.ckpt my_net.ckpt-1 my_net.ckpt-2)
  for gone in $order my_net.ckpt-1; do
    rm -r "${mnt:?}/$gone"
    [ ! -e "$mnt/$gone" ] || fail "$gone is still there"
    [ -z "$(find "$ck" -name "$gone.data-*" -o -name "$gone.index" -o -name "$gone.meta")" ] ||
      fail "files of $gone are left"
    ! grep -qF "\"$gone\"" "$ck/checkpoint" || fail "checkpoint still names $gone: $(cat "$ck/checkpoint")"
    for step in "${left[@]}"; do
      [ -e "$ck/$step.index" ] || continue
      case $step in
        copy | my_net.ckpt) check_step "$tmp/before" "$mnt/$step" ;;
        *) check_step "$tmp/want" "$mnt/$step" ;;
      esac
    done
  done
  unmount
  [ "$(find "$ck" -name '*.index')" = "$ck/my_net.ckpt-2.index" ] || fail "left: $(ls -A "$ck")"
  [ ! -e "$ck/.ckptfs" ] || fail "left: $(find "$ck/.ckptfs")"
  "$builddir/fsck.ckptfs" -n "$ck" >"$tmp/fsck" 2>&1 || fail "fsck: $(cat "$tmp/fsck")"
done
TF_CPP_MIN_LOG_LEVEL=3 "$CKPTFS_PYTHON" - "$tmp/want" "$results" <<'EOS'
import os, sys
import numpy as np
import tensorflow as tf

for entry in os.listdir(sys.argv[2]):
    prefix = tf.train.latest_checkpoint(os.path.join(sys.argv[2], entry))
    assert prefix and prefix.endswith("my_net.ckpt-2"), prefix
    reader = tf.train.load_checkpoint(prefix)
    names = sorted(reader.get_variable_to_shape_map())
    assert names == ["hidden/bias", "hidden/large", "hidden/weights", "out/weights"], names
    for name in names:
        want = np.load(os.path.join(sys.argv[1], name + ".npy"))
        assert np.array_equal(reader.get_tensor(name), want), name
EOS
