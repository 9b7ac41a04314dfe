#!/usr/bin/env bash
# What ckptfs says of itself: --help of every verb fits a screen, and every example of `ckptfs help VERB` works.
. "$(dirname "$0")/../lib/mount.sh"

ckptfs=$builddir/ckptfs
mapfile -t verbs < <("$ckptfs" --help | sed -n 's/^  \([a-z, ]*[a-z]\)  .*/\1/p' | tr -d ' ' | tr , '\n')

# fits_a_screen CMD...: in 24 lines of 80 columns.
fits_a_screen() {
  check_status 0 "$@"
  [ "$(wc -l <"$tmp/out")" -le 24 ] || fail "more than 24 lines: $*"
  ! grep -E '.{81}' "$tmp/out" >&2 || fail "more than 80 columns: $*"
}

each_help_fits_a_screen() {
  local verb
  [ "${#verbs[@]}" -ge 20 ] || fail "verbs: ${verbs[*]}"
  fits_a_screen "$ckptfs" --help
  fits_a_screen "$ckptfs" help
  for verb in "${verbs[@]}"; do
    # That of mount lists all options.
    [ "$verb" = mount ] || fits_a_screen "$ckptfs" "$verb" --help
  done
}

# All in one folder, as in the order of the verbs in --help.
each_example_works() {
  local verb
  mkdir "$tmp/examples"
  cp -r "$srcdir/examples/net" "$tmp/examples/net"
  chmod -R u+w "$tmp/examples/net"
  cp -r "$tmp/examples/net" "$tmp/examples/other"
  cd "$tmp/examples"
  for verb in "${verbs[@]}"; do
    check_status 0 "$ckptfs" help "$verb"
    sed -n '/^Examples:$/,$s/^  //p' "$tmp/out" >"$tmp/$verb.sh"
    grep -q "^ckptfs $verb " "$tmp/$verb.sh" || fail "help $verb shows no example"
    # A shell of its own, so that the script can't be read by what runs in it.
    while IFS= read -r line <&9; do
      run env PATH="$builddir:$PATH" bash -c "$line"
      [ "$status" = 0 ] || [[ $status = 1 && $verb = diff ]] || fail "$line: status $status: $(cat "$tmp/err")"
    done 9<"$tmp/$verb.sh"
  done
  ! grep -q " $tmp/examples/" /proc/self/mounts || fail "the examples leave a mount"
}

a_slip_is_understood() {
  check_says "there is no verb 'stauts'; is 'status' meant?" "$ckptfs" stauts net
  check_status 2 "$ckptfs" help exprot
  check_says "is 'export' meant?" "$ckptfs" help exprot
  check_status 2 "$ckptfs" xyzzy
  ! grep -q meant "$tmp/err" || fail "it takes xyzzy for a slip"
  check_status 2 "$ckptfs"
}

run_tests each_help_fits_a_screen each_example_works a_slip_is_understood
