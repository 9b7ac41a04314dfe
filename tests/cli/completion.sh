#!/usr/bin/env bash
# What bash, zsh and fish offer for mount.ckptfs, umount.ckptfs, fsck.ckptfs and ckptfs. The daemon is stopped meanwhile: a shell that asks anything in
# the mount waits until `timeout` ends it, after more time than a slow machine takes for the rest.
. "$(dirname "$0")/../lib/mount.sh"
need timeout readlink zsh fish
PATH=$builddir:$PATH

# completed FOLDER PROGRAM WORD: what is offered for the word in that folder, a line each, in $tmp/out; $tmp/options
# has the options that bash is to complete with.
completed() {
  : >"$tmp/options"
  # shellcheck disable=SC2016 # for the other bash
  run timeout -k 1 60 bash -c '
    cd "$1" && . "$2/src/cli/$3.bash" || exit
    told=$6
    compopt() { printf "%s\n" "$*" >>"$told"; }
    COMP_WORDS=("$3" "$4")
    COMP_CWORD=1
    kill -STOP "$5"
    "_${3/./_}"
    printf "%s\n" "${COMPREPLY[@]}" | LC_ALL=C sort' - "$1" "$srcdir" "$2" "$3" "${daemons[$mnt]}" "$tmp/options"
  kill -CONT "${daemons[$mnt]}"
  [ "$status" = 0 ] || fail "completion of $2 $3 in $1 ended with status $status (124: it waits): $(cat "$tmp/err")"
  [ ! -s "$tmp/err" ] || fail "completion of $2 $3 says: $(cat "$tmp/err")"
}

# offers FOLDER PROGRAM WORD [OFFERED...]
offers() {
  completed "$1" "$2" "$3"
  diff <(printf '%s\n' "${@:4}") "$tmp/out" >&2 || fail "for '$2 $3' in $1 it offers something else"
}

# Each way to name what is in the mount; none of them is looked at.
what_is_in_a_mount_is_not_offered() {
  local program
  for program in mount.ckptfs umount.ckptfs fsck.ckptfs; do
    offers / "$program" "$mnt/"
    offers / "$program" "$mnt/my-"
    offers / "$program" "$mnt/my-model-0/"
    offers / "$program" "$mnt/my-model-0/../"
    offers / "$program" "$work/other dir/../at/"
    offers / "$program" "$work/other\\ dir/../at/my"
    offers / "$program" "\"$work/other dir/../at/my"
    offers "$work" "$program" at/
    offers "$work" "$program" ./at/my
    offers "$work" "$program" link/
    offers "$work" "$program" absolute/my-model-0/
    offers "$mnt" "$program" my
    offers "$mnt/my-model-0" "$program" ../
    offers "$mnt" "$program" ../f
    HOME=$work offers / "$program" \~/at/
    HOME=$work offers / "$program" "\$HOME/at/"
    HOME=$mnt offers / "$program" "\"\${HOME}/my"
  done
}

files_but_no_mounts_are_offered() {
  local program
  for program in mount.ckptfs fsck.ckptfs; do
    offers / "$program" "$work/a" "$work/absolute" "$work/around" "$work/at.log"
    offers / "$program" "$work/" "$work/absolute" "$work/around" "$work/at.log" "$work/file" "$work/link" "$work/other dir"
    offers "$work" "$program" a absolute around at.log
    offers "$work" "$program" "" absolute around at.log file link "other dir"
    offers "$work/around" "$program" ../f ../file
    HOME=$work offers / "$program" \~/f \~/file
  done
}

mounts_are_offered_to_umount() {
  offers / umount.ckptfs "$work/" "$mnt"
  offers / umount.ckptfs "$work/a" "$mnt"
  offers / umount.ckptfs "$mnt" "$mnt"
  offers "$work" umount.ckptfs a at
  offers "$work/around" umount.ckptfs ../ ../at
  offers "$tmp" umount.ckptfs w work/at
  offers / umount.ckptfs "$work/f"
  offers / umount.ckptfs "$work/file"
  HOME=$work offers / umount.ckptfs \~/a \~/at
  HOME=$work offers / umount.ckptfs "\$HOME/a" "\$HOME/at"
  completed / umount.ckptfs ""
  grep -qxF "$mnt" "$tmp/out" || fail "it offers no mount"
}

# Bash asks a lone file name whether it is a folder: the mount would have to answer.
a_mount_is_no_file_name() {
  offers / umount.ckptfs "$mnt" "$mnt"
  [ ! -s "$tmp/options" ] || fail "bash takes it for a file name: $(cat "$tmp/options")"
}

odd_names_are_quoted() {
  mnt=$work/around/my\&mount
  mkdir "$mnt"
  start_daemon "$builddir/mount.ckptfs" "$fixtures/linear" "$mnt" --foreground -o ro
  offers / umount.ckptfs "$work/around/m" "$work/around/my\\&mount"
  offers / umount.ckptfs "$work/around/my\\&m" "$work/around/my\\&mount"
  offers / umount.ckptfs "\"$work/around/my&m" "$work/around/my&mount"
  offers / fsck.ckptfs "$work/around/my\\&mount/"
}

# says WORD... -- OFFERED...: what is offered for the last of the words behind ckptfs, in the fixtures.
says() {
  local words=()
  while [ "$1" != -- ]; do
    words+=("$1")
    shift
  done
  # shellcheck disable=SC2016 # for the other bash
  run timeout -k 1 60 bash -c '
    cd "$1" && . "$2/src/cli/ckptfs.bash" || exit
    compopt() { :; }
    COMP_WORDS=("${@:3}")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _ckptfs
    printf "%s\n" "${COMPREPLY[@]}" | LC_ALL=C sort' - "$fixtures" "$srcdir" "$builddir/ckptfs" "${words[@]}"
  [ "$status$(cat "$tmp/err")" = 0 ] || fail "completion of ${words[*]} ended with status $status: $(cat "$tmp/err")"
  diff <(printf '%s\n' "${@:2}") "$tmp/out" >&2 || fail "for 'ckptfs ${words[*]}' it offers something else"
}

# What is in a checkpoint is offered, where it is no file on disk.
verbs_and_what_is_in_a_checkpoint() {
  says l -- ln log ls
  says m -- merge mkdir mount mv
  says help ver -- verify
  says rm linear/my-model-0/w/Adam_ -- linear/my-model-0/w/Adam_1.npy
  says edit --d -- --dry-run
  says ver -- verify
  says e -- edit export
  says cast --to b -- bfloat16
  says merge --prefer "" -- a b
  says average linear/lat -- linear/latest/
  says ls --j -- --json
  says verify --j -- --json
  says cat --format n -- npy
  says export --format n -- npz
  says ls linear/my-model-0/ -- linear/my-model-0/b.npy linear/my-model-0/b/ linear/my-model-0/beta{1,2}_power.npy \
    linear/my-model-0/global_step.npy linear/my-model-0/meta_graph.pbtxt linear/my-model-0/variables.tsv \
    linear/my-model-0/w.npy linear/my-model-0/w/
  says stat linear/latest/w -- linear/latest/w.npy linear/latest/w/
  says diff linear/latest linear/my-model-0/w/Adam_ -- linear/my-model-0/w/Adam_1.npy
  says ls linear/lat -- linear/latest/
  says ls "$mnt/my-" --
}

# in_SHELL LINE...: what the shell offers in the fixtures, as lines "LINE<tab>CANDIDATE".
in_zsh() {
  timeout 60 zsh -f "$srcdir/tests/cli/completion.zsh" "$srcdir/src/cli" "$fixtures" "$@"
}

in_fish() {
  # shellcheck disable=SC2016 # for fish
  HOME=$tmp XDG_RUNTIME_DIR=$tmp timeout 60 fish --no-config -c '
    cd $argv[2]
    for file in $argv[1]/*.fish
      source $file
    end
    for line in $argv[3..]
      complete -C $line | string replace -r "\t.*" "" | string replace -r "^" $line\t
    end' "$srcdir/src/cli" "$fixtures" "$@"
}

# A line, and what is offered for it.
zsh_and_fish_offer_the_same() {
  local -a lines
  local shell line offers offer
  local table="
ckptfs m: merge mkdir mount mv
ckptfs help st: stat status
ckptfs edit --d: --dry-run
ckptfs verify --j: --json
ckptfs cast --to b: bfloat16
ckptfs merge --prefer : a b
ckptfs average linear/lat: linear/latest/
ckptfs stat linear/latest/w: linear/latest/w.npy linear/latest/w/
ckptfs rm linear/my-model-0/w/Adam_: linear/my-model-0/w/Adam_1.npy
ckptfs export linear/latest linear.exp: linear.expected.json
mount.ckptfs -o comm: commit= commit=sync
mount.ckptfs -o ro,verify=o: ro,verify=off ro,verify=open
mount.ckptfs --fore: --foreground
umount.ckptfs $work/at: $work/at
fsck.ckptfs --j: --json"

  while IFS=: read -r line offers; do
    [ -n "$line" ] || continue
    for offer in $offers; do printf '%s\t%s\n' "$line" "$offer"; done
  done <<<"$table" | LC_ALL=C sort >"$tmp/expected"
  mapfile -t lines < <(cut -f 1 "$tmp/expected" | uniq)
  for shell in zsh fish; do
    "in_$shell" "${lines[@]}" 2>&1 | LC_ALL=C sort -u >"$tmp/offered"
    diff "$tmp/expected" "$tmp/offered" >&2 || fail "$shell offers something else"
  done
}

work=$tmp/work
mkdir -p "$work/at" "$work/around" "$work/other dir"
touch "$work/file"
ln -s at "$work/link"
ln -s "$work/at" "$work/absolute"
mnt=$work/at
start_daemon "$builddir/mount.ckptfs" "$fixtures/linear" "$mnt" --foreground -o ro
run_tests what_is_in_a_mount_is_not_offered files_but_no_mounts_are_offered mounts_are_offered_to_umount \
  a_mount_is_no_file_name odd_names_are_quoted verbs_and_what_is_in_a_checkpoint zsh_and_fish_offer_the_same
