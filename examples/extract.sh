#!/bin/sh
# Copies one scope of a step, and nothing else, out of a checkpoint: extract.sh MOUNT/model-200 hidden DEST
#
# DEST then holds hidden.npy and hidden/, as far as there are such. Run again, it copies only what changed.
set -eu

[ $# = 3 ] || {
  echo "usage: extract.sh STEP SCOPE DEST" >&2
  exit 2
}
step=$1 scope=$2 dest=$3

mkdir -p "$dest"
# rsync -R keeps the part of the path behind /./
set --
for path in "$step/./$scope.npy" "$step/./$scope"; do
  [ ! -e "$path" ] || set -- "$@" "$path"
done
[ $# -gt 0 ] || {
  echo "extract.sh: $step has nothing named $scope" >&2
  exit 1
}
exec rsync -aR --chmod=u+w "$@" "$dest/"
