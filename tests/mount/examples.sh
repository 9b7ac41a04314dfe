#!/usr/bin/env bash
# The scripts in examples/ do what they say.
. "$(dirname "$0")/../lib/mount.sh"
need getfattr rsync python3

examples=$srcdir/examples

run_tour() {
  TMPDIR=$tmp "$@" bash "$examples/tour.sh" "$builddir/mount.ckptfs" >"$tmp/tour" 2>&1 ||
    fail "tour.sh: $(cat "$tmp/tour")"
  grep -q 'model-100/output/bias.npy and .* differ' "$tmp/tour" || fail "tour.sh shows no difference"
  grep -qF 'user.ckptfs.shape="4,6"' "$tmp/tour" || fail "tour.sh shows no attributes"
  grep -qx 'model-201' "$tmp/tour" || fail "tour.sh shows no new step"
  ! grep -q " $tmp/ckptfs-tour" /proc/self/mounts || fail "tour.sh leaves a mount"
  ! compgen -G "$tmp/ckptfs-tour*" || fail "tour.sh leaves a folder"
}

run_tour env

mount_ckpt "$examples/net"

check_status 1 "$examples/diff-steps.sh" "$mnt/model-100" "$mnt/model-200"
diff "$tmp/out" - <<END || fail "diff-steps.sh: other variables differ"
$(cd "$mnt" && find model-100 -name '*.npy' ! -name embedding.npy -printf 'changed\t%P\n' |
  LC_ALL=C sort -k 2)
END
check_status 0 "$examples/diff-steps.sh" "$mnt/model-100" "$mnt/model-100"
check_status 1 "$examples/diff-steps.sh" "$mnt/model-100/hidden" "$mnt/model-100/output"
grep -qx $'changed\tkernel.npy' "$tmp/out" || fail "diff-steps.sh: another shape is no change"
check_status 1 "$examples/diff-steps.sh" "$mnt/model-100" "$mnt/model-100/hidden"
grep -qx $'removed\tembedding.npy' "$tmp/out" || fail "diff-steps.sh: does not see what is missing"
grep -qx $'added\tkernel.npy' "$tmp/out" || fail "diff-steps.sh: does not see what is new"
check_status 2 "$examples/diff-steps.sh" "$mnt/model-100" "$mnt/model-300"
check_says "No such file" "$examples/diff-steps.sh" "$mnt/model-100" "$mnt/model-300"

"$examples/extract.sh" "$mnt/model-200" hidden "$tmp/copy"
diff -r "$mnt/model-200/hidden" "$tmp/copy/hidden"
[ "$(ls "$tmp/copy")" = hidden ] || fail "extract.sh copies what it was not asked for"
"$examples/extract.sh" "$mnt/model-200" embedding "$tmp/copy"
cmp "$mnt/model-200/embedding.npy" "$tmp/copy/embedding.npy"
check_status 1 "$examples/extract.sh" "$mnt/model-200" nothing "$tmp/copy"

"$examples/npy.py" "$mnt/model-200/global_step.npy" >"$tmp/out"
diff - "$tmp/out" <<'END' || fail "npy.py: not the global step"
{'descr': '<i8', 'fortran_order': False, 'shape': ()}
200
END

check_status 2 "$examples/diff-steps.sh"
check_status 2 "$examples/extract.sh"

# Against numbers that NumPy itself prints, from what is in the shard.
if [ -n "${CKPTFS_PYTHON:-}" ]; then
  "$CKPTFS_PYTHON" "$examples/stats.py" "$mnt/model-200" >"$tmp/stats"
  awk '$1 == "global_step" && $2 == 200 && $3 == 0 && $4 == 200 && $5 == 200 { found = 1 }
    END { exit !found }' "$tmp/stats" || fail "stats.py: $(cat "$tmp/stats")"
  [ "$(wc -l <"$tmp/stats")" = 11 ] || fail "stats.py leaves variables out: $(cat "$tmp/stats")"
else
  status=0
  python3 "$examples/stats.py" "$mnt/model-200" >/dev/null || status=$?
  [ "$status" = 0 ] || [ "$status" = 77 ] || fail "stats.py ends with $status"
fi

# V1 has no checksums, and that is not taken for agreement.
mount_ckpt "$fixtures/v1"
check_status 2 "$examples/diff-steps.sh" "$mnt/model.ckpt-10" "$mnt/model.ckpt-10"

# --- quickstart.sh --------------------------------------------------------------------------------------

# stub NAME: a program that the next ones find under this name; its text comes from stdin.
stub() {
  { echo '#!/bin/bash' && cat; } >"$tmp/bin/$1"
  chmod 755 "$tmp/bin/$1"
}
mkdir "$tmp/bin"

# On a machine that has none of the packages it installs what the tour calls.
stub dpkg-query <<<'echo not-installed'
stub sudo <<<'exec "$@"'
stub apt-get <<<"printf '%s\n' \"\$@\" >>'$tmp/asked'"
PATH=$tmp/bin:$PATH check_status 0 bash "$srcdir/tests/setup.sh" build
for package in attr fuse3 gcc; do
  grep -qx "$package" "$tmp/asked" || fail "setup.sh build does not install $package"
done

# A clone stays clean. What make does is left out: it writes below build/ only.
if command -v git autoreconf >/dev/null && git -C "$srcdir" ls-files >"$tmp/list" 2>/dev/null &&
  [ -s "$tmp/list" ]; then # empty: the tarball, unpacked in a build directory
  mkdir "$tmp/clone"
  tar -C "$srcdir" -c --verbatim-files-from -T "$tmp/list" | tar -C "$tmp/clone" -x
  git -C "$tmp/clone" init -q
  git -C "$tmp/clone" add -A
  stub dpkg-query <<<'echo installed'
  stub make <<END
[ "\$1 \$2" != "-C build" ] || exec ln -s "$builddir/mount.ckptfs" build/mount.ckptfs
exec "$(command -v make)" "\$@" # for configure
END
  TMPDIR=$tmp PATH=$tmp/bin:$PATH check_status 0 bash "$tmp/clone/examples/quickstart.sh"
  grep -q '^== Unmounting' "$tmp/out" || fail "quickstart.sh shows no tour: $(cat "$tmp/out")"
  git -C "$tmp/clone" status --short | grep -v '^A  ' >"$tmp/changed" || true
  [ ! -s "$tmp/changed" ] || fail "quickstart.sh leaves the clone with: $(cat "$tmp/changed")"
fi
