#!/usr/bin/env bash
# What changes in a checkpoint directory while it is looked at is seen by all who look, and means nothing wrong.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"

ck=$tmp/ck

# until_is WANT CMD...: what the command prints becomes that.
until_is() {
  local want=$1 have end=$((SECONDS + 20))
  shift
  until have=$("$@" 2>&1) && [ "$have" = "$want" ]; do
    [ "$SECONDS" -lt "$end" ] || fail "'$*' says '$have', and not '$want'"
    sleep 0.01
  done
}

# newer DIR TIME: its step is saved anew, at that time.
newer() {
  cp "$1/my_net.ckpt.index" "$1/new"
  touch -d "@$2" "$1/new"
  mv "$1/new" "$1/my_net.ckpt.index"
}

# is_followed DIR FOLDER...: each time a step is saved in DIR, all these folders of the mount have it.
is_followed() {
  local second folder
  for folder in "${@:2}"; do
    stat "$folder/my_net.ckpt" >"$tmp/out"
  done
  for second in 1000000000 1100000000 1200000000; do
    newer "$1" $second
    for folder in "${@:2}"; do
      until_is $second stat -c %Y "$folder/my_net.ckpt"
    done
  done
}

# --- a folder that was renamed, and is used under its old name ------------------------------------------

fresh "$ck"
mkdir "$ck/old"
mv "$ck"/my_net.ckpt.* "$ck/old"
mount_ckpt "$ck" -o ro
exec 8<"$mnt/old"
ls "$mnt/old" >"$tmp/out"
mv "$ck/old" "$ck/new"
until_is my_net.ckpt ls "$mnt/new"
is_followed "$ck/new" "$mnt/new"
exec 8<&-
unmount

# --- a folder at two places -----------------------------------------------------------------------------

fresh "$ck"
mkdir "$ck/a" "$ck/b"
mv "$ck"/my_net.ckpt.* "$ck/a"
if mount --bind "$ck/a" "$ck/b" 2>"$tmp/err"; then
  mount_ckpt "$ck" -o ro
  is_followed "$ck/a" "$mnt/a" "$mnt/b"
  is_followed "$ck/b" "$mnt/b" "$mnt/a"
  unmount
  umount "$ck/b"
else
  echo "no bind mount: $(cat "$tmp/err")"
fi

# --- a step that is saved between a look at the folder and one at the state file ------------------------

fresh "$ck"
mount_hooked "$ck" -o ro
printf checkpoint >"$hook.new"
mv "$hook.new" "$hook.stop"
ls "$mnt" >"$tmp/listed" &
until [ -e "$hook.stopped" ]; do sleep 0.01; done
for file in "$ck"/my_net.ckpt.*; do
  cp "$file" "$ck/my_net.ckpt-7.${file##*.ckpt.}"
done
printf 'model_checkpoint_path: "my_net.ckpt-7"\n' >"$ck/new"
mv "$ck/new" "$ck/checkpoint"
rm "$hook.stop"
wait $!
until_is my_net.ckpt-7 readlink "$mnt/latest"
unmount
! grep . "$mnt.log" || fail "complains of a step that is there"

# --- what others do is seen at once, by all who look --------------------------------------------------------

# shown_is_there: the steps that the mount shows are those that are in the directory.
shown_is_there() {
  (cd "$ck" && LC_ALL=C ls -1) | sed -n 's/\.index$//p' >"$tmp/want"
  (cd "$mnt" && LC_ALL=C ls -1 -I checkpoint -I latest) >"$tmp/have"
  diff "$tmp/want" "$tmp/have" >&2 || fail "$1: other steps are shown"
}

# saves NAME COUNT: steps come, are renamed, and go, and each time that is seen.
saves() {
  local i end
  for ((i = 0; i < $2; i++)); do
    for end in data-00000-of-00001 index; do cp "$ck/my_net.ckpt.$end" "$ck/$1-$i.$end"; done
    [ -d "$mnt/$1-$i" ] || fail "$1-$i is not seen"
    mv "$ck/$1-$i.index" "$ck/$1-new-$i.index"
    ls "$mnt" >"$tmp/$1.out"
    grep -qx -e "$1-new-$i" "$tmp/$1.out" || fail "$1-new-$i is not listed"
    ! grep -qx -e "$1-$i" "$tmp/$1.out" || fail "$1-$i is listed, and was renamed"
    printf 'model_checkpoint_path: "%s"\n' "$1-new-$i" >"$tmp/$1.state"
    mv "$tmp/$1.state" "$ck/checkpoint"
    [ $((i % 3)) = 0 ] || rm "$ck/$1-new-$i".*
    ls "$mnt" >"$tmp/$1.out"
    [ $((i % 3)) = 0 ] || ! grep -qx -e "$1-new-$i" "$tmp/$1.out" || fail "$1-new-$i is listed, and was removed"
  done
}

fresh "$ck"
mount_ckpt "$ck" -o ro
ls "$mnt" >"$tmp/out"
saves one 40 &
first=$!
saves two 40
wait "$first"
shown_is_there "after two have saved"
printf 'model_checkpoint_path: "one-new-0"\n' >"$ck/checkpoint"
[ "$(readlink "$mnt/latest")" = one-new-0 ] || until_is one-new-0 readlink "$mnt/latest"

# More than inotify remembers, while nobody listens.
[ -d "$mnt/one-new-3" ] || fail "one-new-3 is not there"
many=$(cat /proc/sys/fs/inotify/max_queued_events)
if [ "$many" -le 100000 ]; then
  kill -STOP "${daemons[$mnt]}"
  (cd "$ck" && seq "$many" | sed 's/^/file-/' | xargs touch && seq "$many" | sed 's/^/file-/' | xargs rm)
  for end in data-00000-of-00001 index; do cp "$ck/my_net.ckpt.$end" "$ck/late.$end"; done
  rm "$ck/one-new-3.index"
  kill -CONT "${daemons[$mnt]}"
  shown_is_there "events were lost"
  until [ ! -e "$mnt/one-new-3" ]; do sleep 0.01; done
  mv "$ck/late.index" "$ck/later.index"
  shown_is_there "after events were lost"
else
  echo "inotify remembers $many events"
fi
unmount
