# Completion of ckptfs for bash: verbs, options, files, and the steps and variables in a checkpoint directory.
# shellcheck shell=bash
# shellcheck source=src/cli/ckptfs_files.bash
. "$(dirname "${BASH_SOURCE[0]}")/ckptfs_files.bash"

# Adds what `ckptfs ls` finds in the folder, step or scope of the word $1.
_ckptfs_names() {
  local under=./ name names
  local -A mounted=()
  local folder='' # _ckptfs_folder sets it

  [[ $1 != */* ]] || under=${1%/*}/
  _ckptfs_mounts
  _ckptfs_folder "$under" || return 0
  mapfile -t names < <("${COMP_WORDS[0]}" ls "$(_ckptfs_plain "$under")" 2>/dev/null)
  [[ $1 == */* ]] || under=
  for name in "${names[@]}"; do
    [[ $under$name != "$1"* ]] || COMPREPLY+=("$under$name")
  done
}

_ckptfs() {
  local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
  local -A options=(
    [ls]="-h -l -R -r -S -t --json" [tree]="-h -L" [cat]="--format" [stat]="--json"
    [log]="--names --json" [diff]="--names-only --tolerance --json" [rm]="-r" [mv]="--help" [cp]="-r" [ln]="-f" [mkdir]="--help"
    [edit]="-n --dry-run -o" [status]="--help" [commit]="--help" [discard]="--help"
    [export]="-o" [import]="--help" [average]="-o" [cast]="--to -o" [merge]="--prefer -o"
  )
  local verbs="ls tree cat stat diff log rm mv cp ln mkdir edit status commit discard average cast merge export import verify mount umount"

  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$verbs --help --version" -- "$word")
  elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --format ]]; then
    mapfile -t COMPREPLY < <(compgen -W "text npy raw csv json" -- "$word")
  elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --to ]]; then
    mapfile -t COMPREPLY < <(compgen -W "float64 float32 float16 bfloat16 float8_e5m2 float8_e4m3fn float8_e4m3fnuz
      float8_e4m3b11fnuz float8_e5m2fnuz" -- "$word")
  elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --prefer ]]; then
    mapfile -t COMPREPLY < <(compgen -W "a b" -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "${options[$verb]:-} --help" -- "$word")
  else
    _ckptfs_files "$word"
    [ -z "${options[$verb]:-}" ] || _ckptfs_names "$word"
  fi
}
complete -F _ckptfs ckptfs
