#!/usr/bin/env bash
# What TensorFlow calls the variables of an object-based step. Keras 3's weights are stored as parts of the optimizer: that who
# removes the optimizer is told.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr

keras=../cases/keras3
key_end=/.ATTRIBUTES/VARIABLE_VALUE

# full_name KEY TABLE: its column; nothing if there is no such variable.
full_name() {
  key=$1 awk -F '\t' '$1 == ENVIRON["key"] { print $7 }' "$2"
}

the_table_has_full_names() {
  local file key found n=0 table
  mount_ckpt "$fixtures/$keras"
  table=$mnt/ckpt-2/variables.tsv
  check_equal titles "$(head -n 1 "$table")" "$(printf 'name\tdtype\tshape\tbytes\tcrc32c\tcollections\tfull_name')"
  check_equal "the kernel" "$(full_name "optimizer/_trainable_variables/0$key_end" "$table")" net/enc/kernel
  check_equal "its slot" "$(full_name "optimizer/_variables/2$key_end" "$table")" adam/net_enc_kernel_momentum
  check_equal "the graph" "$(full_name _CHECKPOINTABLE_OBJECT_GRAPH "$table")" -
  check_equal "size and bytes" "$(stat -c %s "$table")" "$(wc -c <"$table")"
  while IFS= read -r -d '' file; do
    key=$(getfattr --absolute-names --only-values -n user.ckptfs.key "$file")
    found=$(getfattr --absolute-names --only-values -n user.ckptfs.full_name "$file" 2>"$tmp/err") || found=-
    check_equal "$file" "$(full_name "$key" "$table")" "$found"
    n=$((n + 1))
  done < <(find "$mnt/ckpt-2" -name '*.npy' -print0)
  check_equal lines "$(wc -l <"$table")" $((n + 1))
  unmount
}

where_there_are_none_it_says_so() {
  mount_ckpt "$fixtures/linear"
  check_equal "no object graph" "$(cut -f 7 "$mnt/my-model-0/variables.tsv" | sort -u)" "$(printf -- '-\nfull_name')"
  unmount
  copy_of "$keras"
  rm "$source"/ckpt-2.data-*
  mount_ckpt "$source" -o ro
  check_equal "no shard" "$(cut -f 7 "$mnt/ckpt-2/variables.tsv" | sort -u)" "$(printf -- '-\nfull_name')"
  check_equal "lines" "$(wc -l <"$mnt/ckpt-2/variables.tsv")" "$(wc -l <"$mnt/ckpt-1/variables.tsv")"
  unmount
}

# What can't be read for a moment is an error, and neither a table without names nor its size is kept.
an_error_is_not_kept() {
  local way want
  mount_ckpt "$fixtures/$keras"
  want=$(cat "$mnt/ckpt-2/variables.tsv")
  unmount
  for way in base draft; do
    copy_of "$keras"
    mount_hooked "$source" -o commit=sync
    [ "$way" = base ] || rm "$mnt/ckpt-2/step.npy"
    printf ckpt-2.data-00000-of-00001 >"$hook.broken"
    ls -l "$mnt/ckpt-2" >"$tmp/out"
    check_status 1 cat "$mnt/ckpt-2/variables.tsv"
    rm "$hook.broken"
    check_equal "$way: the table" "$(cat "$mnt/ckpt-2/variables.tsv")" "$want"
    check_equal "$way: size" "$(stat -c %s "$mnt/ckpt-2/variables.tsv")" $((${#want} + 1))
    unmount
  done
}

# --- what others refer to --------------------------------------------------------------------------------

words="removed variables that other objects have, too"
sentence="$words: optimizer/_trainable_variables/0.npy, which is also net/enc/kernel (model/_functional/_operations/1/_kernel)"

# says STEP SENTENCE: in the log, in the attribute, and to umount.ckptfs -v, each once.
says() {
  local line="$1: $2"
  grep -qxF "mount.ckptfs: $line" "$mnt.log" || fail "not in the log: $line"
  check_equal attribute "$(getfattr --absolute-names --only-values -n user.ckptfs.commits "$mnt" | grep -cxF "$line")" 1
  umount_says "$1: committed" "$line"
}

# umount_says WORDS...: umount.ckptfs -v has them.
umount_says() {
  local words pid=${daemons[$mnt]}
  check_status 0 "$builddir/umount.ckptfs" -v "$mnt"
  for words; do
    grep -qF -- "$words" "$tmp/out" || fail "umount.ckptfs -v does not say: $words: $(cat "$tmp/out")"
  done
  unset "daemons[$mnt]"
  wait "$pid"
}

# says_nothing: but that it was committed.
says_nothing() {
  umount_says ": committed, changes: "
  ! grep -hF "$words" "$mnt.log" "$tmp/out" || fail "nothing of other objects was removed"
}

rm_of_the_optimizer() {
  writable "$keras"
  rm -r "$mnt/ckpt-2/optimizer"
  sync "$mnt/ckpt-2"
  says ckpt-3 "$sentence, and 5 more"
  nothing_is_lost
}

umount_commits_and_says_it() {
  writable "$keras"
  rm -r "$mnt/ckpt-2/optimizer"
  umount_says "ckpt-3: $sentence, and 5 more" "ckpt-3: committed, changes: 20"
}

rm_of_one_variable() {
  writable "$keras"
  rm "$mnt/ckpt-2/optimizer/_trainable_variables/0.npy"
  sync "$mnt/ckpt-2"
  says ckpt-3 "$sentence"
}

a_copy_without_it() {
  writable "$keras"
  cp -r "$mnt/ckpt-1" "$mnt/small"
  rm -r "$mnt/small/optimizer"
  sync "$mnt/small"
  says small "$sentence, and 5 more"
}

# Each of the timer's steps lacks them.
the_timer_says_it() {
  writable "$keras" commit=1
  rm -r "$mnt/ckpt-2/optimizer"
  until grep -qF "$sentence" "$mnt.log" && getfattr -n user.ckptfs.commits "$mnt" 2>&1 | grep -qF "$sentence"; do sleep 0.05; done
  says ckpt-3 "$sentence, and 5 more"
}

# What only the optimizer has is what was meant.
rm_of_the_slots() {
  writable "$keras"
  rm -r "$mnt/ckpt-2/optimizer/_variables" "$mnt/ckpt-2/step.npy"
  sync "$mnt/ckpt-2"
  says_nothing
}

mv_of_the_optimizer() {
  writable "$keras"
  mv "$mnt/ckpt-2/optimizer" "$mnt/ckpt-2/opt"
  sync "$mnt/ckpt-2"
  says_nothing
}

a_step_without_objects() {
  writable linear
  rm "$mnt/my-model-2000/w.npy"
  sync "$mnt/my-model-2000"
  says_nothing
}

run_tests the_table_has_full_names where_there_are_none_it_says_so an_error_is_not_kept rm_of_the_optimizer \
  umount_commits_and_says_it rm_of_one_variable a_copy_without_it the_timer_says_it rm_of_the_slots mv_of_the_optimizer \
  a_step_without_objects
