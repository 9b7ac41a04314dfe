"""What fsck.ckptfs finds in fixtures/corrupt against what TensorFlow refuses, and in a step with each byte changed in turn.

Usage: fsck.py FSCK FIXTURES DIRECTORY
"""
import glob
import json
import os
import pty
import shutil
import subprocess
import sys

fsck, fixtures, work = sys.argv[1:]


def run(*arguments):
    p = subprocess.run([fsck, *arguments], capture_output=True, stdin=subprocess.DEVNULL)
    assert p.returncode in (0, 4), (arguments, p)
    return p.returncode, p.stdout.decode("utf-8", "surrogateescape")


def run_json(*arguments):
    status, text = run("--json", *arguments)
    return status, json.loads(text)


def clean(s):
    """As it is printed where it could reach a terminal."""
    return "".join("?" if c < " " or "\x7f" <= c < "\xa0" or "\udc80" <= c < "\udca0" else c for c in s)


def compare_text(path):
    """The lines are made of the same facts as the object."""
    status, answer = run_json(path)
    status_text, text = run(path)
    assert status == status_text
    lines = []
    for step in answer["steps"]:
        lines += [": ".join([step["path"]] + [p[k] for k in ("key", "text") if k in p]) for p in step["problems"]]
    lines += [p["path"] + ": " + p["text"] for p in answer["problems"]]
    lines += ["note: " + p["path"] + ": " + p["text"] for p in answer["notes"]]
    s = answer["summary"]
    last = text.splitlines()[-1]
    assert sorted(map(clean, lines)) == sorted(text.splitlines()[:-1]), (lines, text)
    assert f'{s["bytes"]} bytes verified, {s["problems"]} problem' in last, last
    assert s["steps"] == len(answer["steps"]) and s["notes"] == len(answer["notes"])
    assert s["variables"] == sum(step["variables"] for step in answer["steps"])
    assert s["bytes"] == sum(step["bytes"] for step in answer["steps"])
    return status, answer


def check_corrupt():
    seen = 0
    for path in sorted(glob.glob(os.path.join(fixtures, "corrupt", "*.expected.json"))):
        with open(path) as f:
            expected = json.load(f)
        folder = path[: -len(".expected.json")]
        status, answer = compare_text(folder)
        steps = {s["name"]: s for s in answer["steps"]}
        for name, step in expected["steps"].items():
            problems = steps[name]["problems"]
            named = {p["key"] for p in problems if "key" in p}
            of_all = [p["text"] for p in problems if "key" not in p]
            refused = {k for k, v in step["keys"].items() if "error" in v.get("answer", {})}
            if refused:
                assert status == 4, folder
                assert refused <= named or of_all, (folder, refused, named)
                # No variable is blamed that TensorFlow reads.
                assert named <= refused, (folder, named - refused)
                seen += 1
            for text in of_all:
                assert text.startswith(name), text
        if isinstance(expected["latest_checkpoint"], dict):
            assert any(p["path"].endswith("/checkpoint") for p in answer["problems"]), folder
    assert seen > 30, seen


def check_every_byte():
    folder = os.path.join(work, "flipped")
    os.mkdir(folder)
    data = "my-model-0.data-00000-of-00001"
    for name in (data, "my-model-0.index"):
        shutil.copy(os.path.join(fixtures, "linear", name), folder)
    prefix = os.path.join(folder, "my-model-0")
    assert run(prefix)[0] == 0
    with open(os.path.join(folder, data), "rb") as f:
        size = len(f.read())
    names = {}
    for name in (data, "my-model-0.index"):
        path = os.path.join(folder, name)
        with open(path, "rb") as f:
            good = f.read()
        for i in range(len(good)):
            with open(path, "r+b") as f:
                f.seek(i)
                f.write(bytes([good[i] ^ 1 << i % 8]))
            status, answer = run_json(prefix)
            with open(path, "r+b") as f:
                f.write(good)
            assert status == 4, f"byte {i} of {name}"
            problems = answer["steps"][0]["problems"]
            assert all(name in p["text"] for p in problems), (i, problems)
            if name == data:
                assert len(problems) == 1, (i, problems)
                names.setdefault(problems[0]["key"], []).append(i)
    with open(os.path.join(fixtures, "linear.expected.json")) as f:
        keys = json.load(f)["steps"]["my-model-0"]["keys"]
    assert {k: len(v) for k, v in names.items()} == {k: v["nbytes"] for k, v in keys.items()}, names
    assert sum(len(v) for v in names.values()) == size


def check_names():
    """Keys that are not UTF-8, or have control characters, in JSON as Python spells them."""
    folder = os.path.join(work, "named")
    shutil.copytree(os.path.join(fixtures, "names"), folder)
    for path in glob.glob(os.path.join(folder, "*.data-*")):
        os.chmod(path, 0o600)
        with open(path, "r+b") as f:
            data = f.read()
            f.seek(0)
            f.write(bytes(b ^ 1 for b in data))
    status, answer = compare_text(folder)
    assert status == 4
    for step in answer["steps"]:
        with open(os.path.join(fixtures, "names.expected.json")) as f:
            keys = json.load(f)["steps"][step["name"]]["keys"]
        assert {p["key"] for p in step["problems"]} == set(keys), step["name"]


def ask(answer):
    """On a terminal it asks; the exit status, and what it said."""
    folder = os.path.join(work, "asked")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(os.path.join(fixtures, "absolute"), folder)
    os.chmod(os.path.join(folder, "checkpoint"), 0o600)
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(fsck, [fsck, folder])
    said = b""
    while True:
        try:
            more = os.read(fd, 1000)
        except OSError:
            break
        if not more:
            break
        said += more
        if b"[y/N] " in more:
            os.write(fd, answer)
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


check_corrupt()
check_every_byte()
check_names()
for fixture in ("linear", "v1", "strings", "keras", "absolute"):
    compare_text(os.path.join(fixtures, fixture))
assert ask(b"y\n")[0] == 1
status, said = ask(b"\n")
assert status == 4 and b"checkpoint: Rewrite it? [y/N] " in said, said
