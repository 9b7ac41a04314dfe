#!/usr/bin/env bash
# A step's folder behaves as a folder while its drafts come and go: who works in one that mkdir made stays in it, what is opened by its
# path is found, its time is that of the last change of its entries, and asking for its attributes changes nothing.
. "$(dirname "$0")/../lib/mount.sh"
. "$(dirname "$0")/../lib/write.sh"
need getfattr setfattr
need_python

# --- who works in a new one -----------------------------------------------------------------------------

# A shell whose current directory is $1: it does what it is told, a line each, and answers with a line. Nobody else looks its folder up.
start_worker() {
  mkfifo "$tmp/orders" "$tmp/answers"
  (
    trap - EXIT ERR
    set +e
    cd "$1" || exit 1
    while read -r order; do
      case $order in
        where) printf '%s %s\n' "$(readlink /proc/self/cwd)" "$(/bin/pwd 2>&1)" ;;
        list) ls . >"$tmp/list" 2>&1; paste -sd " " "$tmp/list" ;;
        copy) printf '%s\n' "$(cp a.npy b.npy 2>&1)" ;;
      esac
    done
  ) <"$tmp/orders" >"$tmp/answers" &
  worker=$!
  exec 8>"$tmp/orders" 9<"$tmp/answers"
}

# ask ORDER: sets answer.
ask() {
  printf '%s\n' "$1" >&8
  IFS= read -r -t 30 answer <&9 || fail "the shell in the folder has ended"
}

end_worker() {
  exec 8>&- 9<&-
  wait "$worker"
  rm "$tmp/orders" "$tmp/answers"
}

# stays_in FOLDER FILES WHEN
stays_in() {
  ask where
  check_equal "where the shell is $3" "$answer" "$1 $1"
  ask list
  check_equal "ls . $3" "$answer" "$2"
}

# stays_in_over FOLDER FILES EVENT...: the daemon hears of it a little later.
stays_in_over() {
  local i
  for ((i = 0; i < 40; i++)); do
    "${@:3}"
    stays_in "$1" "$2" "after: ${*:3}"
    sleep 0.005
  done
}

a_stray() {
  touch "$source/stray"
  rm "$source/stray"
}

a_draft() {
  cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
  setfattr -n user.ckptfs.draft -v discard "$mnt/my-model-0"
}

a_step_of_a_trainer() {
  cp "$source/my-model-0.index" "$source/other.index"
  cp "$source/my-model-0.data-00000-of-00001" "$source/other.data-00000-of-00001"
  rm "$source"/other.*
}

a_new_step_can_be_worked_in() {
  local folder=made texts="variables.tsv "
  for folder in made made/scope; do
    writable linear
    mkdir "$mnt/made"
    [ "$folder" = made ] || mkdir "$mnt/$folder"
    cp "$tmp/f7.npy" "$mnt/$folder/a.npy"
    start_worker "$mnt/$folder"
    stays_in "$mnt/$folder" a.npy "at first"
    stays_in_over "$mnt/$folder" a.npy a_stray
    stays_in_over "$mnt/$folder" a.npy a_draft
    stays_in_over "$mnt/$folder" a.npy a_step_of_a_trainer
    ask copy
    check_equal "cp in the folder" "$answer" ""
    stays_in "$mnt/$folder" "a.npy b.npy" "after a change in it"
    cp "$tmp/f7.npy" "$mnt/my-model-0/w.npy"
    sync "$mnt/my-model-0"
    stays_in_over "$mnt/$folder" "a.npy b.npy" a_stray
    if [ "$folder" = made ]; then
      sync "$mnt/made"
      stays_in_over "$mnt/made" "a.npy b.npy ${texts% }" a_stray
    fi
    end_worker
    rm -r "${mnt:?}/made"
    unmount
  done
}

# --- what is opened by its path ---------------------------------------------------------------------------

# A path is never stale: two processes open an unchanged variable, again and again, while others commit its step and discard its drafts.
a_path_is_never_stale() {
  writable linear
  "$CKPTFS_PYTHON" - "$mnt" "${1:-150}" "$tmp/f7.npy" 2>"$tmp/err" <<'EOS' || fail "$(grep Error "$tmp/err")"
import multiprocessing, os, sys

mounted, rounds, new = sys.argv[1], int(sys.argv[2]), sys.argv[3]
step = os.path.join(mounted, "my-model-0")
with open(new, "rb") as f:
    data = f.read()


def look(stop, path, want):
    count = 0
    while not stop.is_set():
        count += 1
        with open(path, "rb") as f:
            assert f.read() == want, "other bytes"
        os.stat(path)
        assert os.path.basename(path) in os.listdir(os.path.dirname(path))
        os.getxattr(path, "user.ckptfs.dtype")
    assert count > 10, count


def sync(stop):
    while not stop.is_set():
        fd = os.open(step, os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno != 22:  # half written
                raise
        finally:
            os.close(fd)


stop = multiprocessing.Event()
paths = [os.path.join(step, "b.npy"), os.path.join(step, "w", "Adam.npy")]
processes = [multiprocessing.Process(target=sync, args=(stop,))]
for path in paths:
    with open(path, "rb") as f:
        processes.append(multiprocessing.Process(target=look, args=(stop, path, f.read())))
for process in processes:
    process.start()
for number in range(rounds):
    with open(os.path.join(step, "w.npy"), "wb") as f:
        f.write(data[:-1] + bytes([number % 256]))
    if number % 10 == 9:
        os.setxattr(step, "user.ckptfs.draft", b"discard")
    if number % 3 == 0:
        fd = os.open(step, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
stop.set()
for process in processes:
    process.join()
assert not any(process.exitcode for process in processes), "a process has failed"
EOS
  unmount
}

# --- times ----------------------------------------------------------------------------------------------

# times FOLDER: when its entries changed, as the daemon says it.
times() {
  stat --cached=never -c %.9Y "$mnt/$1"
}

# changes FOLDER CMD...: its time is later then.
changes() {
  local folder=$1 before
  shift
  before=$(times "$folder")
  "$@"
  [ "$(bc <<<"$(times "$folder") > $before")" = 1 ] || fail "the time of $folder stays after: $*"
}

# keeps FOLDER CMD...
keeps() {
  local folder=$1 before
  shift
  before=$(times "$folder")
  "$@"
  check_equal "time of $folder after: $*" "$(times "$folder")" "$before"
}

patch() {
  printf x | dd of="$1" bs=1 seek=130 conv=notrunc status=none
}

a_folders_time_is_that_of_its_entries() {
  local in=$mnt
  writable ../cases/deep-scopes
  in=$mnt/model.ckpt-200
  # the first change begins the draft
  changes model.ckpt-200/bert cp "$tmp/f7.npy" "$in/bert/new.npy"
  keeps model.ckpt-200/cls cp "$tmp/f7.npy" "$in/bert/newer.npy"
  keeps model.ckpt-200/bert/embeddings rm "$in/bert/newer.npy"
  keeps model.ckpt-200/bert patch "$in/bert/new.npy"
  keeps model.ckpt-200/bert/embeddings patch "$in/bert/embeddings/word_embeddings.npy"
  changes model.ckpt-200/bert/embeddings rm "$in/bert/embeddings/word_embeddings.npy"
  changes model.ckpt-200/bert mkdir "$in/bert/more"
  changes model.ckpt-200/bert rmdir "$in/bert/more"
  changes model.ckpt-200/bert mv "$in/bert/new.npy" "$in/cls/new.npy"
  changes model.ckpt-200/cls mv "$in/cls/new.npy" "$in/bert/new.npy"
  keeps model.ckpt-200/cls ls -lR "$in" >/dev/null
  changes model.ckpt-200 mkdir "$in/own"
  changes model.ckpt-200/own cp "$tmp/f7.npy" "$in/own/a.npy"
  keeps model.ckpt-200/own patch "$in/own/a.npy"
  mkdir "$mnt/made"
  changes made cp "$tmp/f7.npy" "$mnt/made/a.npy"
  keeps made patch "$mnt/made/a.npy"
  changes made rm "$mnt/made/a.npy"
  unmount
}

# --- attributes -----------------------------------------------------------------------------------------

# A new step has an attribute that does not exist as any other folder has it: nothing comes of asking.
asking_a_new_step_changes_nothing() {
  local name
  writable linear
  for name in error draft dtype stats key collections full_name; do
    mkdir "$mnt/made"
    run getfattr -n "user.ckptfs.$name" "$mnt/made"
    run getfattr -d "$mnt/made"
    [[ " $(steps "$mnt") " = *" made "* ]] || fail "asked for $name, it is gone from ls: $(steps "$mnt")"
    cp "$tmp/f7.npy" "$mnt/made/a.npy"
    run getfattr -n "user.ckptfs.$name" "$mnt/made"
    [[ " $(steps "$mnt") " = *" made "* ]] || fail "asked for $name, it is gone from ls: $(steps "$mnt")"
    rm -r "$mnt/made" || fail "asked for $name, it can't be removed"
    mkdir "$mnt/made" || fail "asked for $name, it can't be made again"
    rmdir "$mnt/made"
  done
  mkdir "$mnt/made"
  cp "$tmp/f7.npy" "$mnt/made/a.npy"
  run getfattr -n user.ckptfs.error "$mnt/made"
  sync "$mnt"
  [ -e "$source/made.index" ] || fail "it is not committed"
  nothing_is_lost
  unmount
}

array "$tmp/f7.npy" "np.float32(7)"
run_tests a_new_step_can_be_worked_in a_path_is_never_stale a_folders_time_is_that_of_its_entries \
  asking_a_new_step_changes_nothing
