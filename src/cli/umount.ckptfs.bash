# Completion of umount.ckptfs for bash: mounts of ckptfs, and nothing else.
# shellcheck shell=bash
# shellcheck source=src/cli/ckptfs_files.bash
. "$(dirname "${BASH_SOURCE[0]}")/ckptfs_files.bash"

_umount_ckptfs() {
  local word=${COMP_WORDS[COMP_CWORD]:-/} under='' folder='' at rest
  local -A mounted=()

  COMPREPLY=()
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "-f -l -n -r -v -N -t --help --version" -- "$word")
    return
  fi
  _ckptfs_mounts
  [[ $word != */* ]] || under=${word%/*}/
  _ckptfs_folder "$under" || return 0
  for at in "${!mounted[@]}"; do
    [[ $at == "$folder/$(_ckptfs_plain "${word##*/}")"* ]] || continue
    # No file names: of a lone one bash asks whether it is a folder.
    rest=${at#"$folder/"}
    [[ $word == [\'\"]* ]] || printf -v rest '%q' "$rest"
    COMPREPLY+=("${under#[\'\"]}$rest")
  done
}
complete -F _umount_ckptfs umount.ckptfs
