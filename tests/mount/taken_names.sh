#!/usr/bin/env bash
# While the daemon is at work a trainer saves under the same names: what is the trainer's is neither removed nor mixed with ours.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need getfattr

prepare_edit
ck=$tmp/ck

# await PATH: until it is there.
await() {
  local tries=0
  until [ -e "$1" ]; do
    [ "$((tries += 1))" -lt 3000 ] || fail "$context: $1 did not come"
    sleep 0.01
  done
}

await_stopped() {
  await "$hook.hit"
  local tries=0
  until grep -q '^State:[[:space:]]*T' "/proc/${daemons[$mnt]}/status"; do
    [ "$((tries += 1))" -lt 3000 ] || fail "$context: the daemon does not stop"
    sleep 0.01
  done
}

go_on() {
  kill -CONT "${daemons[$mnt]}"
  wait "$syncing" && status=0 || status=$?
}

# stop_at NAME ERRNO: a commit of an edit stops before a call for a file whose name ends with NAME, which fails later unless ERRNO is 0.
stop_at() {
  local n=0
  context="stopped at $1"
  while :; do
    n=$((n + 1))
    [ "$n" -lt 200 ] || fail "no call for $1"
    fresh "$ck"
    mount_hooked "$ck" -o "$options"
    edit "$mnt/my_net.ckpt"
    arm "$n" stop 0
    sync "$mnt/my_net.ckpt" 2>"$tmp/err" &
    syncing=$!
    await_stopped
    disarm
    grep -qE "$1\$" "$hook.hit" && break
    go_on
    unmount
  done
  [ "$2" != 0 ] || return 0
  # Once more, now to fail.
  go_on
  unmount
  fresh "$ck"
  mount_hooked "$ck" -o "$options"
  edit "$mnt/my_net.ckpt"
  arm "$n" stop "$2"
  sync "$mnt/my_net.ckpt" 2>"$tmp/err" &
  syncing=$!
  await_stopped
  disarm
  grep -qE "$1\$" "$hook.hit" || fail "$context: at $(cat "$hook.hit")"
}

# save_as FILE...: the trainer renames its own files over them.
save_as() {
  local file
  for file; do
    echo "the trainer's" >"$ck/$file.tempstate"
    mv "$ck/$file.tempstate" "$ck/$file"
  done
}

# --- what a commit takes back -----------------------------------------------------------------------------

stop_at 'my_net.ckpt-1.index' 28
save_as my_net.ckpt-1.meta my_net.ckpt-1.data-00001-of-00003
go_on
[ "$status" != 0 ] || fail "$context: the commit did not fail"
for file in my_net.ckpt-1.meta my_net.ckpt-1.data-00001-of-00003; do
  grep -qsxF "the trainer's" "$ck/$file" || fail "$context: $file of the trainer was removed"
done
for file in "$ck"/my_net.ckpt-1.data-0000[02]-of-00003; do
  [ ! -e "$file" ] || fail "$context: $file was not taken back"
done
sync "$mnt/my_net.ckpt" || fail "$context: $(cat "$mnt.log")"
check_step "$tmp/want" "$mnt/my_net.ckpt-2"
unmount

# --- a step that could not be held ------------------------------------------------------------------------

# Without hard links the base is where it was, and can be replaced: here by a step with the same names and shapes, and other bytes.
mkdir "$tmp/other"
cp "$tmp/before/hidden/biases.npy" "$tmp/biases.npy"
printf '\001\002\003\004' | dd of="$tmp/biases.npy" bs=1 seek=128 conv=notrunc status=none
hex() {
  printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'
}
{
  echo "bundle 1 0"
  for name in output/biases hidden/weights output/weights; do echo "tensor $(hex "$name") 0 $tmp/before/$name.npy"; done
  echo "tensor $(hex hidden/biases) 0 $tmp/biases.npy"
} | "$builddir/write_bundle" "$tmp/other/my_net.ckpt"
echo "another" >"$tmp/other/my_net.ckpt.meta"

# replace SUFFIX...: of the base.
replace() {
  local suffix
  for suffix; do
    cp "$tmp/other/my_net.ckpt.$suffix" "$ck/new.tempstate"
    mv "$ck/new.tempstate" "$ck/my_net.ckpt.$suffix"
  done
}

# The step that had the draft is gone from the mount, and with it user.ckptfs.error; the daemon tells it at its end.
check_refused() {
  unmount
  [ "$status" != 0 ] || fail "$context: a step was made of what came meanwhile: $(ls "$ck")"
  [ ! -e "$ck/my_net.ckpt-1.index" ] || fail "$context: $(ls "$ck")"
  [ -z "$(find "$ck" -name 'my_net.ckpt-1.*')" ] || fail "$context: $(ls "$ck")"
  grep -qE 'was replaced' "$mnt.log" || fail "$context: the log does not say why: $(cat "$mnt.log")"
}

export IO_HOOK_LACKS=links
for suffixes in index "data-00000-of-00001" meta; do
  stop_at packed 0
  context="without hard links, another $suffixes came"
  replace "$suffixes"
  go_on
  check_refused
done

# The daemon is gone, and another step in place of the one that it had.
context="without hard links, another step came after a crash"
fresh "$ck"
mount_hooked "$ck" -o "$options"
edit "$mnt/my_net.ckpt"
kill_daemon
replace index data-00000-of-00001
mount_hooked "$ck" -o "$options"
find "$mnt" >"$tmp/out"
grep -qF "can't be taken up" "$mnt.log" || fail "$context: $(cat "$mnt.log" "$tmp/out")"
grep -qF "was replaced" "$mnt.log" || fail "$context: $(cat "$mnt.log")"
[ -e "$ck/.ckptfs/drafts/my_net.ckpt/tree/hidden/large.npy" ] || fail "$context: what was written is gone"
unmount
