# Completion of fsck.ckptfs for bash.
# shellcheck shell=bash

_fsck_ckptfs() {
  local word=${COMP_WORDS[COMP_CWORD]}

  if [[ $word == -* ]]; then
    compopt +o filenames
    mapfile -t COMPREPLY < <(compgen -W "-n -y -a -p -C -V --json --help --version" -- "$word")
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F _fsck_ckptfs fsck.ckptfs
