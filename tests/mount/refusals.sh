#!/usr/bin/env bash
# The command line: what is mounted, what is refused and with which words, and that nothing is left behind.
. "$(dirname "$0")/../lib/mount.sh"
need pgrep

program=$builddir/mount.ckptfs
at=$tmp/at

# --- helpers --------------------------------------------------------------------------------------------

copy_linear() {
  mkdir -p "$tmp/linear"
  cp -r "$fixtures/linear/." "$tmp/linear"
  chmod -R u+w,a+rX "$tmp/linear"
}

daemons_here() {
  pgrep -f -- "mount\.ckptfs.* $tmp" || true
}

mounted_here() {
  grep -F " $tmp/" /proc/self/mounts || true
}

nothing_is_left() {
  [ -z "$(mounted_here)" ] || fail "$1 left a mount: $(mounted_here)"
  [ -z "$(daemons_here)" ] || fail "$1 left a process"
}

# refused STATUS WORDS ARGUMENT...: that status, one line that begins with the program and has the words.
refused() {
  local status=$1 words=$2
  shift 2
  check_status "$status" "$program" "$@"
  [[ $(<"$tmp/err") = "mount.ckptfs: "* ]] || fail "no sentence for $*: $(cat "$tmp/err")"
  grep -qF -- "$words" "$tmp/err" || fail "does not say '$words' for $*: $(cat "$tmp/err")"
  [ ! -s "$tmp/out" ] || fail "writes to stdout for $*"
}

# eventually CMD...: a daemon ends a little later than its mount.
eventually() {
  local end=$((SECONDS + 5))
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "still does not succeed: $*"
    sleep 0.01
  done
}

no_daemon() {
  [ -z "$(daemons_here)" ]
}

unmount_at() {
  if [ "$(id -u)" = 0 ]; then
    umount "$1"
  else
    fusermount3 -u "$1"
  fi
  eventually no_daemon
}

# mounts ARGUMENT...: it succeeds silently, and the mount serves when the program returns.
mounts() {
  check_status 0 "$program" "$@"
  [ -z "$(cat "$tmp/err" "$tmp/out")" ] || fail "is not silent for $*: $(cat "$tmp/err" "$tmp/out")"
  mountpoint -q "$2" || fail "is not mounted: $*"
}

# shows NAME...: these names and no others are at the top of the mount, but for the link to the latest step.
shows() {
  diff <(printf '%s\n' "$@" | LC_ALL=C sort) <(LC_ALL=C ls -A -I latest "$at") >&2 || fail "shows other names"
}

# --- the command line -----------------------------------------------------------------------------------

wrong_usage_is_refused() {
  refused 1 "a source and a mountpoint are needed"
  refused 1 "a source and a mountpoint are needed" "$tmp/linear"
  refused 1 "too many arguments" "$tmp/linear" "$at" more
  refused 1 "nosuch" "$tmp/linear" "$at" --nosuch
  refused 1 "requires an argument" "$tmp/linear" "$at" -o
  nothing_is_left "wrong usage"
}

wrong_options_are_refused() {
  local option
  for option in nosuch nosuch=1 uid uid= uid=x uid=-1 uid=4294967295 gid=1x umask=9 umask=1777 cache= cache=x cache=M cache=-1 cache=1X cache=1MB cache=99999999999G keep_checkpoint_every_n_hours=x keep_checkpoint_every_n_hours=-1 \
    filename= filename=a/b latest_filename=a/b remount allow_other=1; do
    refused 1 "option ${option%%=*}" "$tmp/linear" "$at" -o "ro,$option"
  done
  refused 1 "unknown option nosuch" "$tmp/linear" "$at" -o nosuch
  nothing_is_left "a wrong option"
}

options_need_their_values() {
  local option
  for option in cache commit compact filename fsname gid keep_checkpoint_every_n_hours latest_filename max_to_keep meta_graph_suffix uid umask verify max_read; do
    refused 1 "option $option needs a value" "$tmp/linear" "$at" -o "ro,$option"
    refused 1 "option $option needs a value" "$tmp/linear" "$at" -s -o "ro,$option"
  done
  refused 1 "option allow_other=1: it takes no value" "$tmp/linear" "$at" -o ro,allow_other=1
  nothing_is_left "an option without its value"
}

help_and_version_go_to_stdout() {
  check_status 0 "$program" --help
  grep -q "^Usage: mount.ckptfs SOURCE MOUNTPOINT" "$tmp/out"
  [ ! -s "$tmp/err" ] || fail "--help writes to stderr"
  check_status 0 "$program" --version
  grep -q "^ckptfs [0-9]" "$tmp/out"
}

# helps_options: the options that --help lists, as they are completed. Those that need a value end in "=".
helps_options() {
  "$program" --help | sed -n '/^Options (more/,/^Options for/s/^  \([a-z_]*=\{0,1\}\).*/\1/p'
  "$program" --help | sed '1,/^Options for/d' | tr -s ' ' '\n' | sed '/^$/d; s/=.*/=/'
}

help_lists_all_options_and_how_to_unmount() {
  local option n=0
  run "$program" --help
  grep -q "^To unmount: umount.ckptfs MOUNTPOINT" "$tmp/out" || fail "does not say how to unmount"
  [ "$(wc -L <"$tmp/out")" -le 100 ] || fail "--help has lines of more than 100 columns"
  for option in $(helps_options); do
    n=$((n + 1))
    case $option in
      *=) refused 1 "option ${option%=} needs a value" -f "$tmp/linear" "$at" -o "${option%=}" ;;
      *) refused 1 "option $option=1: it takes no value" -f "$tmp/linear" "$at" -o "$option=1" ;;
    esac
  done
  [ "$n" -ge 30 ] || fail "--help lists $n options"
}

# completed WORD...: what bash offers for the last word of the command line.
completed() (
  set +u
  compopt() { :; }
  # shellcheck source=src/cli/mount.ckptfs.bash
  . "$srcdir/src/cli/mount.ckptfs.bash"
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  _mount_ckptfs
  printf '%s\n' "${COMPREPLY[@]}"
)

# Of those that are handed on it offers the ones that people use.
completion_and_help_have_the_same_options() {
  local option
  completed mount.ckptfs -o "" | sed 's/=.*/=/' | sort -u >"$tmp/offered"
  helps_options | sort -u >"$tmp/listed"
  [ -z "$(comm -23 "$tmp/offered" "$tmp/listed")" ] || fail "completed, and not in --help: $(comm -23 "$tmp/offered" "$tmp/listed")"
  "$program" --help | sed '/^Options for/,$d' >"$tmp/ours"
  for option in $(comm -13 "$tmp/offered" "$tmp/listed"); do
    ! grep -q "^  $option" "$tmp/ours" || fail "in --help, and not completed: $option"
  done
  [ "$(completed mount.ckptfs -o ro,comm)" = $'ro,commit=\nro,commit=sync' ] || fail "a second option is not completed"
  for option in $(completed mount.ckptfs -); do
    grep -q -- "^  .*$option\b" "$tmp/ours" || fail "completed, and not in --help: $option"
  done
}

a_fake_mount_checks_and_mounts_nothing() {
  check_status 0 "$program" -f "$tmp/linear" "$at"
  refused 32 "$tmp/none" -f "$tmp/none" "$at"
  refused 32 "$tmp/none" -f "$tmp/linear" "$tmp/none"
  nothing_is_left "-f"
}

sloppy_ignores_unknown_options() {
  mounts "$tmp/linear" "$at" -s -o nosuch,other=1
  unmount_at "$at"
}

# As mount(8) has it: what is known and wrong is no unknown option.
sloppy_does_not_ignore_wrong_values() {
  local option
  for option in verify=x meta_graph_suffix=a/b uid=x commit=x compact=2 allow_other=1 remount; do
    refused 1 "option $option" "$tmp/linear" "$at" -s -o "ro,nosuch,$option"
  done
  nothing_is_left "a wrong value"
}

verbose_says_what_is_mounted_where() {
  check_status 0 "$program" -v "$tmp/linear" "$at"
  grep -qF "$tmp/linear mounted on $at" "$tmp/out" || fail "-v says: $(cat "$tmp/out")"
  unmount_at "$at"
}

# --- sources and mountpoints ----------------------------------------------------------------------------

wrong_sources_are_refused() {
  echo text >"$tmp/note.txt"
  refused 32 "$tmp/none: no such directory, and no checkpoint" "$tmp/none" "$at"
  refused 32 "$tmp/none/" "$tmp/none/prefix" "$at"
  refused 32 "$tmp/linear/my-model: no such" "$tmp/linear/my-model" "$at"
  refused 32 "$tmp/linear/my-model-7: no such" "$tmp/linear/my-model-7" "$at"
  refused 32 "$tmp/note.txt: a file that belongs to no checkpoint" "$tmp/note.txt" "$at"
  refused 32 "$fixtures/linear.expected.json: a file" "$fixtures/linear.expected.json" "$at"
  nothing_is_left "a wrong source"
}

wrong_mountpoints_are_refused() {
  refused 32 "mountpoint $tmp/none: No such file" "$tmp/linear" "$tmp/none"
  refused 32 "mountpoint $tmp/note.txt: not a directory" "$tmp/linear" "$tmp/note.txt"
  mkdir -p "$tmp/linear/inside/it"
  refused 32 "lies inside the checkpoint directory" "$tmp/linear" "$tmp/linear/inside/it"
  refused 32 "lies inside the checkpoint directory" "$tmp/linear" "$tmp/linear/../linear/inside"
  rm -r "$tmp/linear/inside"
  nothing_is_left "a wrong mountpoint"
}

a_busy_mountpoint_is_refused() {
  mounts "$tmp/linear" "$at"
  refused 32 "mountpoint $at is busy: $tmp/linear is mounted there already" "$fixtures/net" "$at"
  [ "$(mounted_here | wc -l)" = 1 ] || fail "is mounted twice"
  unmount_at "$at"
  nothing_is_left "a busy mountpoint"
}

disconnected() {
  ! ls "$at" 2>"$tmp/ls" && grep -q "Transport endpoint is not connected" "$tmp/ls"
}

a_dead_mount_is_refused_until_it_is_unmounted() {
  mounts "$tmp/linear" "$at"
  kill -KILL "$(daemons_here)"
  eventually no_daemon
  eventually disconnected
  refused 32 "umount it first" "$tmp/linear" "$at"
  unmount_at "$at"
  mounts "$tmp/linear" "$at"
  unmount_at "$at"
}

# mounts_and_says WORDS ARGUMENT...: it succeeds, serves, and says one line on stderr.
mounts_and_says() {
  local words=$1
  shift
  check_status 0 "$program" "$@"
  grep -qF -- "$words" "$tmp/err" || fail "does not say '$words' for $*: $(cat "$tmp/err")"
  [ "$(wc -l <"$tmp/err")" = 1 ] || fail "says more than a line for $*: $(cat "$tmp/err")"
  mountpoint -q "$2" || fail "is not mounted: $*"
}

an_empty_directory_is_an_empty_mount() {
  mkdir -p "$tmp/empty"
  mounts_and_says "mount.ckptfs: $tmp/empty: has no checkpoint" "$tmp/empty" "$at"
  grep -qF "PREFIX.index" "$tmp/err" || fail "does not say what was looked for: $(cat "$tmp/err")"
  [ -z "$(ls -A "$at")" ] || fail "is not empty"
  unmount_at "$at"
}

a_directory_without_a_checkpoint_is_mounted_with_a_line() {
  mkdir -p "$tmp/pictures/of/cats"
  echo text >"$tmp/pictures/readme.txt"
  cp "$fixtures"/linear/my-model-0.data* "$tmp/pictures/of"
  mounts_and_says "$tmp/pictures: has no checkpoint, nor has a folder in it" "$tmp/pictures" "$at"
  unmount_at "$at"
  mounts_and_says "has no checkpoint of the family of other" "$tmp/linear" "$at" -o filename=other-7
  unmount_at "$at"
  check_status 0 "$program" -f "$tmp/pictures" "$at"
  grep -qF "has no checkpoint" "$tmp/err" || fail "-f does not say it"
  cp "$fixtures"/linear/my-model-0.index "$tmp/pictures/of/cats"
  mounts "$tmp/pictures" "$at"
  unmount_at "$at"
}

a_mountpoint_over_the_source_itself_serves() {
  mounts "$tmp/linear" "$tmp/linear"
  [ -d "$tmp/linear/my-model-0" ] || fail "does not show the steps"
  unmount_at "$tmp/linear"
}

relative_paths_work() {
  cd "$tmp"
  mounts linear at
  shows checkpoint my-model-0 my-model-1000 my-model-2000
  grep -q "^$tmp/linear $at " <<<"$(mounted_here)" || fail "the list of mounts shows $(mounted_here)"
  unmount_at "$at"
  mkdir -p one/two
  cd one/two
  mounts ../../linear/./my-model-0.index ../../at/
  unmount_at "$at"
  cd /
}

# in_mounts SOURCE MOUNTPOINT: the kernel escapes what is special in a line.
in_mounts() {
  local source mountpoint
  while read -r source mountpoint _; do
    [ "$(printf '%b' "$source")" != "$1" ] || [ "$(printf '%b' "$mountpoint")" != "$2" ] || return 0
  done < <(mounted_here)
  return 1
}

odd_names_work() {
  local name dir
  for name in 'with space' 'a,b' 'a\b' '\,' 'a=b' $'line\nbreak' $'tab\there' 'naïve 日本' '#x' '-o' \
    'a\040b' '"quoted"' '%s'; do
    dir="$tmp/$name"
    mkdir -p "$dir/to"
    cp -r "$tmp/linear" "$dir/from"
    mounts "$dir/from" "$dir/to"
    in_mounts "$dir/from" "$dir/to" || fail "'$name' is listed as $(mounted_here)"
    cat "$dir/to/my-model-0/w.npy" >/dev/null
    unmount_at "$dir/to"
  done
}

# --- which steps a source shows -------------------------------------------------------------------------

make_families() {
  mkdir -p "$tmp/mixed/sub"
  cp "$fixtures"/linear/* "$fixtures"/net/my_net* "$fixtures"/sharded/model-7* "$tmp/mixed"
  cp "$fixtures"/net/my_net* "$tmp/mixed/sub"
  cp "$fixtures"/linear/my-model-0.index "$tmp/mixed/no-number.index"
  chmod -R u+w,a+rX "$tmp/mixed"
}

a_directory_shows_all_families() {
  local source
  for source in "$tmp/mixed" "$tmp/mixed/" "$tmp/mixed/checkpoint"; do
    mounts "$source" "$at"
    shows checkpoint model-7 my-model-0 my-model-1000 my-model-2000 my_net.ckpt no-number sub
    unmount_at "$at"
  done
}

# It is named by its prefix, or by any of its files.
a_step_shows_its_family() {
  local suffix
  for suffix in '' .index .meta .data-00000-of-00001; do
    mounts "$tmp/mixed/my-model-1000$suffix" "$at"
    shows checkpoint my-model-0 my-model-1000 my-model-2000
    unmount_at "$at"
    mounts "$tmp/mixed/my_net.ckpt$suffix" "$at"
    shows checkpoint my_net.ckpt
    unmount_at "$at"
  done
  mounts "$tmp/mixed/model-7.data-00002-of-00003" "$at"
  shows checkpoint model-7
  unmount_at "$at"
  mounts "$tmp/mixed" "$at" -o filename=my-model-0
  shows checkpoint my-model-0 my-model-1000 my-model-2000
  unmount_at "$at"
}

a_saved_model_is_mounted() {
  mounts "$fixtures/savedmodel" "$at"
  shows variables
  ls "$at/variables/variables" >/dev/null
  unmount_at "$at"
  mounts "$fixtures/savedmodel/variables" "$at"
  shows variables
  unmount_at "$at"
  mounts "$fixtures/savedmodel/variables/variables.index" "$at"
  shows variables
  unmount_at "$at"
}

another_state_file_is_shown() {
  mounts "$fixtures/rotation" "$at" -o latest_filename=mylatest
  cmp "$fixtures/rotation/mylatest" "$at/mylatest"
  [ ! -e "$at/checkpoint" ] || fail "shows a file that is not there"
  unmount_at "$at"
  mounts "$fixtures/rotation/mylatest" "$at" -o latest_filename=mylatest
  unmount_at "$at"
  mounts "$fixtures/rotation" "$at"
  [ ! -e "$at/mylatest" ] || fail "shows a file that is no state file"
  unmount_at "$at"
}

owner_and_permissions_can_be_set() {
  mounts "$tmp/linear" "$at" -o uid=1234,gid=5678,umask=037
  [ "$(find "$at" -mindepth 1 -printf '%U %G\n' | sort -u)" = "1234 5678" ] || fail "not all belong to 1234"
  [ "$(find "$at" -type f -printf '%m\n' | sort -u)" = 640 ] || fail "not all files have 640"
  [ "$(find "$at" -type d -printf '%m\n' | sort -u)" = 740 ] || fail "not all folders have 740"
  unmount_at "$at"
}

# --- the end --------------------------------------------------------------------------------------------

a_signal_unmounts() {
  local signal
  for signal in TERM INT HUP; do
    mounts "$tmp/linear" "$at"
    kill -"$signal" "$(daemons_here)"
    eventually no_daemon
    nothing_is_left "SIG$signal"
  done
}

a_foreground_daemon_ends_well_on_a_signal() {
  local pid
  mount_ckpt "$tmp/linear"
  pid=${daemons[$mnt]}
  unset "daemons[$mnt]"
  kill -TERM "$pid"
  wait "$pid" || fail "ended with status $?"
  nothing_is_left "SIGTERM"
}

writing_is_refused() {
  mounts "$tmp/linear" "$at" -o ro
  check_says "Read-only file system" touch "$at/new"
  check_says "Read-only file system" rm "$at/my-model-0/w.npy"
  check_says "Read-only file system" mkdir "$at/my-model-0/new"
  unmount_at "$at"
}

# --- mount(8) -------------------------------------------------------------------------------------------

remove_helper() {
  [ -z "${helper:-}" ] || rm -f "$helper"
}

install_helper() {
  [ ! -e /sbin/mount.ckptfs ] || return 1
  helper=/sbin/mount.ckptfs
  ln -s "$program" "$helper"
}

mount_t_works() {
  check_status 0 mount -t ckptfs "$tmp/linear" "$at"
  mountpoint -q "$at"
  unmount_at "$at"
  check_status 0 mount -t ckptfs -o ro,noatime,nosuid,nodev,filename=my-model-0 "$tmp/linear" "$at"
  unmount_at "$at"
  check_status 1 mount -t ckptfs -o nosuch "$tmp/linear" "$at"
  check_status 32 mount -t ckptfs "$tmp/none" "$at"
  check_status 0 mount -f -t ckptfs "$tmp/linear" "$at"
  nothing_is_left "mount -t"
}

fstab_lines_work() {
  local options
  for options in defaults ro,user,noauto,nofail noauto,_netdev,x-systemd.automount,users \
    ro,owner,group,comment=x,X-mount.mkdir; do
    echo "$tmp/linear $at ckptfs $options 0 0" >"$tmp/fstab"
    check_status 0 mount -T "$tmp/fstab" "$at"
    mountpoint -q "$at" || fail "is not mounted with $options"
    umount -T "$tmp/fstab" "$at" 2>/dev/null || umount "$at"
    eventually no_daemon
  done
  mkdir -p "$tmp/with space"
  printf '%s %s ckptfs ro 0 0\n' "$tmp/linear" "$tmp/with\040space" >"$tmp/fstab"
  check_status 0 mount -T "$tmp/fstab" "$tmp/with space"
  unmount_at "$tmp/with space"
}

# --- another user ---------------------------------------------------------------------------------------

users_refusals_are_sentences() {
  mkdir -p "$tmp/users"
  [ "$(id -u)" != 0 ] || chown 65534:65534 "$tmp/users"
  [ "$(id -u)" != 0 ] || user_may_not_mount_on_roots_folder
  chmod 700 "$tmp/linear"
  if [ "$(id -u)" = 0 ]; then
    check_status 32 as_user "$program" "$tmp/linear" "$tmp/users"
    grep -qF "$tmp/linear: Permission denied" "$tmp/err" || fail "$(cat "$tmp/err")"
  fi
  chmod 755 "$tmp/linear"
  nothing_is_left "a user's refusal"
}

user_may_not_mount_on_roots_folder() {
  check_status 32 as_user "$program" "$tmp/linear" "$at"
  grep -qF "$at" "$tmp/err" || fail "$(cat "$tmp/err")"
}

a_user_mounts_in_the_background() {
  check_status 0 as_user "$program" "$tmp/linear" "$tmp/users"
  as_user cat "$tmp/users/my-model-0/w.npy" >/dev/null
  as_user fusermount3 -u "$tmp/users"
  eventually no_daemon
  nothing_is_left "a user's mount"
}

# --- all of it ------------------------------------------------------------------------------------------

mkdir "$at"
copy_linear
make_families
run_tests wrong_usage_is_refused wrong_options_are_refused options_need_their_values \
  help_and_version_go_to_stdout help_lists_all_options_and_how_to_unmount \
  completion_and_help_have_the_same_options a_fake_mount_checks_and_mounts_nothing \
  sloppy_ignores_unknown_options sloppy_does_not_ignore_wrong_values \
  verbose_says_what_is_mounted_where wrong_sources_are_refused wrong_mountpoints_are_refused \
  a_busy_mountpoint_is_refused a_dead_mount_is_refused_until_it_is_unmounted \
  an_empty_directory_is_an_empty_mount a_directory_without_a_checkpoint_is_mounted_with_a_line \
  a_mountpoint_over_the_source_itself_serves \
  relative_paths_work odd_names_work a_directory_shows_all_families a_step_shows_its_family \
  a_saved_model_is_mounted another_state_file_is_shown owner_and_permissions_can_be_set \
  a_signal_unmounts a_foreground_daemon_ends_well_on_a_signal writing_is_refused
if [ "$(id -u)" = 0 ]; then
  trap 'result=$?; remove_helper; (exit $result); clean_up' EXIT
  if install_helper; then
    run_tests mount_t_works fstab_lines_work
  fi
fi
need_user
run_tests users_refusals_are_sentences a_user_mounts_in_the_background
