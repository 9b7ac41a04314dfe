#!/usr/bin/env bash
# The script that makes the fixtures, which also reads them and says what is in them (NAME.expected.json), has a mount with `raw` as
# its directory. What it makes is what is in assets/fixtures, byte for byte.
. "$(dirname "$0")/../lib/mount.sh"
need_python

mkdir "$tmp/made"
mount_ckpt "$tmp/made" -o raw
"$CKPTFS_PYTHON" "$fixtures/make_fixtures.py" "$mnt" >"$tmp/out" 2>&1 || fail "$(tail -n 20 "$tmp/out")"
unmount

# A fingerprint has a number of its own each time; a repository has no empty folders.
scripts=(README.md make_fixtures.py table_edit.py tf_expected.py)
diff -rq "${scripts[@]/#/-x}" -x fingerprint.pb -x assets "$fixtures" "$tmp/made" || fail "something else was made"
[ -s "$tmp/made/savedmodel/fingerprint.pb" ] || fail "no fingerprint"
[ -d "$tmp/made/savedmodel/assets" ] || fail "an empty folder was not made"
