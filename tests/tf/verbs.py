#!/usr/bin/env python3
"""Every verb of ckptfs on every checkpoint, compared with TensorFlow, NumPy and safetensors: verbs.py BUILDDIR FIXTURES FOLDER [TEST...]

Each directory of the fixtures, and of CKPTFS_REAL, is copied; the programs run as an unprivileged user where that can be.
"""

import base64
import glob
import hashlib
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import numpy as np

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
sys.path.insert(0, FIXTURES)
import runner  # noqa: E402
import tf_expected  # noqa: E402
from arrays import FLOATS, dtype_of, rounded, same, same_numbers  # noqa: E402
from safetensors import deserialize  # noqa: E402
from tf_expected import tf  # noqa: E402

REAL = os.environ.get("CKPTFS_REAL", "")
AS_USER = os.environ.get("CKPTFS_AS_USER", "").split()
FEW = os.environ.get("CKPTFS_FEW") == "yes"  # less of it, for slow builds
LARGE = 1000  # of a step of so many variables TensorFlow reads some
GRAPH, SUFFIX = "_CHECKPOINTABLE_OBJECT_GRAPH", "/.ATTRIBUTES/VARIABLE_VALUE"
NO_NUMBERS = ("DT_STRING", "DT_VARIANT", "DT_RESOURCE")
# Names of which a new step can't be made: longer than a path can be, and hidden ones.
REFUSED = {("odd", verb): "its path is too long" for verb in ("average", "merge", "cp", "edit")}
REFUSED["odd", "cast"] = "begins with a dot"
REFUSED["bytes", "merge"] = "its path is too long"  # with the step `odd`


# --- the programs -------------------------------------------------------------------------------------------------------


def call(*args, **how):
    p = subprocess.run([*AS_USER, f"{BUILD}/ckptfs", *args], capture_output=True, **how)
    assert p.returncode in (0, 1, 2, 4, 8, 32) and b"Sanitizer" not in p.stderr, (args, p.returncode, p.stderr)
    return p.returncode, p.stdout, p.stderr.decode("utf-8", "surrogateescape")


def run(*args, status=0):
    returned, out, said = call(*args)
    assert returned == status, (args, returned, said)
    return said if status else out


def text(*args):
    return run(*args).decode("utf-8", "surrogateescape")


def say(*args, status=0):
    returned, out, said = call(*args)
    assert returned == status, (args, returned, said)
    return json.loads(out.decode("utf-8", "surrogateescape"))


def items(path, *args):
    return say("ls", "--json", *args, path)["paths"][0]["items"]


def steps_in(folder):
    return [item["name"] for item in items(folder) if item["kind"] == "step"]


def made_by(*args):
    """What the step is called that a verb has made."""
    words = text(*args).splitlines()
    assert words and ": committed, changes: " in words[0], (args, words)
    return words[0].split(": committed")[0]


def makes(s, *args):
    """Runs a verb that makes a step. False: the names in this step do not allow that, which is said, and nothing is changed."""
    words = REFUSED.get((s.step, args[0]))
    if not words:
        run(*args)
        return True
    before = files_in(s.folder)
    said = run(*args, status=1)
    assert words in said and said.count("\n") == 1 and files_in(s.folder) == before, said
    return False


def files_in(folder):
    """What a change would change."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            st = os.lstat(f"{at}/{name}")
            found[f"{at}/{name}"] = st.st_size, st.st_mtime_ns, st.st_ino
    return found


def copied(folder):
    """A copy that the unprivileged user may write to. In a SavedModel it is the folder of the variables that is taken."""
    is_export = os.path.basename(folder) == "variables" and os.path.exists(f"{folder}/../saved_model.pb")
    to = os.path.join(tempfile.mkdtemp(dir=FOLDER), "net")
    if is_export:
        shutil.copytree(f"{folder}/..", to, copy_function=shutil.copyfile)
    else:
        os.mkdir(to)
        for name in os.listdir(folder):
            if os.path.isfile(f"{folder}/{name}"):
                shutil.copyfile(f"{folder}/{name}", f"{to}/{name}")
            elif ".data-" in name:  # a fixture has a directory there
                os.mkdir(f"{to}/{name}")
    for at, _, _ in os.walk(to):
        os.chmod(at, 0o755)  # the source tree may be read-only
    if AS_USER:
        for path in [os.path.dirname(to), *glob.glob(f"{glob.escape(to)}/**", recursive=True, include_hidden=True)]:
            os.chown(path, 65534, 65534)
    return f"{to}/variables" if is_export else to


# --- what TensorFlow reads --------------------------------------------------------------------------------------------------


class Step:
    """By TensorFlow: .dtype, .shape and .array of each key; the array is None where it does not restore the variable as a whole."""

    def __init__(self, folder, name):
        shards = glob.glob(glob.escape(f"{folder}/{name}") + "-00000-of-*")
        self.prefix = shards[0].replace("-00000-of-", "-?????-of-") if shards else f"{folder}/{name}"
        self.dtype, self.shape, self.array = {}, {}, {}
        listed = tf_expected.list_keys(tf_expected.open_reader(self.prefix))
        for key, (dtype, shape) in listed.items():
            name = tf_expected.key_text(key)
            self.dtype[name], self.shape[name], self.array[name] = tf_expected.dtype_name(dtype), list(shape), None
        some = sorted(listed)[::499] + [key for key in listed if "made" in key] if len(listed) > LARGE else listed
        for key, array in tf_expected.restore_all(self.prefix, {key: listed[key] for key in some}):
            self.array[tf_expected.key_text(key)] = None if isinstance(array, Exception) else array

    def has(self, wanted):
        """The variables are those of WANTED, and so are their arrays, where both are known. An object graph is another one in each step."""
        assert set(self.array) == set(wanted), set(self.array) ^ set(wanted)
        for key, array in wanted.items():
            if array is not None and self.array[key] is not None and key != GRAPH:
                same(self.array[key], array, key)


class Looked(Step):
    """And by ckptfs: .name of each key, without .npy."""

    def __init__(self, folder, name):
        super().__init__(folder, name)
        self.folder, self.step, self.at = folder, name, f"{folder}/{name}"
        self.items = {item["key"]: item for item in items(self.at, "-R")}
        self.name = {key: item["name"].removesuffix(".npy") for key, item in self.items.items()}
        self.real = {key: array for key, array in self.array.items() if array is not None and self.dtype[key] not in NO_NUMBERS}

    def path(self, key):
        return f"{self.at}/{self.name[key]}"

    def key_of(self, name):
        return name + SUFFIX if GRAPH in self.array else name

    def some(self, count):
        """Keys of variables of as many dtypes as can be."""
        found, others, dtypes = [], [], set()
        for key in (k for k in self.real if len(self.name[k]) < 1000):
            (others if self.dtype[key] in dtypes else found).append(key)
            dtypes.add(self.dtype[key])
        return (found + others)[:count]


# --- each verb ------------------------------------------------------------------------------------------------------------------


def ls_and_tree(s):
    assert {(key, item["dtype"], tuple(item["shape"])) for key, item in s.items.items()} == {
        (key, s.dtype[key], tuple(s.shape[key])) for key in s.array}
    total = text("tree", "-L", "0", s.at).split()
    assert int(total[0]) == sum(item["bytes"] for item in s.items.values()) and int(total[1]) == len(s.items), total


def is_swapped(path):
    dtype = np.load(io.BytesIO(run("cat", "--format", "npy", path + ".npy"))).dtype
    return ">" in str(dtype.descr)


def swapped(array):
    """For a step that a big-endian machine wrote."""
    parts = 2 if array.dtype.kind == "c" else 1
    bare = np.ascontiguousarray(array).reshape(-1).view(f"<u{array.dtype.itemsize // parts}") if array.dtype.itemsize > 1 else array
    return bare.byteswap()


def cat(s):
    """All that have numbers in one call; each string by itself."""
    if s.real:
        raw = run("cat", "--format", "raw", *(s.path(key) + ".npy" for key in s.items if key in s.real))
        is_big = any(is_swapped(s.path(key)) for key in s.some(2))
        arrays = [s.real[key] for key in s.items if key in s.real]
        assert raw == b"".join(tf_expected.raw_bytes(swapped(x) if is_big else x).tobytes() for x in arrays), s.at
    for key, array in s.array.items():
        if s.dtype[key] == "DT_STRING" and array is not None:
            said = say("cat", "--format", "json", s.path(key) + ".npy")["values"]
            flat = [x.encode("utf-8", "surrogateescape") for x in np.array([said], object).ravel().tolist()]
            assert flat == array.ravel().tolist(), key


def stat(s):
    said = {v["key"]: v for v in say("stat", "--json", s.at)["variables"]}
    assert set(said) == set(s.array)
    for key, array in s.real.items():
        if array.dtype.kind != "c":
            assert "numbers" in said[key], (key, said[key])
            same_numbers(said[key]["numbers"], array)


def export_and_import(s):
    """What safetensors has a type for, out and in again."""
    file = f"{new_folder()}/out.safetensors"
    said = call("export", s.at, file)
    assert said[0] == 0, said
    with open(file, "rb") as f:
        tensors = dict(deserialize(f.read()))
    for key in s.real:
        name = s.name[key] if GRAPH in s.array else key
        if name in tensors:
            assert tensors[name]["shape"] == s.shape[key] and bytes(tensors[name]["data"]) == tf_expected.raw_bytes(s.real[key]).tobytes(), key
    if len(tensors) > LARGE:
        return
    to = f"{os.path.dirname(file)}/in"
    returned, _, said = call("import", file, f"{to}/step")
    parts = {part for name in tensors for part in name.split("/")} - {".OPTIMIZER_SLOT"}
    if any(part.startswith(".") or not part for part in parts) or not tensors:
        assert returned == 1 and not os.path.exists(f"{to}/step.index"), said
        return
    assert returned == 0, said
    found = Step(to, "step")
    assert set(found.array) == set(tensors)
    for key, array in s.real.items():
        name = s.name[key] if GRAPH in s.array else key
        if name in tensors:
            same(found.array[name], array, key)


def is_float(array):
    return array is not None and array.dtype.name in [*FLOATS, "float4_e2m1fn"]


def new_folder():
    folder = tempfile.mkdtemp(dir=FOLDER)
    if AS_USER:
        os.chown(folder, 65534, 65534)
    return folder


def average(s, other):
    """With another step if that has the same variables: else that is refused."""
    before = files_in(s.folder)
    if (s.dtype, s.shape) != (other.dtype, other.shape):
        run("average", s.at, other.at, "-o", "mean", status=1)
        assert files_in(s.folder) == before
        other = s
    if not makes(s, "average", s.at, other.at, "-o", "mean"):
        return
    wanted = {}
    for key, x in s.array.items():
        wanted[key] = x
        if is_float(x) or x is not None and x.dtype.kind == "c":
            wide = np.complex128 if x.dtype.kind == "c" else np.float64
            with np.errstate(all="ignore"):
                total = x.astype(wide) + other.array[key].astype(wide)
                mean = (total.reshape(-1).view(np.float64) / 2).view(wide).reshape(x.shape) if x.dtype.kind == "c" else total / 2
                wanted[key] = mean.astype(x.dtype) if x.dtype.kind == "c" else rounded(mean, x.dtype)
            if other is s or (x.tobytes() == other.array[key].tobytes()):
                wanted[key] = x
    Step(s.folder, "mean").has(wanted)


def cast(s):
    if not makes(s, "cast", "--to", "bfloat16", s.at, "-o", "half"):
        return
    half = {key: rounded(x.astype(np.float64), dtype_of("bfloat16")) if is_float(x) else x for key, x in s.array.items()}
    Step(s.folder, "half").has(half)
    run("cast", "--to", "float32", f"{s.folder}/half", "-o", "whole")
    Step(s.folder, "whole").has({key: x.astype(np.float32) if is_float(x) else x for key, x in half.items()})


def merge(s, other):
    if makes(s, "merge", "--prefer", "b", s.at, other.at, "-o", "both"):
        Step(s.folder, "both").has({**s.array, **other.array})


def edited(s):
    """rm, mv, cp and mkdir in one commit; variables from files; then what diff says of both steps."""
    keys = s.some(6)
    if len(keys) < 4:
        return
    first, second, third, *rest = keys
    wanted, commands, out = dict(s.array), [], new_folder()
    commands += ["mkdir made", shlex.join(["cp", s.name[first], "made/copy"]), shlex.join(["mv", s.name[second], "moved"]), shlex.join(["rm", s.name[third]])]
    wanted[s.key_of("made/copy")], wanted[s.key_of("moved")] = wanted[first], wanted.pop(second)
    del wanted[third]
    for key in rest:
        run("cp", s.path(key), f"{out}/x.npy")
        stored = np.load(f"{out}/x.npy")
        turned = np.ascontiguousarray(stored.ravel()[::-1]).reshape(stored.shape)
        os.replace(f"{out}/x.npy", f"{out}/old.npy")
        np.save(f"{out}/{len(commands)}.npy", turned)
        commands.append(shlex.join(["cp", f"{out}/{len(commands)}.npy", s.name[key]]))
        wanted[key] = np.ascontiguousarray(s.array[key].ravel()[::-1]).reshape(s.array[key].shape)
    before = files_in(s.folder)
    assert text("edit", "-n", s.at, *commands).startswith(f"changes: {3 + len(rest)}\n")
    assert files_in(s.folder) == before
    assert "nothing" in run("edit", s.at, *commands, "rm made/copy/nothing", status=1)
    assert files_in(s.folder) == before
    if not makes(s, "edit", "-o", "edited", s.at, *commands):
        return
    Step(s.folder, "edited").has(wanted)
    diff(s, {key: wanted[key] for key in rest}, third)


def diff(s, changed, gone):
    """Against the step `edited`."""
    said = say("diff", "--json", s.at, f"{s.folder}/edited", status=1)["diff"]
    found = {d["name"]: d for d in said["differences"]}
    assert found[s.name[gone]]["kind"] == "removed" and found["made/copy"]["kind"] == "added", found
    for key, y in changed.items():
        x = s.array[key]
        wide = np.complex128 if x.dtype.kind == "c" else np.float64
        a, b = x.astype(wide), y.astype(wide)
        differ = (a != b) & ~(np.isnan(a) & np.isnan(b))
        if not differ.any():
            assert s.name[key] not in found or x.dtype.name in FLOATS, key
            continue
        d = found[s.name[key]]
        assert (d["differ"], d["elements"]) == (differ.sum(), a.size), (key, d)
        if np.isfinite(a).all() and "max" in d:
            np.testing.assert_allclose(d["max"], np.abs(a - b).max(), rtol=1e-9, err_msg=key)
            np.testing.assert_allclose(d["mean"], np.abs(a - b).mean(), rtol=1e-9, err_msg=key)


def one_by_one(s):
    """rm, mv and cp of a variable, each a commit of its own."""
    key = s.some(1)
    if not key:
        return
    (key,) = key
    if len(s.array) == 1:
        assert "no variable is left" in run("rm", s.path(key), status=1)
    for verb, wanted in ("rm", []), ("mv", ["moved"]), ("cp", [None, "moved"]):
        if verb == "rm" and len(s.array) == 1:
            continue
        folder = copied(s.folder)
        at = f"{folder}/{s.step}"
        new = made_by(verb, f"{at}/{s.name[key]}", *([] if verb == "rm" else [f"{at}/moved"]))
        keys = {**s.array}
        if None not in wanted:
            del keys[key]
        if "moved" in wanted:
            keys[s.key_of("moved")] = s.array[key]
        Step(folder, new).has(keys)
        shutil.rmtree(os.path.dirname(folder))


def whole_steps(s):
    """cp, mv, ln, mkdir and rm of a step, the log, and the latest."""
    if not makes(s, "cp", "-r", s.at, f"{s.folder}/again"):
        return
    Step(s.folder, "again").has(s.array)
    run("ln", f"{s.folder}/again", f"{s.folder}/good")
    assert items(f"{s.folder}/good", "-R") == items(f"{s.folder}/again", "-R")
    run("rm", f"{s.folder}/good")
    run("mkdir", f"{s.folder}/old")
    run("mv", f"{s.folder}/again", f"{s.folder}/old/")
    Step(f"{s.folder}/old", "again").has(s.array)
    run("rm", "-r", f"{s.folder}/old/again")
    assert not glob.glob(f"{glob.escape(s.folder)}/old/again*")
    names = [step["name"] for step in say("log", "--json", s.folder)["steps"]]
    assert sorted(names) == sorted(steps_in(s.folder)), names


def drafts(s):
    """A program that is killed in a change leaves a draft: it is told, and committed or dropped."""
    assert text("status", s.folder) == "changes: none\n"
    for key in s.some(1):
        for verb in ("commit", "discard"):
            before = files_in(s.folder)
            leave_a_draft(s, key)
            left = text("status", s.at)
            said = text(verb, s.at)
            if "has no changes" not in said:
                assert "next commit: " in left and f": {verb.removesuffix('t')}" in said, (left, said)
            if ": committed" in said:
                found = Step(s.folder, said.split(":")[0])
                found.has({**s.array, **{k: s.array[key] for k in found.array if k.startswith("made/")}})
            if verb == "discard":
                assert not os.path.exists(f"{s.folder}/.ckptfs") and before.items() >= files_in(s.folder).items(), said


def leave_a_draft(s, key):
    commands = [shlex.join(["cp", s.name[key], f"made/{i}"]) for i in range(3000)] + ["rm nothing"]
    with subprocess.Popen([*AS_USER, f"{BUILD}/ckptfs", "edit", s.at, *commands], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
        while not glob.glob(f"{glob.escape(s.folder)}/.ckptfs/drafts/*/*") and p.poll() is None:
            time.sleep(0.0005)
        p.send_signal(signal.SIGKILL)


def without_fuse(s):
    """What needs it says so; nothing is left."""
    at = new_folder()
    returned, _, said = call("mount", s.folder, at)
    assert returned != 0 and "no /dev/fuse" in said, (returned, said)
    returned, _, said = call("umount", at)
    assert returned != 0 and "not" in said, (returned, said)
    assert os.listdir(at) == []


# --- all checkpoints --------------------------------------------------------------------------------------------------------


def folders_with_steps(top):
    left_out = ("/corrupt", "/many") if FEW else ("/corrupt",)
    folders = [at for at, _, names in os.walk(top)
               if any(n.endswith(".index") or "-00000-of-" in n or n == "model.ckpt-10" for n in names)]
    return sorted(at for at in folders if not any(part in at for part in left_out))


def every_verb(folder):
    """Gives the number of steps."""
    checked = 0
    names = steps_in(folder)
    for name in sorted(names, key=len)[: 1 if FEW else 2]:
        made = copied(folder)
        before = files_in(made)
        s, other = Looked(made, name), Looked(made, names[-1])
        if os.path.exists(f"{s.at}.index") and not glob.glob(f"{glob.escape(s.at)}.data*"):  # nothing can be read of it
            assert call("verify", made)[0] == 4
            continue
        sound = call("verify", made)[0]
        assert sound == (4 if folder.endswith("/absolute") else 0), sound  # whose state file has paths of another place
        for verb in (ls_and_tree, cat, stat, export_and_import):
            verb(s)
        assert files_in(made) == before
        if len(s.array) < LARGE:  # else a file is made for each variable, which takes a while
            for verb in (average, merge):
                verb(s, other)
            for verb in (cast, edited, whole_steps):
                verb(s)
        assert call("verify", made)[0] == sound
        assert {path: st for path, st in files_in(made).items() if path in before and path != f"{made}/checkpoint"} == {
            path: st for path, st in before.items() if path != f"{made}/checkpoint"}
        one_by_one(s)
        drafts(s)
        without_fuse(s)
        shutil.rmtree(os.path.dirname(made))
        checked += 1
    return checked


def all_below(top):
    failed, checked = {}, 0
    for folder in folders_with_steps(top):
        start = time.monotonic()
        try:
            checked += every_verb(folder)
        except Exception:  # the others are tried, too
            failed[folder] = traceback.format_exc()
        print(f"{folder}: {time.monotonic() - start:.1f} s", flush=True)
    assert not failed, "\n".join(f"{folder}: {why}" for folder, why in failed.items())
    return checked


# --- damaged ones -----------------------------------------------------------------------------------------------------------------


def is_refused(entry):
    return "error" in entry["answer"]


def answer_of(path, entry):
    """What cat says, as TensorFlow's answer ENTRY is described."""
    returned, out, said = call("cat", "--format", "json" if "values" in entry["answer"] else "raw", path)
    assert returned in (0, 1) and (said == "") == (returned == 0), said
    if returned:
        return None
    if "values" in entry["answer"]:
        values = np.array([json.loads(out)["values"]], object).ravel().tolist()
        return [base64.b64encode(x.encode("utf-8", "surrogateescape")).decode() for x in values]
    return hashlib.sha256(out).hexdigest()


def damaged(folder, steps):
    """What TensorFlow restores is shown, and else it is said why not. A verb that fails changes nothing."""
    made = copied(folder)
    start = files_in(made)
    for name, step in steps.items():
        at = f"{made}/{name}"
        returned, out, said = call("ls", "-R", "--json", at)
        found = {item["key"]: item["name"] for item in json.loads(out)["paths"][0]["items"]} if returned == 0 else {}
        assert returned == 0 or said.count("\n") == 1, said
        assert returned == 0 or all(map(is_refused, step["keys"].values())) or folder.endswith("/missing-header"), said
        bad = [key for key, entry in step["keys"].items() if is_refused(entry) or key not in found]
        for key, entry in step["keys"].items():
            if key in found:
                answer = answer_of(f"{at}/{found[key]}", entry)
                if os.path.basename(folder) != "big-endian":  # cat prints the bytes as they are stored
                    assert answer == (None if is_refused(entry) else entry["answer"].get("sha256") or entry["answer"]["values"]), (folder, key, answer, entry)
        for args in (("stat", at), ("tree", at), ("diff", at, at), ("log", made), ("status", made), ("export", at, f"{new_folder()}/x"),
                     ("verify", made)):
            call(*args)
        assert files_in(made) == start
        for args in (("average", at, at, "-o", "mean"), ("cast", "--to", "float16", at, "-o", "half"), ("merge", at, at, "-o", "both"),
                     ("edit", "-o", "edited", at, "cp w x"), ("cp", "-r", at, f"{made}/again"), ("rm", f"{at}/b")):
            before = files_in(made)
            returned, _, said = call(*args)
            assert returned in (0, 1), args
            if returned == 1:
                assert said.count("\n") == 1 and files_in(made) == before, (args, said)
            if args[0] == "cast" and bad:
                assert returned == 1, (args, bad)
            assert all(files_in(made)[path] == st for path, st in start.items() if path != f"{made}/checkpoint"), args
    shutil.rmtree(os.path.dirname(made))


def damaged_ones():
    names = sorted(os.listdir(f"{FIXTURES}/corrupt"))
    folders = [name for name in names if not name.endswith(".json")][::6 if FEW else 1]
    for name in folders:
        with open(f"{FIXTURES}/corrupt/{name}.expected.json", encoding="utf-8") as f:
            damaged(f"{FIXTURES}/corrupt/{name}", json.load(f)["steps"])
    assert len(folders) > 6


def fixtures():
    assert all_below(FIXTURES) > (15 if FEW else 20)


def others():
    """Of other projects."""
    if REAL:
        assert all_below(REAL) > 40


runner.run([fixtures, damaged_ones, others], sys.argv[4:])
