#!/usr/bin/env bash
# Whoever is told of an Input/output error finds a line in the log that says why.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/hook.sh"

ck=$tmp/ck

# has_a_line WORDS CMD...: the command gets that error, and the log has a line with the words.
has_a_line() {
  check_says "Input/output error" "${@:2}"
  grep -qF -- "$1" "$mnt.log" || fail "no line with '$1' for: ${*:2}"
}

# --- a file of a draft, whose attributes can't be read --------------------------------------------------

fresh "$ck"
make_npy 4 101 >"$tmp/x.npy"
export IO_HOOK_LACKS=damaged
mount_hooked "$ck" -o commit=sync
unset IO_HOOK_LACKS
cp "$tmp/x.npy" "$mnt/my_net.ckpt/damaged.npy" || true # which may see it too
has_a_line "Input/output error" stat "$mnt/my_net.ckpt/damaged.npy"
kill_daemon

# --- a step that is damaged -----------------------------------------------------------------------------

fresh "$ck"
printf x | dd of="$ck/my_net.ckpt.index" bs=1 seek=20 conv=notrunc status=none
mount_ckpt "$ck" -o ro
has_a_line "my_net.ckpt.index: " ls "$mnt/my_net.ckpt"
unmount
