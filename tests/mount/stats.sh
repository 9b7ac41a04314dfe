#!/usr/bin/env bash
# user.ckptfs.stats of a variable that takes hours to read ends when nobody waits for it any more, or the mount is to end.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr

ck=$tmp/ck
mkdir "$ck"
uint8=4
size=$((1 << 40))

# until CMD...: it succeeds.
until_true() {
  local end=$((SECONDS + 30))
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "does not become true: $*"
    sleep 0.01
  done
}

has_read() {
  [ "$(sed -n 's/^rchar: //p' "/proc/${daemons[$mnt]}/io")" -gt $((64 << 20)) ]
}

has_ended() {
  ! kill -0 "$1" 2>/dev/null
}

# ask FILE: in the background, as $asker, until the daemon is reading it.
ask() {
  getfattr -n user.ckptfs.stats "$1" >"$tmp/out" 2>&1 &
  asker=$!
  until_true has_read
}

printf '%s\n' "bundle 1 0" "hole 76 0 $uint8 $size" | "$builddir/write_bundle" "$ck/m"
truncate -s "$size" "$ck/m.data-00000-of-00001" || skip_optional "no file of $size bytes can be made here"

# --- who asks is killed ---------------------------------------------------------------------------------

mount_ckpt "$ck" -o ro,verify=off
ask "$mnt/m/v.npy"
kill "$asker"
until_true has_ended "$asker"
unmount

# --- the daemon is to end -------------------------------------------------------------------------------

mount_ckpt "$ck" -o ro,verify=off
pid=${daemons[$mnt]}
ask "$mnt/m/v.npy"
kill "$pid"
until_true has_ended "$pid"
wait "$pid" || fail "the daemon ended with status $?"
unset "daemons[$mnt]"
until_true has_ended "$asker"

# --- a file that was written and not committed ----------------------------------------------------------

rm "$ck"/m.*
fresh "$ck"
mount_ckpt "$ck" -o commit=sync
printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '|u1', 'fortran_order': False, 'shape': ($size,), }" \
  >"$mnt/my_net.ckpt/v.npy"
if getfattr -n user.ckptfs.stats "$mnt/my_net.ckpt/v.npy" >"$tmp/out" 2>&1; then fail "stats of a header alone"; fi
grep -q "No such attribute" "$tmp/out" || fail "of a header alone: $(cat "$tmp/out")"
truncate -s $((size + 128)) "$mnt/my_net.ckpt/v.npy"
ask "$mnt/my_net.ckpt/v.npy"
kill "$asker"
until_true has_ended "$asker"
rm "$mnt/my_net.ckpt/v.npy"
unmount
