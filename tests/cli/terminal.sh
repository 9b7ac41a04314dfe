#!/usr/bin/env bash
# What ckptfs prints on a terminal: colours, columns that have room, and nothing from a file that could control it.
. "$(dirname "$0")/../lib/mount.sh"
need script

ckptfs=$builddir/ckptfs
escape=$'\e'

# on_terminal COLUMNS CMD...: as run, on a terminal of so many columns.
on_terminal() {
  local columns=$1
  shift
  run env -u COLUMNS TERM="${TERM_WANTED:-xterm}" LC_ALL=C script -qec "stty cols $columns -onlcr; $(printf '%q ' "$@")" /dev/null
}

# Also where the locale is C.
colours_are_for_terminals_that_want_them() {
  unset NO_COLOR
  on_terminal 80 "$ckptfs" ls -l net
  grep -qF "${escape}[1;34mmodel-100${escape}[0m" "$tmp/out" || fail "ls has no colours: $(cat -v "$tmp/out")"
  on_terminal 80 "$ckptfs" diff --names-only net/model-100 changed/model-201
  grep -qF "${escape}[31mremoved${escape}[0m" "$tmp/out" || fail "diff has no red: $(cat -v "$tmp/out")"
  grep -qF "${escape}[32madded${escape}[0m" "$tmp/out" || fail "diff has no green: $(cat -v "$tmp/out")"
  grep -qF "${escape}[33mchanged${escape}[0m" "$tmp/out" || fail "diff has no yellow: $(cat -v "$tmp/out")"
  NO_COLOR='' on_terminal 80 "$ckptfs" ls -l net
  grep -qF "$escape" "$tmp/out" || fail "an empty NO_COLOR counts"
  for no in NO_COLOR=1 TERM_WANTED=dumb; do
    for what in "ls -l net" "tree net" "stat net/latest" "diff net/model-100 changed/model-201" "log --names net" "status net"; do
      # shellcheck disable=SC2086 # words of a command
      (export "${no?}" && on_terminal 80 "$ckptfs" $what)
      ! grep -qF "$escape" "$tmp/out" || fail "$no ckptfs $what: $(cat -v "$tmp/out")"
    done
  done
  run env TERM=xterm "$ckptfs" ls -l net
  ! grep -qF "$escape" "$tmp/out" || fail "colours in a pipe"
}

# A line of each verb fits as soon as the names leave room. In a pipe nothing is left out.
columns_have_room() {
  local columns what
  export NO_COLOR=1
  for columns in 80 120; do
    for what in "ls -l net" "ls -lR net/latest" "tree net" "stat net/latest" "diff net/model-100 net/model-200" "log net"; do
      # shellcheck disable=SC2086 # words of a command
      on_terminal $columns "$ckptfs" $what
      ! LC_ALL=C.UTF-8 grep -E ".{$((columns + 1))}" "$tmp/out" >&2 || fail "wider than $columns: $what"
      grep -qE 'Momentum|bias|model-200' "$tmp/out" || fail "no names in $what"
    done
  done
  on_terminal 80 "$ckptfs" stat net/latest
  ! grep -qw norm "$tmp/out" || fail "80 columns have room for all"
  grep -qw 'nan/inf' "$tmp/out" || fail "80 columns have no room for nan/inf"
  on_terminal 130 "$ckptfs" stat net/latest
  "$ckptfs" stat net/latest | diff - "$tmp/out" >&2 || fail "what has room is not what is in a pipe"
}

# bundle STEP NAME...: variables of these names.
bundle() {
  local step=$1 name
  shift
  "$ckptfs" cat --format npy net/latest/output/bias >"$tmp/bias.npy"
  {
    echo "bundle 1 0"
    for name; do
      echo "tensor $(printf %s "$name" | od -An -tx1 -v | tr -d ' \n') 0 $tmp/bias.npy"
    done
  } | "$builddir/write_bundle" "$step"
}

names_are_measured_in_columns() {
  export NO_COLOR=1
  mkdir wide
  bundle wide/a-1 "ab"
  bundle wide/a-2 "abcdef" "é́" "日本語"
  on_terminal 80 "$ckptfs" diff wide/a-1 wide/a-2
  diff - "$tmp/out" >&2 <<'END' || fail "columns are not below each other"
removed  ab      DT_FLOAT [2]
added    abcdef  DT_FLOAT [2]
added    é́       DT_FLOAT [2]
added    日本語  DT_FLOAT [2]
END
  on_terminal 26 "$ckptfs" ls wide/a-2
  diff - "$tmp/out" >&2 <<'END' || fail "names side by side are not below each other"
abcdef.npy     é́.npy
variables.tsv  日本語.npy
END
}

# harmless VERB...: it says something, without a control character.
harmless() {
  local bad
  on_terminal 80 "$ckptfs" "$@"
  bad=$(LC_ALL=C grep -aP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|(?<![\xc2-\xf4\x80-\xbf])[\x80-\x9f]' "$tmp/out" || true)
  [ -z "$bad" ] || fail "ckptfs $*: $(cat -v <<<"$bad")"
  [ -s "$tmp/out" ] || fail "ckptfs $* says nothing"
}

# ESC; CSI as a character of UTF-8 and as a byte.
files_do_not_control_it() {
  local step=bad/s%1Bc-1 c1=$'c1\xc2\x9b31m'
  export NO_COLOR=1
  mkdir bad
  bundle $'bad/s\ec-1' "$c1" $'esc\e[31m' $'line\nend' $'raw\x9b31m'
  printf 'model_checkpoint_path: "s\ec-1"\nbad\e[31m' >bad/checkpoint
  harmless ls bad
  harmless ls -l bad
  harmless ls -lR "$step"
  harmless ls 'bad/*'
  harmless tree bad
  harmless cat bad/checkpoint
  harmless cat "$step/variables.tsv"
  harmless cat "$step/$c1/none"
  harmless stat "$step"
  harmless stat "$step/$c1" "$step/line%0Aend"
  harmless diff "$step" net/model-100
  harmless log bad
  harmless verify -n bad
  harmless status bad
  harmless edit -n "$step" "mv $c1 moved"
  "$ckptfs" ls "$step" | grep -qaF "$c1.npy" || fail "in a pipe a name is another one"
}

cp -r "$srcdir/examples/net" "$tmp/net"
chmod -R u+w "$tmp/net"
cp -r "$tmp/net" "$tmp/changed"
cd "$tmp"
"$ckptfs" edit changed/model-200 'mv output head' >"$tmp/out"
run_tests colours_are_for_terminals_that_want_them columns_have_room names_are_measured_in_columns files_do_not_control_it
