#!/usr/bin/env bash
# Every verb of ckptfs on every checkpoint, in a place without /dev/fuse, as an unprivileged user. What it says and makes is compared
# with TensorFlow, NumPy and safetensors.
without_fuse=yes
. "$(dirname "$0")/../lib/mount.sh"
need_python
need unshare setpriv

# hidden CMD...: with a /dev in which there is no fuse.
hidden() {
  if [ ! -e /dev/fuse ]; then
    "$@"
    return
  fi
  local how=(unshare -m)
  [ "$(id -u)" = 0 ] || how=(unshare -Urm)
  "${how[@]}" true 2>/dev/null || skip_optional "mount namespaces can't be made here"
  mkdir "$tmp/dev"
  # shellcheck disable=SC2016 # the other shell's
  "${how[@]}" bash -ec '
    mount -t tmpfs none "$1/dev"
    for name in null zero full random urandom tty; do
      touch "$1/dev/$name"
      mount --bind "/dev/$name" "$1/dev/$name"
    done
    ln -s /proc/self/fd "$1/dev/fd"
    mkdir -m 1777 "$1/dev/shm"
    mount --rbind "$1/dev" /dev
    [ ! -e /dev/fuse ]
    exec "${@:2}"' bash "$tmp" "$@"
}

export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" PYTHONDONTWRITEBYTECODE=1
if [ "$(id -u)" = 0 ] && as_user test -x "$builddir/ckptfs"; then
  export CKPTFS_AS_USER="${unprivileged[*]}"
fi
if with_sanitizers; then
  export CKPTFS_FEW=yes
fi
hidden "$CKPTFS_PYTHON" "$srcdir/tests/tf/verbs.py" "$builddir" "$fixtures" "$tmp" "$@"
