#!/usr/bin/env bash
# What a tool that copies extended attributes asks of each variable costs no more than reading what they are made of once.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr xxd

ck=$tmp/ck
variables=100
mkdir "$ck"

# field NUMBER HEX: a message's field, of bytes, in hex.
field() {
  local n=$((${#2} / 2)) length=
  while [ "$n" -ge 128 ]; do
    length+=$(printf %02x $((n % 128 + 128)))
    n=$((n / 128))
  done
  printf '%02x%s%02x%s' $(($1 * 8 + 2)) "$length" "$n" "$2"
}

hex() {
  printf %s "$1" | xxd -p | tr -d '\n'
}

# graph: of an object that has them all; each has a long name.
graph() {
  local i object=
  for ((i = 0; i < variables; i++)); do
    object+=$(field 2 "$(field 1 "$(hex VARIABLE_VALUE)")$(field 2 "$(hex "$(printf 'layer/%01000d' $i)")")$(field 3 "$(hex "v$i/.ATTRIBUTES/VARIABLE_VALUE")")")
  done
  field 1 "$object" | xxd -r -p
}

graph >"$tmp/graph"
size=$(stat -c %s "$tmp/graph")
{
  printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '|S$size', 'fortran_order': False, 'shape': (), }"
  cat "$tmp/graph"
} >"$tmp/graph.npy"
make_npy 4 101 >"$tmp/v.npy"
{
  echo "bundle 1 0"
  {
    echo "$(hex _CHECKPOINTABLE_OBJECT_GRAPH) 0 $tmp/graph.npy"
    for ((i = 0; i < variables; i++)); do
      echo "$(hex "v$i/.ATTRIBUTES/VARIABLE_VALUE") 0 $tmp/v.npy"
    done
  } | LC_ALL=C sort | sed 's/^/tensor /'
} | "$builddir/write_bundle" "$ck/m"

# has_read: how many bytes the daemon has read until now.
has_read() {
  sed -n 's/^rchar: //p' "/proc/${daemons[$mnt]}/io"
}

mount_ckpt "$ck" -o ro
before=$(has_read)
getfattr -R -m 'user[.]ckptfs[.]' -d --absolute-names "$mnt/m" >"$tmp/attributes"
cost=$((($(has_read) - before) / size))
[ "$(grep -c '^user.ckptfs.full_name="layer/0*[0-9]*"$' "$tmp/attributes")" = "$variables" ] ||
  fail "not all have their full name: $(head -c 4000 "$tmp/attributes")"
name=$(getfattr --only-values --absolute-names -n user.ckptfs.full_name "$mnt/m/v42.npy")
[ "$name" = "$(printf 'layer/%01000d' 42)" ] || fail "v42 is called $name"
[ "$cost" -lt 20 ] || fail "the attributes of $variables variables cost $cost readings of the object graph"
unmount
