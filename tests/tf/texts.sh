#!/usr/bin/env bash
# What a step has beside its variables is what TensorFlow, protobuf and NumPy say of it: the texts, the collections,
# the names of objects, the statistics.
. "$(dirname "$0")/../lib/mount.sh"
need diff
need_python

texts() {
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/texts.py" "$@"
}

mkdir "$tmp/made"
texts make "$tmp/made"
sources=("$tmp/made" "$fixtures")
real=${CKPTFS_REAL:-$srcdir/../shared/real}
[ ! -d "$real" ] || sources+=("$real")
pairs=()
for source in "${sources[@]}"; do
  mount_ckpt "$source" -o ro
  pairs+=("$source" "$mnt")
  [ "$source" != "$tmp/made" ] || made=$mnt
done
texts check "${pairs[@]}"
texts stats "$made/stats" "$tmp/made/stats"
mount_ckpt "$fixtures/dtypes"
texts stats "$mnt/numeric" "$fixtures/dtypes/numeric"

mount_ckpt "$tmp/made" -o ro,meta_graph_suffix=graph
texts meta "$tmp/made/suffix.graph" "$mnt/suffix/meta_graph.pbtxt"
[ ! -e "$mnt/plain-1/meta_graph.pbtxt" ] || fail "a .meta file is shown with meta_graph_suffix=graph"
[ ! -e "$made/suffix/meta_graph.pbtxt" ] || fail "a .graph file is shown without meta_graph_suffix=graph"

# Of two steps that differ in two variables, the lists differ in just these.
run diff "$made/few-0/variables.tsv" "$made/few-1000/variables.tsv"
[ "$status" = 1 ] || fail "diff ends with $status"
changed=$(sed -n 's/^[<>] \([^\t]*\)\t.*/\1/p' "$tmp/out" | sort | uniq -c | awk '{ print $1, $2 }' | paste -sd,)
[ "$changed" = "2 layer/bias,2 layer/kernel/Adam" ] || fail "diff of variables.tsv names: $changed"
