#!/usr/bin/env bash
# var_list and collection: only some variables are shown. Commits carry the others along.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr setfattr

keras=../cases/keras3
graph=_CHECKPOINTABLE_OBJECT_GRAPH.npy
base=my-model-2000

# Where the variables of a mounted STEP are.
files_of() {
  (cd "$1" && find . -name '*.npy' -printf '%P ' | tr ' ' '\n' | LC_ALL=C sort | tr '\n' ' ' | sed 's/^ *//; s/ $//')
}

# mount_all [OPTION...]: all of $source at $all, and $mnt is as it was.
mount_all() {
  local seen=$mnt
  mount_ckpt "$source" -o "ro${1:+,$1}"
  all=$mnt
  mnt=$seen
}

# hidden_is_kept OLD NEW PATH...: but for the PATHs, each beginning with -, + or ~, NEW has what OLD has.
hidden_is_kept() {
  local old=$1 new=$2 seen=$mnt
  shift 2
  mount_all
  mnt=$all
  check_equal "differences of $new" "$(differences "$old" "$new")" "$(printf '%s\n' "$@" | sort | tr '\n' ' ' | sed 's/ $//')"
  mnt=$seen
  unmount "$all"
}

# shows GLOBS FILE...: in the latest step.
shows() {
  local globs=$1
  shift
  mount_ckpt "$source" -o "ro,var_list=$globs"
  check_equal "$globs" "$(files_of "$mnt/latest/")" "$*"
  unmount
}

globs_select() {
  copy_of linear
  shows w w.npy
  shows 'w:b' b.npy w.npy
  shows 'w:w/**' w.npy w/Adam.npy w/Adam_1.npy
  shows '?' b.npy w.npy
  shows '*/Adam' b/Adam.npy w/Adam.npy
  shows '**/Adam_[0-9]' b/Adam_1.npy w/Adam_1.npy
  shows '*_power' beta1_power.npy beta2_power.npy
  shows '[!a-v]' w.npy
  shows '**' "$(printf '%s ' b.npy b/Adam.npy b/Adam_1.npy beta1_power.npy beta2_power.npy global_step.npy w.npy w/Adam.npy w/Adam_1.npy | sed 's/ $//')"
  shows nothing
  copy_of ../cases/deep-scopes
  mount_ckpt "$source" -o 'ro,var_list=**'
  mount_all
  diff -r "$mnt" "$all"
  unmount "$all"
  unmount
  refuses "option var_list needs a value: var_list=..." "$builddir/mount.ckptfs" "$source" "$tmp" -o var_list=
}

# Values, attributes and numbers are those of a mount that shows all.
what_is_seen_is_as_ever() {
  local file
  copy_of linear
  mount_ckpt "$source" -o 'ro,var_list=w/*:b'
  mount_all
  check_equal texts "$(ls "$mnt/$base")" "$(printf 'b.npy\nmeta_graph.pbtxt\nvariables.tsv\nw')"
  for file in b.npy w/Adam.npy w/Adam_1.npy meta_graph.pbtxt; do
    cmp "$mnt/$base/$file" "$all/$base/$file"
    check_equal "attributes of $file" "$(cd "$mnt/$base" && getfattr -d "$file" && stat -c '%s %a %Y %i' "$file")" \
      "$(cd "$all/$base" && getfattr -d "$file" && stat -c '%s %a %Y %i' "$file")"
  done
  check_equal variables.tsv "$(cat "$mnt/$base/variables.tsv")" "$(grep -E '^(name|b|w/Adam|w/Adam_1)	' "$all/$base/variables.tsv")"
  refuses "No such file" ls "$mnt/$base/w.npy" "$mnt/$base/b"
  check_equal status "$(cat "$mnt/$base/.ckptfs/status")" "changes: none"
  unmount "$all"
  unmount
}

changes_keep_the_rest() {
  writable linear 'var_list=w:w/*'
  cp "$mnt/my-model-0/w.npy" "$mnt/$base/w.npy"
  rm "$mnt/$base/w/Adam.npy"
  mv "$mnt/$base/w/Adam_1.npy" "$mnt/$base/w/other.npy"
  check_equal status "$(grep -v ^next "$mnt/$base/.ckptfs/status" | LC_ALL=C sort | tr '\n' ' ')" \
    "changes: 3 copied: my-model-0/w.npy to w.npy moved: w/Adam_1.npy to w/other.npy removed: w/Adam.npy "
  committed "$base" my-model-2001 -w/Adam.npy -w/Adam_1.npy +w/other.npy "~w.npy"
  hidden_is_kept "$base" my-model-2001 -w/Adam.npy -w/Adam_1.npy +w/other.npy "~w.npy"
  # What is written over with the same is no change.
  cp "$mnt/my-model-2001/w.npy" "$tmp/w.npy"
  cat "$tmp/w.npy" >"$mnt/my-model-2001/w.npy"
  commits_nothing my-model-2001
  unmount
}

# All that is seen is removed: the rest is a step.
the_rest_is_a_step() {
  writable linear 'var_list=w:w/*'
  rm -r "${mnt:?}/$base/w" "$mnt/$base/w.npy"
  check_equal status "$(tail -n 1 "$mnt/$base/.ckptfs/status")" \
    "next commit: my-model-2001, at sync of this folder or the mount, or at the unmount"
  committed "$base" my-model-2001 -w -w.npy
  hidden_is_kept "$base" my-model-2001 -w -w.npy
  unmount
}

a_step_is_removed_as_a_whole() {
  writable linear 'var_list=w'
  rm -r "${mnt:?}/$base"
  check_equal steps "$(steps "$mnt")" "my-model-0 my-model-1000"
  check_equal files "$(find "$source" -name "$base*")" ""
  check_equal latest "$(readlink "$mnt/latest")" my-model-1000
  unmount
}

# A new step has what is seen of the old one.
a_copy_has_what_is_seen() {
  writable linear 'var_list=w:*/Adam'
  cp -r "$mnt/$base" "$mnt/copy"
  sync "$mnt/copy"
  diff -r "$mnt/$base" "$mnt/copy"
  mount_all
  check_equal "the copy" "$(files_of "$all/copy")" "b/Adam.npy w.npy w/Adam.npy"
  unmount "$all"
  nothing_is_lost
  unmount
}

# With its object graph, of which the rest is removed.
a_copy_is_object_based() {
  writable "$keras" 'var_list=**/enc/*,names=full'
  check_equal seen "$(files_of "$mnt/ckpt-2")" "$graph net/enc/bias.npy net/enc/kernel.npy"
  cp -r "$mnt/ckpt-2" "$mnt/copy"
  sync "$mnt/copy"
  nothing_is_lost
  diff -r -x object_graph.pbtxt -x variables.tsv -x "$graph" "$mnt/ckpt-2" "$mnt/copy"
  diff <(grep -v "^_CHECK" "$mnt/ckpt-2/variables.tsv") <(grep -v "^_CHECK" "$mnt/copy/variables.tsv")
  grep -q net/enc/kernel "$mnt/copy/object_graph.pbtxt" || fail "the graph lacks the kernel"
  ! grep -q net/head "$mnt/copy/object_graph.pbtxt" || fail "the graph has what is hidden"
  rm "$mnt/ckpt-2/net/enc/bias.npy"
  committed ckpt-2 ckpt-3 -net/enc/bias.npy "~$graph"
  hidden_is_kept ckpt-2 ckpt-3 -optimizer/_trainable_variables/1.npy "~$graph"
  unmount
}

hidden_names_are_refused() {
  local step
  writable linear 'var_list=w/*:x/*'
  step=$mnt/$base
  refuses "Operation not permitted" cp "$step/w/Adam.npy" "$step/b.npy"
  grep -qF "b.npy: var_list=w/*:x/* hides this name" "$mnt.log" || fail "does not say why: $(cat "$mnt.log")"
  refuses "Operation not permitted" mv "$step/w/Adam.npy" "$step/w.npy"
  refuses "Operation not permitted" mv "$step/w" "$step/y"
  grep -qF "y/Adam.npy: var_list=w/*:x/* hides this name" "$mnt.log" || fail "does not say why: $(cat "$mnt.log")"
  mkdir "$mnt/new" "$mnt/new/y" "$step/y"
  refuses "Operation not permitted" cp "$step/w/Adam.npy" "$mnt/new/y/v.npy"
  refuses "Operation not permitted" mv "$step/w" "$step/y/w"
  check_equal "nothing has changed" "$(head -n 1 "$step/.ckptfs/status")" "changes: 0"
  rmdir "$mnt/new/y" "$mnt/new"
  mv "$step/w" "$step/x"
  committed "$base" my-model-2001 -w +x
  hidden_is_kept "$base" my-model-2001 -w +x
  unmount
}

# The folder b is hidden, and so is the variable b/Adam in it.
a_hidden_folder_is_made() {
  writable linear 'var_list=w:w/*:b/new'
  mkdir "$mnt/$base/b"
  cp "$mnt/$base/w.npy" "$mnt/$base/b/new.npy"
  committed "$base" my-model-2001 +b
  hidden_is_kept "$base" my-model-2001 +b/new.npy
  unmount
}

# Whatever takes it up: `w` was moved, so it is marked as gone, but for what was hidden.
a_draft_keeps_its_list() {
  local goes_on
  for goes_on in '' ',var_list=b'; do
    writable linear 'var_list=*/Adam'
    mv "$mnt/$base/w" "$mnt/$base/x"
    rm -r "$mnt/$base/b"
    mkdir -p "$mnt/new/w"
    cp "$mnt/my-model-0/w/Adam.npy" "$mnt/new/w"
    sync -f "$source"
    kill_daemon
    mount_ckpt "$source" -o "commit=sync$goes_on"
    check_equal "what it shows" "$(files_of "$mnt/$base")" x/Adam.npy
    check_equal "the new step" "$(files_of "$mnt/new")" w/Adam.npy
    refuses "Operation not permitted" cp "$mnt/$base/x/Adam.npy" "$mnt/$base/w.npy"
    sync "$mnt/$base" "$mnt/new"
    nothing_is_lost
    hidden_is_kept "$base" my-model-2001 -b/Adam.npy -w/Adam.npy +x
    unmount
  done
}

collections_select() {
  copy_of linear
  mount_ckpt "$source" -o ro,collection=trainable_variables
  check_equal trainable "$(files_of "$mnt/latest/")" "b.npy w.npy"
  check_equal variables.tsv "$(cut -f 1,6 "$mnt/latest/variables.tsv" | grep -c trainable_variables)" 2
  check_equal lines "$(wc -l <"$mnt/latest/variables.tsv")" 3
  unmount
  mount_ckpt "$source" -o 'ro,collection=variables,var_list=w:w/*'
  check_equal both "$(files_of "$mnt/latest/")" "w.npy w/Adam.npy w/Adam_1.npy"
  unmount
  mount_ckpt "$source" -o ro,collection=no_such
  check_equal "an unknown one" "$(ls "$mnt/latest/")" "$(printf 'meta_graph.pbtxt\nvariables.tsv')"
  unmount
  rm "$source/$base.meta"
  printf x >"$source/my-model-1000.meta"
  mount_ckpt "$source" -o ro,collection=trainable_variables
  mount_all
  diff -r "$mnt/$base" "$all/$base"
  check_equal "a damaged meta graph" "$(files_of "$mnt/my-model-1000")" "$(files_of "$all/my-model-1000")"
  unmount "$all"
  unmount
}

# The meta graph is another one: its variables are shown.
a_new_meta_graph_counts() {
  copy_of linear
  mount_ckpt "$source" -o ro,collection=trainable_variables
  check_equal before "$(files_of "$mnt/$base")" "b.npy w.npy"
  cat "$mnt/$base/w.npy" >"$tmp/w.npy"
  cp "$fixtures/net/my_net.ckpt.meta" "$source/new"
  mv "$source/new" "$source/$base.meta"
  until [ -z "$(files_of "$mnt/$base")" ]; do nap; done
  unmount
}

collections_are_written() {
  local step
  writable linear collection=trainable_variables
  step=$mnt/$base
  refuses "Operation not permitted" cp "$step/w.npy" "$step/global_step.npy"
  grep -qF "global_step.npy: collection=trainable_variables hides this name" "$mnt.log" || fail "does not say why: $(cat "$mnt.log")"
  refuses "Operation not permitted" mv "$step/w.npy" "$step/v.npy"
  rm "$step/b.npy"
  cp "$mnt/my-model-0/w.npy" "$step/w.npy"
  committed "$base" my-model-2001 -b.npy "~w.npy"
  hidden_is_kept "$base" my-model-2001 -b.npy "~w.npy"
  # It is in the collection all the same.
  cp "$mnt/my-model-0/b.npy" "$mnt/my-model-2001/b.npy"
  committed my-model-2001 my-model-2002 +b.npy
  cp -r "$mnt/my-model-0" "$mnt/copy"
  sync "$mnt/copy"
  diff -r "$mnt/my-model-0" "$mnt/copy"
  rm -r "${mnt:?}/copy"
  mkdir "$mnt/own"
  cp "$mnt/my-model-0/w.npy" "$mnt/own/any.npy"
  sync "$mnt/own"
  check_equal "without a meta graph" "$(files_of "$mnt/own")" any.npy
  nothing_is_lost
  remember
  rm "$mnt/my-model-1000/b.npy"
  sync -f "$source"
  kill_daemon
  mount_ckpt "$source" -o commit=sync
  check_equal "taken up" "$(files_of "$mnt/my-model-1000")" w.npy
  refuses "Operation not permitted" cp "$mnt/my-model-1000/w.npy" "$mnt/my-model-1000/global_step.npy"
  sync "$mnt/my-model-1000"
  nothing_is_lost
  hidden_is_kept my-model-1000 my-model-2003 -b.npy
  unmount
}

# A mount that ends commits; and so does the timer.
they_are_kept_unasked() {
  writable linear 'var_list=w'
  cp "$mnt/my-model-0/w.npy" "$mnt/$base/w.npy"
  unmount
  nothing_is_lost
  hidden_is_kept "$base" my-model-2001 "~w.npy"
  writable linear 'var_list=w,commit=1'
  cp "$mnt/my-model-0/w.npy" "$mnt/$base/w.npy"
  until [ -e "$source/my-model-2001.index" ]; do nap; done
  sync "$mnt/$base"
  [ ! -e "$mnt/my-model-2002" ] || fail "published twice"
  hidden_is_kept "$base" my-model-2001 "~w.npy"
  unmount
}

# Of V1, and with partitioned variables.
other_formats() {
  writable v1 'var_list=emb/*'
  rm "$mnt/model.ckpt-10/emb/Adam.npy"
  committed model.ckpt-10 model.ckpt-11 -emb/Adam.npy
  hidden_is_kept model.ckpt-10 model.ckpt-11 -emb/Adam.npy
  unmount
  writable partitioned 'var_list=model/*'
  check_equal seen "$(ls "$mnt/model-3/model")" "$(printf '%s\n' columns.npy middle.npy rows.npy vector.npy whole.npy)"
  rm "$mnt/model-3/model/whole.npy"
  committed model-3 model-4 -model/whole.npy
  hidden_is_kept model-3 model-4 -model/whole.npy
  unmount
}

run_tests globs_select what_is_seen_is_as_ever changes_keep_the_rest the_rest_is_a_step a_step_is_removed_as_a_whole \
  a_copy_has_what_is_seen a_copy_is_object_based hidden_names_are_refused a_hidden_folder_is_made a_draft_keeps_its_list \
  collections_select a_new_meta_graph_counts collections_are_written they_are_kept_unasked other_formats
