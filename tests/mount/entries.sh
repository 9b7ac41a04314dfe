#!/usr/bin/env bash
# One entry of a checkpoint directory that can't be looked at does not hide the others; and what is no file or folder of a
# checkpoint, or has taken the place of one, is neither shown nor followed.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"
need setpriv getfattr

# mount_weak SOURCE [OPTION...]: as mount_ckpt, by one whom permissions hold back: root without its capabilities for that.
mount_weak() {
  local weak=()
  [ "$(id -u)" != 0 ] || weak=(setpriv --bounding-set "-dac_override,-dac_read_search")
  new_mountpoint
  start_daemon "${weak[@]}" "$builddir/mount.ckptfs" "$1" "$mnt" --foreground "${@:2}"
}

# fresh_ck: a new $ck, with one step.
fresh_ck() {
  ck=$(mktemp -d "$tmp/ck.XXXXXX")
  cp -r "$fixtures/net/." "$ck"
  chmod -R u+w "$ck"
}

# names FOLDER: what ls and find list, which have to agree.
names() {
  local by_ls by_find
  # shellcheck disable=SC2012 # ls is what is tested
  by_ls=$(cd "$1" && LC_ALL=C ls -A | tr '\n' ' ') || fail "ls $1 failed"
  by_find=$(cd "$1" && find . -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort | tr '\n' ' ') ||
    fail "find $1 failed"
  [ "$by_ls" = "$by_find" ] || fail "ls lists '$by_ls', find '$by_find'"
  printf '%s' "${by_ls% }"
}

# shows FOLDER NAME...: these and no others, also to ls -l.
shows() {
  local have
  have=$(names "$1")
  [ "$have" = "${*:2}" ] || fail "$1 shows '$have', expected '${*:2}'"
  check_status 0 ls -l "$1"
}

is_whole() {
  cmp "$tmp/weights.npy" "$mnt/my_net.ckpt/hidden/weights.npy"
}

fresh_ck
mount_ckpt "$ck" -o ro
cp "$mnt/my_net.ckpt/hidden/weights.npy" "$tmp/weights.npy"
unmount

# --- steps that lead nowhere ----------------------------------------------------------------------------

fresh_ck
ln -s loop.index "$ck/loop.index"
mkdir -m 000 "$ck/closed"
ln -s closed/x.index "$ck/locked.index"
ln -s "$(printf '%0300d' 0)" "$ck/long.index"
ln -s gone "$ck/gone.index"
ln -s .meta "$ck/.meta"
ln -s my_net.ckpt.debug "$ck/my_net.ckpt.debug"
mount_weak "$ck" -o commit=sync
shows "$mnt" checkpoint closed latest locked long loop my_net.ckpt
is_whole
check_says "Too many levels of symbolic links" ls "$mnt/loop"
check_says "Permission denied" ls "$mnt/locked"
check_says "File name too long" ls "$mnt/long"
check_says "Permission denied" ls "$mnt/closed"
[[ $(getfattr --only-values -n user.ckptfs.error "$mnt/loop" 2>/dev/null) == *"loop.index: "* ]] ||
  fail "user.ckptfs.error does not say what is wrong with loop.index"
check_status 1 rm -r "$mnt/loop"
check_status 0 cp "$tmp/weights.npy" "$mnt/my_net.ckpt/hidden/more.npy"
sync "$mnt"
cmp "$tmp/weights.npy" "$mnt/my_net.ckpt-1/hidden/more.npy"
check_status 0 rm -r "$mnt/my_net.ckpt-1"
shows "$mnt" checkpoint closed latest locked long loop my_net.ckpt
unmount
run "$builddir/fsck.ckptfs" -n "$ck"
for words in "loop.index: open: Too many" "long.index: open: File name too" "5 steps, 4 variables"; do
  grep -qF "$words" "$tmp/out" || fail "fsck does not say '$words': $(cat "$tmp/out")"
done

# --- a state file that leads nowhere --------------------------------------------------------------------

fresh_ck
ln -sfn checkpoint "$ck/checkpoint"
mount_weak "$ck" -o ro
shows "$mnt" checkpoint my_net.ckpt
check_says "Too many levels of symbolic links" cat "$mnt/checkpoint"
is_whole
unmount

# --- what can't be looked at at all ---------------------------------------------------------------------

fresh_ck
for part in index data-00000-of-00001; do
  cp "$ck/my_net.ckpt.$part" "$ck/damaged.$part"
done
mkdir "$ck/folder"
export IO_HOOK_LACKS=damaged
mount_hooked "$ck" -o ro
unset IO_HOOK_LACKS
check_status 0 ls "$mnt"
[ "$(tr '\n' ' ' <"$tmp/out")" = "checkpoint damaged folder latest my_net.ckpt " ] || fail "ls lists $(cat "$tmp/out")"
check_says "damaged': Input/output error" ls -l "$mnt"
grep -q "my_net.ckpt" "$tmp/out" || fail "ls -l does not list the others: $(cat "$tmp/out")"
is_whole
unmount

# --- what is no file ------------------------------------------------------------------------------------

fresh_ck
ln -sfn /dev/null "$ck/checkpoint"
mkdir "$ck/group" "$ck/sticky"
chmod 6755 "$ck/group"
chmod 1777 "$ck/sticky"
chmod g+s "$ck"
mount_ckpt "$ck" -o ro
shows "$mnt" group my_net.ckpt sticky
[ ! -e "$mnt/checkpoint" ] || fail "checkpoint is shown: $(stat "$mnt/checkpoint")"
[ "$(stat -c %a "$mnt/group")" = 755 ] || fail "set-user-ID is shown: $(stat -c %a "$mnt/group")"
[ "$(stat -c %a "$mnt/sticky")" = 1777 ] || fail "who may remove what is not shown: $(stat -c %a "$mnt/sticky")"
[ "$(stat -c %A "$mnt")" = drwx------ ] || fail "the source's set-group-ID is shown: $(stat -c %A "$mnt")"
unmount

fresh_ck
chmod 4755 "$ck/checkpoint"
mount_ckpt "$ck" -o ro
[ "$(stat -c %a "$mnt/checkpoint")" = 755 ] || fail "set-user-ID is shown: $(stat -c %a "$mnt/checkpoint")"
unmount

# Opening a device can do something to it. Of a FIFO it would be seen: who waits to write would go on.
fresh_ck
mkfifo "$tmp/fifo"
ln -s "$tmp/fifo" "$ck/v1"
ln -sfn "$tmp/fifo" "$ck/checkpoint"
ln -s "$tmp/fifo" "$ck/fifo.index"
bash -c 'echo >"$1"' - "$tmp/fifo" 2>/dev/null &
writer=$!
until grep -q '^State:.S' "/proc/$writer/status" && grep -q . "/proc/$writer/cmdline"; do :; done
mount_ckpt "$ck" -o ro
shows "$mnt" fifo my_net.ckpt
run ls "$mnt/fifo"
unmount
grep -q '^State:.S' "/proc/$writer/status" || fail "a FIFO was opened"
kill "$writer"
wait "$writer" || true

# --- links that take the place of folders ---------------------------------------------------------------

fresh_ck
mkdir -p "$ck/sub/dir" "$tmp/elsewhere/dir"
cp "$ck"/my_net.ckpt.* "$ck/sub/dir"
for file in "$ck"/my_net.ckpt.*; do
  cp "$file" "$tmp/elsewhere/dir/secret.${file##*.ckpt.}"
done
mount_ckpt "$ck" -o ro
cd "$mnt/sub/dir"
[ "$(ls)" = my_net.ckpt ] || fail "sub/dir shows '$(ls)'"
mv "$ck/sub" "$ck/was"
ln -s "$tmp/elsewhere" "$ck/sub"
run ls
! grep -q secret "$tmp/out" || fail "a link on the way was followed"
run cat secret/hidden/weights.npy
[ "$status" != 0 ] || fail "a link on the way was followed"
cd "$tmp"
unmount
