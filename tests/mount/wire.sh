#!/usr/bin/env bash
# What reading costs, counted: requests of the kernel, and opens of shards. Nothing is timed. And what stays open for the next
# reader keeps nobody from seeing what happens in the directory, and no room on the disk.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need python3

# --- counting ---------------------------------------------------------------------------------------------

# The daemon's log with --debug has a line for each request, before it is answered. Those of requests that nobody waits for, as
# RELEASE, may come later: settle waits until there are no more. Others may drop the kernel's caches, so it is tried for a while.
settle() {
  local before=-1 now=0
  while [ "$before" != "$now" ]; do
    before=$now
    sleep 0.05
    now=$(stat -c %s "$mnt.log")
  done
}

# requests CMD...: "NAME COUNT" of each kind that CMD causes, on one line, sorted.
requests() {
  local from
  settle
  from=$(stat -c %s "$mnt.log")
  "$@" >"$tmp/out"
  settle
  tail -c +$((from + 1)) "$mnt.log" | sed -n 's/.*opcode: \([A-Z_]*\) .*/\1/p' | LC_ALL=C sort | uniq -c |
    awk '{printf "%s%s %s", sep, $2, $1; sep = " "}'
}

# costs WANT CMD...: soon CMD causes just these requests. The first tells the kernel what it may keep.
costs() {
  local want=$1 have end=$((SECONDS + 30))
  shift
  while [ "$SECONDS" -lt "$end" ]; do
    have=$(requests "$@")
    [ "$have" != "$want" ] || return 0
  done
  fail "requests of $*: $have, expected: $want"
}

# opens_of FILE CMD...
opens_of() {
  python3 "$srcdir/tests/mount/wire.py" "$@"
}

# How many files the daemon has open that start with this path; those that were removed end in " (deleted)".
has_open() {
  find "/proc/${daemons[$mnt]}/fd" -lname "$1*" 2>"$tmp/err" | wc -l
}

until_open() {
  local want=$1 end=$((SECONDS + 20))
  until [ "$(has_open "$2")" = "$want" ]; do
    [ "$SECONDS" -lt "$end" ] || fail "the daemon has $(has_open "$2") of $2 open, expected $want"
    nap
  done
}

# --- a step -----------------------------------------------------------------------------------------------

hex() {
  printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'
}

# step PREFIX FILL: of a hundred variables in two shards.
step() {
  local i
  {
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1024,), }"
    head -c 4096 /dev/zero | tr '\000' "$2"
  } >"$tmp/$2.npy"
  {
    echo "bundle 2 0"
    for i in {100..199}; do echo "tensor $(hex "v$i") $((i % 2)) $tmp/$2.npy"; done
  } | "$builddir/write_bundle" "$1"
}

# deep_step PREFIX: of 120 variables in four folders.
deep_step() {
  local i
  {
    echo "bundle 1 0"
    for i in {100..219}; do echo "tensor $(hex "folder$((i % 4))/v$i") 0 $tmp/a.npy"; done
  } | "$builddir/write_bundle" "$1"
}

ck=$tmp/ck
mkdir "$ck" "$tmp/deep"
step "$ck/m-1" a
step "$ck/m-2" b
deep_step "$tmp/deep/m-1"
variables=(v{100..199}.npy)
shard=$ck/m-1.data-00000-of-00002

for i in {100..199}; do cat "$tmp/a.npy"; done >"$tmp/all"

read_all() {
  cat "${variables[@]/#/$mnt/m-1/}"
}

copy_over() {
  cat "$mnt/m-2/v100.npy" >"$mnt/m-1/v100.npy"
}

list_all() {
  ls -l "$mnt/m-1"
}

# --- the tests ---------------------------------------------------------------------------------------------

# close(2) of who only reads asks nothing. RELEASE is sent when the file is closed; nobody waits for that.
what_is_read_again_is_opened_and_no_more() {
  mount_ckpt "$ck" -o ro --debug
  costs "OPEN 1 RELEASE 1" cat "$mnt/m-1/v100.npy"
  costs "OPEN 100 RELEASE 100" read_all
  costs "" stat "$mnt/m-1/v100.npy"
  unmount
  mount_ckpt "$ck" --debug
  costs "OPEN 1 RELEASE 1" cat "$mnt/m-1/v100.npy"
  # who writes must hear of it when it can't be committed
  requests copy_over >"$tmp/requests"
  grep -q FLUSH "$tmp/requests" || fail "a file was written, and its close is not told"
  check_status 0 setfattr -n user.ckptfs.draft -v discard "$mnt/m-1"
  unmount
}

attributes_are_asked_for_once_a_file() {
  mount_ckpt "$ck" -o ro --debug
  # security.*; of ACLs the kernel remembers that there are none
  costs "GETXATTR $(find "$mnt/m-1" | wc -l) OPENDIR 1 RELEASEDIR 1" list_all
  unmount
}

without_attributes_nothing_is_asked() {
  mount_ckpt "$ck" -o ro,noxattr --debug
  costs "OPENDIR 1 RELEASEDIR 1" list_all
  check_says "not supported" getfattr -n user.ckptfs.key "$mnt/m-1/v100.npy"
  unmount
}

# looked_up CMD...: how many names CMD looks up in the step.
looked_up() {
  requests "$@" | tr ' ' '\n' | grep -A 1 -x LOOKUP | tail -n 1
}

# For names alone the kernel makes no inodes: a file that was listed is looked up when it is asked for.
names_are_listed_without_attributes() {
  mount_ckpt "$tmp/deep" -o ro --debug
  check_equal "files that find lists" "$(find "$mnt/m-1/" -name 'v*.npy' | wc -l)" 120
  requests stat "$mnt/m-1/folder0/v100.npy" >"$tmp/requests"
  grep -q LOOKUP "$tmp/requests" || fail "find lists attributes: $(cat "$tmp/requests")"
  unmount
}

# Who looks files up in the first folder gets the attributes with the names in the others, also where the kernel has the names
# alone. Others may drop the kernel's caches, so it is tried a few times.
who_looks_files_up_is_given_attributes() {
  local before attempt lookups
  for before in ls find; do
    for attempt in 1 2 3 4 5; do
      mount_ckpt "$tmp/deep" -o ro --debug
      "$before" "$mnt/m-1/" >"$tmp/out"
      lookups=$(looked_up ls -lR "$mnt/m-1/")
      unmount
      [ "$lookups" -ge 60 ] || break
    done
    [ "$lookups" -lt 60 ] || fail "attempt $attempt: after $before, ls -lR looks $lookups of 120 files up"
  done
}

# np.load looks at the first bytes of a file, and then reads all of it. What Python takes in beyond them is copied in vain.
who_looks_at_a_header_reads_little_more() {
  {
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (262144,), }"
    head -c 1048576 /dev/zero
  } >"$tmp/large.npy"
  mkdir "$tmp/large"
  printf 'bundle 1 0\ntensor %s 0 %s\n' "$(hex w)" "$tmp/large.npy" | "$builddir/write_bundle" "$tmp/large/m-1"
  mount_ckpt "$tmp/large" -o ro
  check_equal "bytes that are read for eight" \
    "$(python3 -c "f = open('$mnt/m-1/w.npy', 'rb'); f.read(8); print(f.raw.tell())")" 16384
  unmount
}

shards_are_opened_once() {
  mount_ckpt "$ck" -o ro
  read_all | cmp - "$tmp/all"
  check_equal "opens of a shard for 100 files" "$(opens_of "$shard" cat "$mnt/m-1"/v*.npy)" 0
  read_all | cmp - "$tmp/all"
  unmount
  mount_ckpt "$ck" -o ro
  check_equal "opens of a shard for the first 100 files, with that of the daemon to look at it" \
    "$(opens_of "$shard" cat "$mnt/m-1"/v*.npy)" 1
  unmount
}

# most_read MOUNT-OPTIONS: the bytes of the largest answer while an 8 MiB variable is read. Each has 16 before the data.
most_read() {
  local from
  mount_ckpt "$tmp/in_parts" --debug -o "$1"
  settle
  from=$(stat -c %s "$mnt.log")
  cmp "$tmp/in_parts.npy" "$mnt/m-1/w.npy"
  settle
  most=$(tail -c +$((from + 1)) "$mnt.log" | sed -n 's/.*success, outsize: \([0-9]*\)$/\1/p' | sort -n | tail -n 1)
  unmount
}

what_is_read_ahead_comes_in_parts() {
  local most
  {
    printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2097152,), }"
    head -c 8388608 /dev/urandom
  } >"$tmp/in_parts.npy"
  mkdir "$tmp/in_parts"
  printf 'bundle 1 0\ntensor %s 0 %s\n' "$(hex w)" "$tmp/in_parts.npy" | "$builddir/write_bundle" "$tmp/in_parts/m-1"
  most_read ro
  [ "$most" -le $((16 + (256 << 10))) ] || fail "an answer has $most bytes"
  most_read ro,max_read=65536
  [ "$most" -le $((16 + (64 << 10))) ] || fail "with max_read=65536 an answer has $most bytes"
}

# The kernel reads ahead for nobody while three quarters of so many requests are under way.
several_readers_are_read_ahead_for() {
  mount_ckpt "$ck" -o ro --debug
  stat "$mnt/m-1/v100.npy" >"$tmp/out" # is asked when INIT has been answered
  grep -q 'max_background=48$' "$mnt.log" || fail "INIT: $(grep background "$mnt.log")"
  unmount
}

# A step is removed by others, and by the mount: its space is free.
what_was_removed_is_closed() {
  local left
  rm -rf "$tmp/gone"
  cp -r "$ck" "$tmp/gone"
  mount_ckpt "$tmp/gone"
  cat "$mnt"/m-*/v*.npy >"$tmp/out"
  until_open 4 "$tmp/gone/m-"
  rm "$tmp/gone"/m-1.*
  until_open 0 "$tmp/gone/m-"
  cat "$mnt"/m-2/v*.npy >"$tmp/out"
  until_open 2 "$tmp/gone/m-"
  rm -r "$mnt/m-2"
  until_open 0 "$tmp/gone/m-"
  left=$(find "/proc/${daemons[$mnt]}/fd" -lname '*(deleted)' | wc -l)
  check_equal "removed files that are open" "$left" 0
  unmount
}

# A shard that is a link is opened each time: nobody tells when what it leads to is removed.
what_a_link_leads_to_is_closed() {
  rm -rf "$tmp/linked"
  cp -r "$ck" "$tmp/linked"
  mkdir "$tmp/elsewhere"
  mv "$tmp/linked/m-1.data-00000-of-00002" "$tmp/elsewhere"
  ln -s "$tmp/elsewhere/m-1.data-00000-of-00002" "$tmp/linked"
  mount_ckpt "$tmp/linked" -o ro
  read_all | cmp - "$tmp/all"
  until_open 0 "$tmp/elsewhere/"
  until_open 1 "$tmp/linked/m-1.data"
  unmount
}

# What was read before is what the kernel has; the next open sees that the shard is another, or was changed in place.
a_shard_that_has_changed_is_not_used() {
  local how
  for how in replaced cut written; do
    rm -rf "$tmp/changed"
    cp -r "$ck" "$tmp/changed"
    mount_ckpt "$tmp/changed" -o ro
    # An open folder and file: what inotify tells does not close the kernel's numbers.
    exec 7<"$mnt/m-1"
    read_all | cmp - "$tmp/all"
    case $how in
      replaced)
        cp "$tmp/changed/m-2.data-00000-of-00002" "$tmp/changed/new"
        mv "$tmp/changed/new" "$tmp/changed/m-1.data-00000-of-00002"
        ;;
      cut) truncate -s 100 "$tmp/changed/m-1.data-00000-of-00002" ;;
      written) cat "$tmp/changed/m-2.data-00000-of-00002" >"$tmp/changed/m-1.data-00000-of-00002" ;;
    esac
    ! cmp -s "$mnt/m-1/v100.npy" "$tmp/a.npy" || fail "$how: there is what was in the shard before"
    cmp "$mnt/m-1/v101.npy" "$tmp/a.npy" || fail "$how: the other shard can't be read"
    exec 7<&-
    unmount
  done
}

need getfattr setfattr
run_tests what_is_read_again_is_opened_and_no_more attributes_are_asked_for_once_a_file \
  without_attributes_nothing_is_asked names_are_listed_without_attributes who_looks_files_up_is_given_attributes \
  who_looks_at_a_header_reads_little_more what_is_read_ahead_comes_in_parts several_readers_are_read_ahead_for \
  shards_are_opened_once what_was_removed_is_closed what_a_link_leads_to_is_closed a_shard_that_has_changed_is_not_used
