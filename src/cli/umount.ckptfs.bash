# Completion of umount.ckptfs for bash.
# shellcheck shell=bash

_umount_ckptfs() {
  local word=${COMP_WORDS[COMP_CWORD]} at type rest

  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "-f -l -n -r -v -N -t --help --version" -- "$word")
    return
  fi
  compopt -o filenames
  COMPREPLY=()
  while read -r _ at type rest; do
    printf -v at '%b' "$at" # the kernel's octal escapes
    [[ $type != fuse.ckptfs || $word != "$at"/* ]] || return 0 # nothing in it is looked at
    [[ $type != fuse.ckptfs || $at != "$word"* ]] || COMPREPLY+=("$at")
  done </proc/self/mounts
  [ "${#COMPREPLY[@]}" != 0 ] || mapfile -t COMPREPLY < <(compgen -d -- "$word")
}
complete -F _umount_ckptfs umount.ckptfs
