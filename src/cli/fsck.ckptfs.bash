# Completion of fsck.ckptfs for bash.
# shellcheck shell=bash
# shellcheck source=src/cli/ckptfs_files.bash
. "$(dirname "${BASH_SOURCE[0]}")/ckptfs_files.bash"

_fsck_ckptfs() {
  local word=${COMP_WORDS[COMP_CWORD]}

  if [[ $word == -* ]]; then
    compopt +o filenames
    mapfile -t COMPREPLY < <(compgen -W "-n -y -a -p -C -V --json --help --version" -- "$word")
  else
    _ckptfs_files "$word"
  fi
}
complete -F _fsck_ckptfs fsck.ckptfs
