# completion.zsh FOLDER DIRECTORY LINE...: what zsh offers in DIRECTORY for each LINE with the function _ckptfs of FOLDER, as lines
# "LINE<tab>CANDIDATE". Completion needs an interactive zsh, so one runs in a pseudo-terminal; its compadd tells what it is given.
zmodload zsh/zpty
folder=$1 directory=$2 text=
shift 2

cat >$TMPDIR/inner.zsh <<'END'
PROMPT= RPROMPT=
unset zle_bracketed_paste
fpath=($folder $fpath)
autoload -Uz compinit
compinit -u -D
zstyle ':completion:*' menu no
zstyle ':completion:*' list-prompt ''
compadd() {
  # Who asks only which words fit offers nothing.
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)* ]]; then
    builtin compadd "$@"
    return
  fi
  local -a fits
  local word
  builtin compadd -A fits "$@"
  for word in $fits; do print -r -- "OFFER:$IPREFIX${(Q)word}"; done
  builtin compadd "$@"
}
told() { print -r -- "END:" }
tell() { comppostfuncs=(told); zle list-choices }
zle -N tell
bindkey '^X' tell
print READY:
END

zpty shell "cd ${(q)directory}; folder=${(q)folder} TERM=dumb COLUMNS=200 zsh -f -i"
zpty -w shell "stty -echo -onlcr; folder=${(q)folder}; . ${(q)TMPDIR}/inner.zsh"
zpty -r -m shell text '*READY:*'
for line; do
  zpty -w -n shell $'\C-u'"$line"$'\C-x'
  text=
  zpty -r -m shell text '*END:*'
  for word in ${(M)${(f)text}:#*OFFER:*}; do
    print -r -- "$line"$'\t'"${${word##*OFFER:}%$'\r'}"
  done
done
zpty -d shell
