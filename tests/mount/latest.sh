#!/usr/bin/env bash
# The link `latest`: what state files of all kinds lead to, and what is said of those that lead nowhere.
. "$(dirname "$0")/../lib/mount.sh"

source=$tmp/source
mkdir "$source"
declare -A expected # step by folder; "-": none; "!": none, and one line in the log says why

steps() {
  local step
  for step; do
    cp "$fixtures/linear/my-model-0.index" "$step.index"
    cp "$fixtures/linear/my-model-0.data-00000-of-00001" "$step.data-00000-of-00001"
  done
}

# folder NAME EXPECTED: a directory with three steps, and the state file in it that stdin holds.
folder() {
  expected[$1]=$2
  mkdir "$source/$1"
  steps "$source/$1"/my-model-{0,1000,2000}
  cat >"$source/$1/checkpoint"
}

# state NAME EXPECTED PATH: one that names PATH, as it stands in the text.
state() {
  folder "$1" "$2" <<<"model_checkpoint_path: \"$3\"
all_model_checkpoint_paths: \"my-model-0\"
all_model_checkpoint_paths: \"$3\""
}

# --- the table ----------------------------------------------------------------------------------------

state relative my-model-1000 my-model-1000
state dotted my-model-1000 ./my-model-1000
state absolute my-model-1000 "$source/absolute/my-model-1000"
state stale my-model-2000 /gone/since/long/my-model-2000
state windows my-model-0 'D:\\runs\\my-model-0'
state windows-mixed my-model-0 'D:/runs\\my-model-0'
state smaller my-model-0 my-model-0
state slash my-model-0 my-model-0/
state below '!' sub/m-1
state gone '!' my-model-3000
state root '!' /
state no-name '!' ''
state dots '!' ..
state extension '!' my-model-0.index
state case '!' My-Model-0

folder others-gone my-model-2000 <<'END'
model_checkpoint_path: "my-model-2000"
all_model_checkpoint_paths: "my-model-17"
all_model_checkpoint_paths: "/nowhere/my-model-18"
END
folder times my-model-1000 <<'END'
model_checkpoint_path: "my-model-1000"
all_model_checkpoint_paths: "my-model-0"
all_model_checkpoint_paths: "my-model-1000"
all_model_checkpoint_timestamps: 1500000000.25
all_model_checkpoint_timestamps: 1.5e9
last_preserved_timestamp: 1500000000
END
folder one-line my-model-1000 <<'END'
model_checkpoint_path: "my-model-1000" all_model_checkpoint_paths: "my-model-1000"
END
folder odd-text my-model-1000 <<'END'
# written by hand
model_checkpoint_path : 'my-' "model-1000"; # the one before the last
all_model_checkpoint_paths: ["my-model-0", 'my-model-\x31000']
END
folder unknown-fields my-model-1000 <<'END'
model_checkpoint_path: "my-model-1000"
written_by { name: "another program" version: [1, 2] }
mood: GOOD
END
folder last-one-counts '!' <<'END'
model_checkpoint_path: "my-model-1000"
model_checkpoint_path: "my-model-3000"
END
folder empty '!' </dev/null
folder only-others '!' <<<'all_model_checkpoint_paths: "my-model-0"'
folder garbage '!' <<<'<html><body>504 Gateway Time-out</body></html>'
folder unfinished '!' <<<'model_checkpoint_path: "my-model-10'
folder number '!' <<<'model_checkpoint_path: 5'
folder binary '!' < <(head -c 4096 "$fixtures/linear/my-model-0.meta")
folder nul '!' < <(printf 'model_checkpoint_path: "my-model-0"\n\0\0\0\0')
folder huge '!' < <(printf 'model_checkpoint_path: "my-model-0"\n' && head -c 6000000 /dev/zero | tr '\0' '#')

folder missing - </dev/null
rm "$source/missing/checkpoint"
folder directory - </dev/null
rm "$source/directory/checkpoint"
mkdir "$source/directory/checkpoint"
steps "$source/directory/checkpoint/m-1"

mkdir "$source/below/sub"
steps "$source/below/sub/m-1"

cp -r "$fixtures/v1-sharded" "$source/wildcard"
chmod -R u+w "$source/wildcard"
expected[wildcard]=model-2
grep -qF 'model-2-?????-of-00002' "$source/wildcard/checkpoint" || fail "the fixture is another one"

# Steps and folders come before the link.
state a-step - my-model-0
steps "$source/a-step/latest"
state a-folder - my-model-0
mkdir "$source/a-folder/latest"
steps "$source/a-folder/latest/inner"

# --- the view --------------------------------------------------------------------------------------------

lines_about() {
  grep -cF " $1: " "$mnt.log" || true
}

check_folder() {
  local name=$1 want=${expected[$1]} listed
  listed=$(ls "$mnt/$name")
  case $want in
    - | '!')
      [ ! -L "$mnt/$name/latest" ] || fail "$name: latest leads to $(readlink "$mnt/$name/latest")"
      ;;
    *)
      [ "$(readlink "$mnt/$name/latest")" = "$want" ] || fail "$name: latest leads to" \
        "'$(readlink "$mnt/$name/latest")', not $want"
      grep -qx latest <<<"$listed" || fail "$name: latest is not listed"
      [ "$(ls "$mnt/$name/latest/")" = "$(ls "$mnt/$name/$want")" ] || fail "$name: ls latest/"
      ;;
  esac
  [ "$want" != '!' ] || ! grep -qx latest <<<"$listed" || fail "$name: latest is listed"
  if [ "$want" = '!' ]; then
    [ "$(lines_about "$name")" = 1 ] || fail "$name: $(lines_about "$name") lines in the log"
  else
    [ "$(lines_about "$name")" = 0 ] || fail "$name: is in the log"
  fi
}

mount_ckpt "$source"
pins=() # what is open is not forgotten: neither by the kernel, nor what was said of it by the daemon
for name in "${!expected[@]}"; do
  exec {fd}<"$mnt/$name"
  pins+=("$fd")
done
for round in 1 2 3; do
  for name in "${!expected[@]}"; do
    check_folder "$name"
  done
  [ "$round" = 1 ] || sleep 0.2 # folders that changed just now are read again each time
done

[ -e "$mnt/a-step/latest/w.npy" ] || fail "a step called latest"
[ -d "$mnt/a-folder/latest/inner" ] || fail "a folder called latest"
[ -e "$mnt/directory/checkpoint/m-1/w.npy" ] || fail "a folder called checkpoint"
[ -e "$mnt/below/sub/m-1/w.npy" ] || fail "the step in a subfolder"
cmp "$mnt/windows/checkpoint" "$source/windows/checkpoint"

mkdir "$tmp/copy"
cp -r "$mnt/relative/latest" "$tmp/copy/link"
[ "$(readlink "$tmp/copy/link")" = my-model-1000 ] || fail "cp -r copies the link as something else"
cp -r "$mnt/relative/latest/" "$tmp/copy/step"
diff -r "$tmp/copy/step" "$mnt/relative/my-model-1000"
cp -r "$mnt/relative" "$tmp/copy/all"
[ -e "$tmp/copy/all/latest/w.npy" ] || fail "a copied folder's latest leads nowhere"

# --- changes ------------------------------------------------------------------------------------------------

# until_true CMD...: within five seconds.
until_true() {
  local i
  for ((i = 0; i < 500; i++)); do
    ! "$@" 2>/dev/null || return 0
    sleep 0.01
  done
  fail "not within 5 seconds: $*"
}

leads_to() {
  [ "$(readlink "$mnt/$1/latest")" = "$2" ]
}

has_no_latest() {
  [ ! -L "$mnt/$1/latest" ] && [ -z "$(find "$mnt/$1" -maxdepth 1 -name latest)" ]
}

rewrite() {
  printf 'model_checkpoint_path: "%s"\n' "$2" >"$source/$1/checkpoint.new"
  mv "$source/$1/checkpoint.new" "$source/$1/checkpoint"
}

rewrite relative my-model-2000
until_true leads_to relative my-model-2000
printf 'model_checkpoint_path: "my-model-0"\n' >"$source/relative/checkpoint" # in place
until_true leads_to relative my-model-0
rm "$source/relative/checkpoint"
until_true has_no_latest relative
rewrite relative my-model-1000
until_true leads_to relative my-model-1000
rm "$source/relative/my-model-1000".*
until_true has_no_latest relative
until_true test "$(lines_about relative)" = 1
steps "$source/relative/my-model-1000"
until_true leads_to relative my-model-1000

# Another state of the file is another thing to say, once.
rewrite gone my-model-4000
until_true grep -qF my-model-4000 "$mnt.log"
sleep 0.3
ls "$mnt/gone" "$mnt/gone" >"$tmp/out"
[ "$(lines_about gone)" = 2 ] || fail "gone: $(lines_about gone) lines for two states of the file"
for fd in "${pins[@]}"; do
  exec {fd}<&-
done
unmount

# --- latest_filename, and who may not read --------------------------------------------------------------------

mkdir "$tmp/named"
steps "$tmp/named"/my-model-{0,1000}
echo 'model_checkpoint_path: "my-model-0"' >"$tmp/named/checkpoint"
echo 'model_checkpoint_path: "/x/my-model-1000"' >"$tmp/named/mine"
mount_ckpt "$tmp/named" -o latest_filename=mine
[ "$(readlink "$mnt/latest")" = my-model-1000 ] || fail "latest_filename=mine"
[ -f "$mnt/mine" ] || fail "latest_filename=mine: the state file is not there"
[ ! -e "$mnt/checkpoint" ] || fail "latest_filename=mine: another state file is there"
unmount
mount_ckpt "$fixtures/rotation" -o latest_filename=mylatest
[ "$(readlink "$mnt/latest")" = model-00000800 ] || fail "latest_filename=mylatest"
unmount

if [ -n "${CKPTFS_PYTHON:-}" ]; then
  # Where TensorFlow finds a step in the folder itself, it is this one.
  unset 'expected[huge]' # TensorFlow sets no bound
  for name in "${!expected[@]}"; do
    printf '%s\t%s\n' "$name" "${expected[$name]}"
  done >"$tmp/expected"
  # What has changed since.
  rewrite gone my-model-3000
  "$CKPTFS_PYTHON" "$srcdir/tests/mount/latest.py" "$source" "$tmp/expected"
fi

if [ "$(id -u)" = 0 ]; then
  (need_user) || exit 0
  chmod 600 "$tmp/named/checkpoint"
  mount_ckpt_as_user "$tmp/named"
  as_user ls "$mnt" >"$tmp/out"
  ! grep -qx latest "$tmp/out" || fail "latest, though the state file can't be read"
  grep -qx my-model-0 "$tmp/out" || fail "no steps where the state file can't be read"
  [ "$(grep -cF checkpoint: "$mnt.log")" = 1 ] || fail "an unreadable state file: $(cat "$mnt.log")"
fi
