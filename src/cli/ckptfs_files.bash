# What the completions of mount.ckptfs, umount.ckptfs and fsck.ckptfs share: files and folders, but never what is in a mount of
# ckptfs. A daemon that hangs would have the shell hang, and none of these programs takes anything from there.
# shellcheck shell=bash

# Fills the caller's array `mounted`: [MOUNTPOINT]=yes for each mount of ckptfs. Nothing is asked of them.
_ckptfs_mounts() {
  local where type rest
  while read -r _ where type rest; do
    printf -v where '%b' "$where" # the kernel's octal escapes
    [[ $type != fuse.ckptfs ]] || mounted[$where]=yes
  done </proc/self/mounts
}

# The word $1 without what quotes in it.
_ckptfs_plain() {
  printf '%s' "${1//[\\\'\"]/}"
}

# The folder $1, as it was typed, without links, in the caller's `folder`. Status 1: it is a mount of the caller's `mounted` or
# lies in one; it is looked at up to there.
_ckptfs_folder() {
  local rest part links=0
  rest=$(_ckptfs_plain "$1")
  [[ ! $rest =~ ^\$\{?([A-Za-z_][A-Za-z_0-9]*)\}?(/.*)$ ]] || rest=${!BASH_REMATCH[1]:-}${BASH_REMATCH[2]}
  case $rest in
    /*) ;;
    \~/*) rest=$HOME/${rest#??} ;;
    *) rest=$(readlink /proc/self/cwd)/$rest ;; # `pwd -P` would ask the folder itself
  esac
  folder=
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    rest=${rest#"$part"}
    rest=${rest#/}
    case $part in
      "" | .) continue ;;
      ..) folder=${folder%/*} ;;
      *) folder+=/$part ;;
    esac
    [ -z "${mounted[${folder:-/}]:-}" ] || return 1
    if [ -L "$folder" ] && ((++links < 40)); then
      rest=$(readlink "$folder")/$rest
      folder=${folder%/*}
      [[ $rest != /* ]] || folder=
    fi
  done
}

# Files and folders that begin with the word $1, in COMPREPLY; no mounts of ckptfs.
_ckptfs_files() {
  local -A mounted=()
  local folder='' under='' name found

  COMPREPLY=()
  _ckptfs_mounts
  [[ $1 != */* ]] || under=${1%/*}/
  _ckptfs_folder "$under" || return 0
  compopt -o filenames
  mapfile -t found < <(compgen -f -- "$1")
  for name in "${found[@]}"; do
    [ -n "${mounted[$folder/${name##*/}]:-}" ] || COMPREPLY+=("$name")
  done
}
