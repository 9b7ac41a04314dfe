#!/usr/bin/env bash
# With allow_other: who may read what. A partitioned variable is readable to those who may read all its shards.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need setpriv
[ "$(id -u)" = 0 ] || skip_optional "only root can give files to others"

other=65534

# partitioned OWNER MODE OWNER MODE: $ck has the step m with the variable v, its halves in shards with these owners and modes.
partitioned() {
  local hex=76 float=1 # "v", DT_FLOAT
  ck=$(mktemp -d "$tmp/ck.XXXXXX")
  make_npy 4 101 >"$tmp/half.npy"
  printf '%s\n' "bundle 2 0" "whole $hex $float 8 0,4 4,4" "slice $hex 0 0,4 $tmp/half.npy" \
    "slice $hex 1 4,4 $tmp/half.npy" | "$builddir/write_bundle" "$ck/m"
  chown "$1" "$ck/m.data-00000-of-00002"
  chmod "$2" "$ck/m.data-00000-of-00002"
  chown "$3" "$ck/m.data-00001-of-00002"
  chmod "$4" "$ck/m.data-00001-of-00002"
  chmod 755 "$ck"
}

# shows MODE OWNER...: a variable whose shards are as partitioned says.
shows() {
  partitioned "${@:2}"
  mount_ckpt "$ck" -o allow_other,commit=sync
  [ "$(stat -c '%u:%g %a' "$mnt/m/v.npy")" = "$2 $1" ] ||
    fail "shards of ${*:2} are shown as $(stat -c '%u:%g %a' "$mnt/m/v.npy"), expected $2 $1"
}

# is_kept: that user can't read it, neither as it is nor when it has been written to.
is_kept() {
  check_says "Permission denied" as_user cat "$mnt/m/v.npy"
  check_status 0 dd if="$tmp/half.npy" of="$mnt/m/v.npy" bs=1 skip=128 seek=128 count=4 conv=notrunc
  check_says "Permission denied" as_user cat "$mnt/m/v.npy"
}

shows 644 0:0 644 0:0 644
check_status 0 as_user cat "$mnt/m/v.npy"
unmount

shows 600 0:0 644 0:0 600
is_kept
unmount

shows 600 0:0 640 0:0 604
is_kept
unmount

# Its owner is another one than the other shard's, and so one of the others there, or in its group.
shows 0 $other:$other 600 0:0 600
is_kept
unmount
shows 4 $other:$other 644 0:$other 604
is_kept
unmount
shows 444 $other:$other 644 0:0 644
check_status 0 as_user cat "$mnt/m/v.npy"
unmount

# So is its group.
shows 600 0:$other 640 0:0 640
is_kept
unmount
shows 644 0:$other 644 0:0 644
check_status 0 as_user cat "$mnt/m/v.npy"
unmount

# An owner of the other shard who may less than all others.
shows 600 0:0 644 $other:0 0066
is_kept
unmount

# What a commit packs together may be read by those who may read all of it.
private_shard() {
  cp -r "$fixtures/net" "$ck"
  chmod -R u+w "$ck"
  chmod 600 "$ck"/*.data-*
  mount_ckpt "$ck" -o "commit=sync,compact=0"
}
ck=$tmp/packed
private_shard
rm "$mnt/my_net.ckpt/output/biases.npy"
sync "$mnt/my_net.ckpt"
printf '\001' | dd of="$mnt/my_net.ckpt/output/weights.npy" bs=1 seek=128 conv=notrunc status=none
sync "$mnt/my_net.ckpt"
unmount
for file in "$ck"/*-[12].data-*; do
  [ "$(stat -c %a "$file")" = 600 ] || fail "$file has private bytes, and the mode $(stat -c %a "$file")"
done
[ -e "$ck/my_net.ckpt-2.index" ] || fail "nothing was committed"
