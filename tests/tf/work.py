#!/usr/bin/env python3
"""What takes ckptfs long: threads, progress, memory: work.py BUILDDIR FOLDER [TEST...]"""

import glob
import hashlib
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys

import ml_dtypes
import numpy as np
import runner

BUILD, FOLDER = sys.argv[1:3]
CKPTFS = f"{BUILD}/ckptfs"
CORES = len(os.sched_getaffinity(0))
MIB = 1 << 20
# LeakSanitizer does not work under strace.
TRACED = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
with open(CKPTFS, "rb") as program:
    SANITIZED = b"__asan_init" in (code := program.read()) or b"__tsan_init" in code


def make_step(prefix, arrays):
    """A step that has ARRAYS, by their names."""
    lines = ["bundle 1 0"]
    for i, (name, array) in enumerate(arrays.items()):
        small = array.dtype.name if array.dtype.name.startswith(("bfloat", "float8")) else None
        np.save(f"{prefix}.{i}.npy", array.view([(small, f"<u{array.dtype.itemsize}")]) if small else array)
        lines.append(f"tensor {name.encode().hex()} 0 {prefix}.{i}.npy")
    subprocess.run([f"{BUILD}/write_bundle", prefix], input="\n".join(lines).encode(), check=True)
    for file in glob.glob(f"{glob.escape(prefix)}.*.npy"):
        os.unlink(file)


def arrays_of(seed):
    """Large ones of many pieces, and many small ones. In `large` and `half` some pieces are the same for all seeds, and some numbers not finite."""
    rng, same = np.random.default_rng(seed), np.random.default_rng(9)
    arrays = {"large": same.standard_normal(MIB + 77).astype(np.float32), "double": rng.standard_normal(MIB // 2),
              "half": same.standard_normal(MIB).astype(np.float16), "ints": rng.integers(-9, 9, MIB // 2, np.int32),
              "brain": rng.standard_normal(MIB // 2).astype(ml_dtypes.bfloat16), "eight": rng.standard_normal(MIB // 2).astype(ml_dtypes.float8_e5m2)}
    for name, start, count in ("large", 1000, 300000), ("large", 900000, 1), ("half", 0, 200000), ("half", MIB - 1, 1):
        arrays[name][start:start + count] += rng.standard_normal(count).astype(arrays[name].dtype)
    arrays["large"][[5000, 5001]] = [np.nan, np.inf]
    for i in range(40):
        arrays[f"scope/{i}"] = rng.standard_normal(i * 300).astype(["f4", "f8", "f2"][i % 3])
    return arrays


def steps(names="abc"):
    """A directory with the steps NAMES, and their arrays; made once."""
    if not os.path.exists(f"{FOLDER}/steps"):
        os.mkdir(f"{FOLDER}/steps")
        for seed, name in enumerate("abc"):
            make_step(f"{FOLDER}/steps/{name}", arrays_of(seed))
    return [f"{FOLDER}/steps/{name}" for name in names]


def threads_find_what_one_finds():
    """The same JSON, the same bytes of new steps and files; and there are threads where there are processors."""
    a, b, c = steps()
    one = str(min(os.sched_getaffinity(0)))

    def both(command, result, status=0):
        found = []
        for how in (), ("taskset", "-c", one):
            log = f"{FOLDER}/threads"
            p = subprocess.run([*how, "strace", "-f", "--seccomp-bpf", "-e", "trace=clone3,clone", "-o", log, CKPTFS, *command], capture_output=True, env=TRACED)
            assert p.returncode == status, (command, p.stderr)
            found.append(result(p.stdout))
            with open(log, encoding="utf-8") as f:
                made = sum("clone" in line and "CLONE_VM" in line for line in f)
            assert how or CORES == 1 or made, command
        assert found[0] == found[1], command

    def digest(pattern):
        files = sorted(glob.glob(pattern))
        sums = [hashlib.sha256(open(file, "rb").read()).hexdigest() for file in files]
        for file in files:
            os.unlink(file)
        assert files
        return sums

    both(("stat", "--json", a), bytes)
    both(("stat", f"{a}/half"), bytes)
    both(("diff", "--json", a, b), bytes, 1)
    both(("average", a, b, c, "-o", "mean"), lambda _: digest(f"{FOLDER}/steps/mean.*"))
    both(("cast", "--to", "float16", a, "-o", "cast"), lambda _: digest(f"{FOLDER}/steps/cast.*"))
    both(("export", a, f"{FOLDER}/x.safetensors"), lambda _: digest(f"{FOLDER}/x.safetensors"))
    subprocess.run([CKPTFS, "export", a, f"{FOLDER}/y.safetensors"], check=True, capture_output=True)
    both(("import", f"{FOLDER}/y.safetensors", f"{FOLDER}/steps/in"), lambda _: digest(f"{FOLDER}/steps/in.*"))


def pieces_add_up():
    """diff of large variables of which some pieces are the same, against NumPy; also of other byte order, and of what is not finite."""
    a, b, _ = steps()
    p = subprocess.run([CKPTFS, "diff", "--json", a, b], capture_output=True)
    found = {d["name"]: d for d in json.loads(p.stdout)["diff"]["differences"]}
    x_of, y_of = arrays_of(0), arrays_of(1)
    for name in "large", "double", "half", "ints", "brain", "eight":
        x, y = x_of[name].astype(np.float64), y_of[name].astype(np.float64)
        finite = np.isfinite(x) & np.isfinite(y)
        x, y = x[finite], y[finite]
        away = np.abs(x - y)
        assert (found[name]["differ"], found[name]["elements"]) == ((away > 0).sum(), finite.size), name
        for said, value in ("max", away.max()), ("mean", away.mean()), ("relative", np.linalg.norm(x - y) / np.linalg.norm(x)), \
                ("cosine", (x @ y) / np.linalg.norm(x) / np.linalg.norm(y)):
            np.testing.assert_allclose(found[name][said], value, rtol=1e-9, err_msg=f"{name} {said}")


def bytes_read(command, status):
    """How many bytes of shards COMMAND reads."""
    log = f"{FOLDER}/reads"
    p = subprocess.run(["strace", "-f", "--seccomp-bpf", "-y", "-e", "trace=pread64", "-o", log, CKPTFS, *command], capture_output=True, env=TRACED)
    assert p.returncode == status, p.stderr
    with open(log, encoding="utf-8") as f:
        text = f.read()
    # Of a call that another thread interrupts the result stands on a line of its own.
    return sum(int(line.rsplit("=", 1)[1]) for line in text.splitlines() if "pread64" in line and "= " in line and ".index>" not in line)


def names_need_no_more_than_a_difference():
    os.mkdir(f"{FOLDER}/far")
    x = np.zeros(4 * MIB, np.float32)
    make_step(f"{FOLDER}/far/a", {"w": x})
    x[70000] = 1
    make_step(f"{FOLDER}/far/b", {"w": x})
    a, b = f"{FOLDER}/far/a", f"{FOLDER}/far/b"
    # One piece is 256 KiB; each thread may have begun one that is not needed any more, of both.
    least = bytes_read(("diff", "--names-only", a, b), 1)
    assert MIB // 2 < least <= 2 * MIB // 4 * (CORES + 4), least
    assert bytes_read(("diff", "--names-only", "--tolerance", "0.5", a, b), 1) <= 2 * MIB // 4 * (CORES + 4)
    assert bytes_read(("diff", "--names-only", "--tolerance", "2", a, b), 0) >= 2 * x.nbytes
    # What differs is read once, and what does not once more, of one side.
    assert bytes_read(("diff", a, b), 1) <= 3 * x.nbytes


# --- progress ---------------------------------------------------------------------------------------------------

def slow_steps():
    """Steps with one variable, the same in `a` and `twin`, which is read in few pieces; and a command before ckptfs: each reading of their bytes takes more than half a second."""
    at = f"{FOLDER}/slow"
    files = [f"{at}/{name}.data-00000-of-00001" for name in "ab"] + [f"{at}/x.safetensors"]
    if not os.path.exists(at):
        os.mkdir(at)
        for name, seed in ("a", 0), ("b", 1), ("twin", 0):
            make_step(f"{at}/{name}", {"w": np.random.default_rng(seed).standard_normal(MIB // 16).astype(np.float32)})
        subprocess.run([CKPTFS, "export", f"{at}/a", files[2]], check=True)
    paths = [arg for file in files for arg in ("-P", file)]
    return at, ["strace", "-D", "-f", "-o", "/dev/null", *paths, "-e", "trace=pread64", "-e", "inject=pread64:delay_enter=600000", CKPTFS]


def like_steps():
    """The same for steps of which the second has the bytes of the first, and some of its own."""
    at = f"{FOLDER}/like"
    files = [f"{at}/{name}.data-00000-of-00001" for name in "ab"]
    if not os.path.exists(at):
        os.mkdir(at)
        rng = np.random.default_rng(5)
        frozen = rng.standard_normal(MIB // 16).astype(np.float32)
        for i, name in enumerate("ab"):
            make_step(f"{at}/{name}", {"frozen": frozen, **({"own": rng.standard_normal(MIB // 8).astype(np.float32)} if name == "b" else {})})
            os.utime(f"{at}/{name}.index", (10**9 + i,) * 2)
    delays = [arg for call in ("pread64", "copy_file_range") for arg in ("-e", f"inject={call}:delay_enter=600000")]
    return at, ["strace", "-D", "-f", "-o", "/dev/null", *(arg for file in files for arg in ("-P", file)),
                "-e", "trace=pread64,copy_file_range", *delays, CKPTFS]


def on_terminal(command, stop=None):
    """What is shown on a terminal, the exit status, the output. With STOP that signal is sent once there is a bar."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True, env=TRACED)
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:  # nobody has the other end any more
            break
        shown += more
        if stop and b"left" in shown:
            p.send_signal(stop)
            stop = None
    os.close(ours)
    output = p.stdout.read()
    return shown, p.wait(), output


ERASED = b"\r\x1b[K"


def a_terminal_shows_how_far_it_is():
    at, slow = slow_steps()
    a, b = f"{at}/a", f"{at}/b"
    for command, status in (("stat", f"{a}/w"), 0), (("stat", a), 0), (("diff", a, b), 1), (("average", a, b, "-o", "mean"), 0), \
            (("cast", "--to", "float64", a, "-o", "wide"), 0), (("export", a, f"{at}/y.safetensors"), 0), \
            (("import", f"{at}/x.safetensors", f"{at}/in"), 0), (("merge", a, f"{at}/twin", "-o", "both"), 0):
        shown, code, output = on_terminal([*slow, *command])
        assert code == status, (command, shown)
        assert re.search(rb"[0-9.]+ of [0-9.]+ MiB [0-9]+ MiB/s 0:0[0-9] left", shown), (command, shown)
        assert shown.rindex(ERASED) > shown.rindex(b"left"), (command, shown[-200:])
        assert b"MiB/s" not in output


def dedup_shows_two_bars():
    """Of what it compares, and of what it writes."""
    at, slow = like_steps()
    shown, code, output = on_terminal([*slow, "dedup", "--json", "-n", at])
    assert code == 0 and shown == b"" and output[0] == ord("{"), (code, shown)
    for options, totals in (("-n",), {b"0.8"}), ((), {b"0.8", b"0.5"}):
        shown, code, output = on_terminal([*slow, "dedup", *options, at])
        assert code == 0 and b"in 1 of 2 steps" in output, (code, shown, output)
        assert set(re.findall(rb"[0-9.]+ of ([0-9.]+) MiB [0-9]+ MiB/s", shown)) == totals, (options, shown)
        assert shown.rindex(ERASED) > shown.rindex(b"left"), shown[-200:]


def nobody_else_sees_it():
    """Not with --json, not in a pipe or file."""
    at, slow = slow_steps()
    for command in ("stat", "--json", f"{at}/a"), ("diff", "--json", f"{at}/a", f"{at}/b"):
        shown, _, output = on_terminal([*slow, *command])
        assert shown == b"" and output[0] == ord("{"), (command, shown)
    p = subprocess.run([*slow, "stat", f"{at}/a"], capture_output=True, env=TRACED)
    assert p.returncode == 0 and p.stderr == b"", p.stderr


def a_signal_leaves_no_bar():
    """And of a new step nothing."""
    at, slow = slow_steps()
    a, b = f"{at}/a", f"{at}/b"
    for command in ("stat", a), ("diff", a, b):
        shown, code, _ = on_terminal([*slow, *command], signal.SIGINT)
        assert code == -signal.SIGINT and shown.rindex(ERASED) > shown.rindex(b"left"), (command, code, shown[-200:])
    before = set(os.listdir(at)) - {".ckptfs"}
    shown, code, _ = on_terminal([*slow, "average", a, b, "-o", "stopped"], signal.SIGTERM)
    assert code == 1 and b"interrupted" in shown[shown.rindex(ERASED):], (code, shown[-300:])
    assert set(os.listdir(at)) - {".ckptfs"} == before


def an_average_takes_little_memory():
    """Of one variable that is larger than what it may have."""
    if SANITIZED:
        return  # they take memory of their own
    os.mkdir(f"{FOLDER}/much")
    for seed, name in enumerate("abc"):
        make_step(f"{FOLDER}/much/{name}", {"w": np.full(20 * MIB, seed, np.float32)})

    def bounded():
        resource.setrlimit(resource.RLIMIT_DATA, (64 * MIB, 64 * MIB))
        resource.setrlimit(resource.RLIMIT_STACK, (MIB // 2, MIB // 2))  # of each thread

    subprocess.run([CKPTFS, "average", *(f"{FOLDER}/much/{name}" for name in "abc"), "-o", "mean"], check=True, preexec_fn=bounded)
    raw = subprocess.run([CKPTFS, "cat", "--format", "raw", f"{FOLDER}/much/mean/w"], check=True, capture_output=True).stdout
    assert raw == np.ones(20 * MIB, np.float32).tobytes()


runner.run([threads_find_what_one_finds, pieces_add_up, names_need_no_more_than_a_difference, a_terminal_shows_how_far_it_is, dedup_shows_two_bars,
            nobody_else_sees_it, a_signal_leaves_no_bar, an_average_takes_little_memory], sys.argv[3:])
