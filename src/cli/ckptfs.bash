# Completion of ckptfs for bash: verbs, options, files, and the steps and variables in a checkpoint directory. What --help says is
# offered, so there is no list to keep.
# shellcheck shell=bash
# shellcheck source=src/cli/ckptfs_files.bash
. "$(dirname "${BASH_SOURCE[0]}")/ckptfs_files.bash"

# Adds what `ckptfs ls` finds in the folder, step or scope of the word $1. Behind a / more can follow.
_ckptfs_names() {
  local under=./ name names
  local -A mounted=()
  local folder='' # _ckptfs_folder sets it

  [[ $1 != */* ]] || under=${1%/*}/
  _ckptfs_mounts
  _ckptfs_folder "$under" || return 0
  mapfile -t names < <("${COMP_WORDS[0]}" ls -p "$(_ckptfs_plain "$under")" 2>/dev/null)
  [[ $1 == */* ]] || under=
  for name in "${names[@]}"; do
    [[ $under$name != "$1"* ]] || COMPREPLY+=("$under$name")
  done
  [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != */ ]] || compopt -o nospace
}

# Fills the caller's `verbs`, and for the verb $1 `options` and `values`: those that the option $2 takes.
_ckptfs_help() {
  local line words word option=''

  while IFS= read -r line; do
    [[ $line == "  "[a-z]* ]] || continue
    line=${line#  }
    verbs+=" ${line%%  *}"
  done < <("${COMP_WORDS[0]}" --help 2>/dev/null)
  verbs=${verbs//,/}
  [[ " $verbs " == *" $1 "* ]] || return 0
  while IFS= read -r line; do
    [[ $line == "  -"* ]] || continue
    line=${line#  }
    IFS=', |' read -ra words <<<"${line%%  *}"
    for word in "${words[@]}"; do
      case $word in
        -*)
          option=${word%%[\[<]*}
          options+=" $option"
          ;;
        [a-z]*) [[ $option != "$2" ]] || values+=" $word" ;;
      esac
    done
  done < <("${COMP_WORDS[0]}" "$1" --help 2>/dev/null)
}

_ckptfs() {
  local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} verbs='' options='' values=''

  COMPREPLY=()
  _ckptfs_help "$verb" "${COMP_WORDS[COMP_CWORD - 1]}"
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$verbs help --help --version" -- "$word")
  elif [[ $verb == help ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
  elif [[ -n $values ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  else
    _ckptfs_files "$word"
    [[ $verb == @(mount|umount) ]] || _ckptfs_names "$word"
  fi
}
complete -F _ckptfs ckptfs
