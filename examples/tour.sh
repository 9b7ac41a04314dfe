#!/usr/bin/env bash
# Mounts a copy of the checkpoint in examples/net, looks around in it, changes it and unmounts it: tour.sh [PROGRAM]
#
# PROGRAM is mount.ckptfs if that is installed. Works as root and, through fusermount3, as anyone.
set -euo pipefail

program=$(command -v "${1:-mount.ckptfs}") || {
  echo "tour.sh: no ${1:-mount.ckptfs}; examples/quickstart.sh builds it" >&2
  exit 1
}
program=$(realpath "$program")
examples=$(cd "$(dirname "$0")" && pwd)
work=
mnt=

die() {
  printf 'tour.sh: %s\n' "$*" >&2
  exit 1
}

check_fuse() {
  [ -c /dev/fuse ] ||
    die "there is no /dev/fuse: load the kernel's module (modprobe fuse); a container needs" \
      "to be started with --device /dev/fuse --cap-add SYS_ADMIN"
  { : <>/dev/fuse; } 2>/dev/null ||
    die "you may not open /dev/fuse: run this as root; a container needs to be started with" \
      "--device /dev/fuse --cap-add SYS_ADMIN"
}

# As root umount(8) does; anyone else unmounts what is theirs through fusermount3.
unmount=(umount)
[ "$(id -u)" = 0 ] || unmount=(fusermount3 -u)

clean_up() {
  cd /
  if [ -n "$work" ]; then
    ! mountpoint -q "$mnt" || "${unmount[@]}" "$mnt"
    rm -rf --one-file-system "$work"
  fi
}

say() {
  printf '\n== %s\n' "$*"
}

# show CMD...: prints it as one would type it, and runs it.
show() {
  local word line='$'
  for word; do
    case $word in
      *[!A-Za-z0-9_./,:=-]*) line+=" ${word@Q}" ;;
      *) line+=" $word" ;;
    esac
  done
  printf '%s\n' "$line"
  "$@"
}

check_fuse
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
work=$(mktemp -d "${TMPDIR:-/tmp}/ckptfs-tour.XXXXXX")
work=$(realpath "$work")
mnt=$work/ckpt
mkdir "$mnt"
cp -r "$examples/net" "$work/"
chmod -R u+w "$work/net"

say "A directory in which tf.train.Saver saved two steps"
cd "$work"
show ls net

say "Mounted, each step is a folder, and each variable in it a NumPy file"
show "$program" net "$mnt" ||
  die "the mount was refused; in a container, --device /dev/fuse --cap-add SYS_ADMIN is needed"
cd "$mnt"
show ls -F . model-200 model-200/hidden

say "A variable: a header that says what it is, and the array"
if python3 -c 'import numpy' 2>/dev/null; then
  show python3 -c 'import numpy; print(numpy.load("model-200/output/bias.npy"))'
elif command -v python3 >/dev/null; then
  show python3 "$examples/npy.py" model-200/output/bias.npy
else
  show od -A d -j 128 -t f4 model-200/output/bias.npy
fi

say "Which variables did training change from step 100 to step 200? (Not the embedding.)"
show diff -rq model-100 model-200 || true

say "What the index says of a variable"
if command -v getfattr >/dev/null; then
  show getfattr -d model-200/hidden/kernel.npy
elif command -v python3 >/dev/null; then
  show python3 -c 'import os
for name in os.listxattr("model-200/hidden/kernel.npy"):
    print(name, os.getxattr("model-200/hidden/kernel.npy", name).decode())'
else
  echo "(getfattr, which shows it, comes with Debian's package attr)"
fi

say "Step 200 without the optimizer's slots: what is changed becomes a new step, and the old one stays"
show find model-200 -name Momentum.npy -delete
show sync model-200
show ls
show readlink latest
show ls -F latest/hidden model-200/hidden

say "Unmounting"
cd /
show "${unmount[@]}" "$mnt"

cat <<END

The program is $program
Now your own: it needs an empty folder, and the directory, prefix or any file of a checkpoint.

  PATH=$(dirname "$program"):\$PATH      # or for good, and for mount -t ckptfs: make -C $(dirname "$program") install
  mkdir -p ~/ckpt
  mount.ckptfs DIRECTORY ~/ckpt
  ls ~/ckpt
  ${unmount[*]} ~/ckpt

More: README.md; man -l man/mount.ckptfs.8 man/ckptfs.5; the other scripts in examples/
END
