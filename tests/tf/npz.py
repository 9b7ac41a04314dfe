#!/usr/bin/env python3
"""Compares .npz archives that go out and in with NumPy and TensorFlow: npz.py BUILDDIR FIXTURES FOLDER [TEST...]"""

import glob
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import warnings
import zipfile

import digests
import ml_dtypes
import numpy as np
import runner

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
sys.path.insert(0, FIXTURES)
import tf_expected  # noqa: E402

ALL = ["linear", "net", "dtypes", "sharded", "bigendian", "keras", "snappy", "v1", "v1-sharded", "partitioned", "strings", "maxshard", "names"]
DATA = np.arange(5.0)


def ckptfs(*args, status=0, **how):
    how.setdefault("stdout", subprocess.PIPE)
    p = subprocess.run([f"{BUILD}/ckptfs", *args], stderr=subprocess.PIPE, **how)
    assert p.returncode == status, (args, p.returncode, p.stderr)
    return p.stderr.decode(errors="replace") if status else p.stdout


def a_net(name):
    """A directory with the steps model-100 and model-200."""
    made = f"{FOLDER}/{name}"
    arrays = {"w": np.ones((3, 2), np.float32), "w/Adam": np.zeros((3, 2), np.float32), "deep/er/b": np.arange(4, dtype=np.int64)}
    np.savez(f"{FOLDER}/{name}.base.npz", **arrays)
    for step in ("model-100", "model-200"):
        ckptfs("import", f"{FOLDER}/{name}.base.npz", f"{made}/{step}")
    return made


def bytes_of(file):
    with open(file, "rb") as f:
        return f.read()


def contents(folder):
    return {name: bytes_of(name) for name in glob.glob(f"{glob.escape(folder)}/**", recursive=True, include_hidden=True) if os.path.isfile(name)}


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def by_tensorflow(at):
    reader = tf_expected.tf1.train.NewCheckpointReader(at)
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def same_arrays(found, wanted):
    assert sorted(found) == sorted(wanted), (sorted(found), sorted(wanted))
    for name in wanted:
        a, b = found[name], np.asarray(wanted[name])
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), (name, a, b)


# --- out ----------------------------------------------------------------------------------------------------------


def items_of(at):
    return json.loads(ckptfs("ls", "-R", "--json", at))["paths"][0]["items"]


def described(file, items):
    """{key: what TensorFlow's expected.json has of it} of the members of FILE."""
    found = {}
    with np.load(file) as archive, zipfile.ZipFile(file) as members:
        assert archive.files == [name.removesuffix(".npy") for name in members.namelist()]
        assert members.testzip() is None
        for info in members.infolist():
            assert info.compress_type == zipfile.ZIP_STORED and info.date_time == (1980, 1, 1, 0, 0, 0), info
            item, array = items[info.filename], archive[info.filename]
            entry = {"dtype": item["dtype"], "shape": item["shape"]}
            found[item["key"]] = digests.describe_array(array, entry, info.file_size) if item["dtype"] != "DT_VARIANT" else entry
    return found


def numpy_reads_every_fixture():
    """And as cp writes it; what goes in again is the same to TensorFlow."""
    for fixture in ALL:
        with open(f"{FIXTURES}/{fixture}.expected.json", encoding="utf-8") as f:
            steps = json.load(f)["steps"]
        for name, step in steps.items():
            at, file, problems = f"{FIXTURES}/{fixture}/{name}", f"{FOLDER}/{fixture}.npz", []
            items = {item["name"]: item for item in items_of(at)}
            said = subprocess.run([f"{BUILD}/ckptfs", "export", at, file], stderr=subprocess.PIPE, check=True).stderr
            found = described(file, items)
            if name == "bytes":  # names that are not UTF-8
                assert set(found) == {"fine"} and said.count(b"is left out: its name is not UTF-8") == 5, (found, said)
                continue
            assert not said, said
            digests.compare_keys(found, step, problems)
            assert not problems, (at, problems)
            ckptfs("cp", at, f"{FOLDER}/cp.npz")
            assert bytes_of(file) == bytes_of(f"{FOLDER}/cp.npz")
            if name == "odd" or any(item["dtype"] == "DT_VARIANT" for item in items.values()):
                continue  # names that begin with a dot, and variants, no new variable can have
            ckptfs("import", file, f"{FOLDER}/back/{fixture}-{name}")
            back = tf_expected.describe_step(f"{FOLDER}/back/{fixture}-{name}")
            digests.compare_keys(back["keys"], step, problems)
            assert not problems, (at, problems)
    shutil.rmtree(f"{FOLDER}/back")


def parts_and_places():
    net, file = a_net("parts"), f"{FOLDER}/part.npz"
    at = f"{net}/model-100"

    def names(*args):
        ckptfs("cp", *args, file)
        with np.load(file) as archive:
            return archive.files

    assert names(f"{at}/deep") == ["deep/er/b"] and names(f"{at}/w") == ["w"] and names(f"{at}/w/") == ["w/Adam"]
    assert names(at) == ["deep/er/b", "w", "w/Adam"] and names("-r", at) == names(at)
    assert names(f"{at}/**/Adam", f"{at}/w.npy", f"{at}/w") == ["w", "w/Adam"]
    whole = bytes_of(file)
    assert ckptfs("export", "--format", "npz", f"{at}/w", f"{at}/w/", "-") == whole
    ckptfs("export", f"{at}/w", f"{at}/w/", "-o", file)
    assert bytes_of(file) == whole
    assert ckptfs("export", "--format", "safetensors", f"{at}/w", file) == b"" and bytes_of(file)[:1] != b"P"
    ckptfs("export", f"{at}/w", f"{at}/w/", file)
    # Into a pipe, byte for byte the same.
    os.mkfifo(f"{FOLDER}/pipe.npz")
    read = []
    reader = threading.Thread(target=lambda: read.append(bytes_of(f"{FOLDER}/pipe.npz")))
    reader.start()
    ckptfs("cp", f"{at}/w", f"{at}/w/", f"{FOLDER}/pipe.npz")
    reader.join()
    assert read == [whole]
    p = subprocess.run(f"{BUILD}/ckptfs export --format npz {at} - | true; exit ${{PIPESTATUS[0]}}", shell=True, executable="/bin/bash", capture_output=True)
    assert p.returncode in (0, 1), p  # it is small: all may be in the pipe before that is closed
    # What is refused leaves the file as it is.
    for args in ([at, f"{net}/model-200/w"], [f"{at}/none"], [net], [f"{at}/variables.tsv"]):
        said = ckptfs("cp", *args, file, status=1)
        assert len(said.splitlines()) == 1, said
        ckptfs("export", *args, file, status=1)
    assert ckptfs("export", "--format", "zip", at, file, status=2)
    ckptfs("cp", at, f"{FOLDER}/none/x.npz", status=1)
    with open(glob.glob(f"{net}/model-100.data*")[0], "r+b") as f:
        f.seek(-4, os.SEEK_END)
        f.write(b"\xff" * 4)
    said = ckptfs("cp", at, file, status=1)
    assert file in said and ".npy" in said, said
    assert bytes_of(file) == whole and not glob.glob(f"{FOLDER}/.*npz*"), glob.glob(f"{FOLDER}/.*")
    # A directory of that name takes .npy files, as any.
    os.mkdir(f"{FOLDER}/dir.npz")
    ckptfs("cp", f"{net}/model-200/w", f"{FOLDER}/dir.npz")
    assert os.listdir(f"{FOLDER}/dir.npz") == ["w.npy"]


# --- in -----------------------------------------------------------------------------------------------------------


def arrays_of_all_kinds():
    return {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "be": np.arange(3, dtype=">i4"), "s": np.array([b"ab", b"", b"c"]), "flag": np.array([True, False]),
            "c": np.array([1 + 2j], np.complex64), "empty": np.zeros((0, 3), np.float32), "x/y/z": np.array(3, np.uint8), "ä/ü": np.ones(2, np.float16),
            "100%": np.ones(1), "n" * 300: np.ones(2), "a~/b.part": np.ones(3), "large": np.random.default_rng(1).standard_normal(300000)}


def tensorflow_reads_what_numpy_wrote():
    arrays = arrays_of_all_kinds()
    wanted = {**arrays, "be": arrays["be"].astype("=i4"), "s": np.array([b"ab", b"", b"c"], object)}
    for save in (np.savez, np.savez_compressed):
        file, at = f"{FOLDER}/{save.__name__}.npz", f"{FOLDER}/{save.__name__}/model-1"
        save(file, **arrays)
        assert ckptfs("import", file, at) == b""
        found = by_tensorflow(at)
        assert found.pop("s").tolist() == wanted["s"].tolist()
        same_arrays(found, {k: v for k, v in wanted.items() if k != "s"})
        assert "is there already" in ckptfs("import", file, at, status=1)
        assert len(os.listdir(os.path.dirname(at))) == 3, os.listdir(os.path.dirname(at))
    # As others write it: into a pipe, with sizes of 64 bits, with a comment, with folders, by other methods.
    one = npy(DATA)
    for name, members in odd_archives(one).items():
        at = f"{FOLDER}/odd/{name}"
        with open(f"{FOLDER}/odd.npz", "wb") as f:
            f.write(members)
        ckptfs("import", f"{FOLDER}/odd.npz", at)
        same_arrays(by_tensorflow(at), {"d/x": DATA})


class Pipe(io.BytesIO):
    def seekable(self):
        return False

    def tell(self):
        raise OSError

    seek = tell


def odd_archives(one):
    made = {}
    for name, how in {"piped": {}, "deflated": {"compression": zipfile.ZIP_DEFLATED}, "lzma": {"compression": zipfile.ZIP_LZMA}, "zip64": {}, "comment": {}}.items():
        out = Pipe() if name == "piped" else io.BytesIO()
        with zipfile.ZipFile(out, "w", **how) as z:
            z.comment = b"made by hand" if name == "comment" else b""
            z.writestr("d/", b"")
            with z.open("d/x.npy", "w", force_zip64=name == "zip64") as member:
                member.write(one)
        made[name] = out.getvalue()
    return made


def members_become_one_commit():
    net, file = a_net("in"), f"{FOLDER}/some.npz"
    np.savez(file, **{"w": np.full((3, 2), 7, np.float32), "new/x": DATA})
    before = contents(net)
    said = ckptfs("cp", file, f"{net}/model-200")
    assert said == b"model-201: committed, changes: 2\n", said
    old = by_tensorflow(f"{net}/model-200")
    same_arrays(by_tensorflow(f"{net}/model-201"), {**old, "w": np.full((3, 2), 7, np.float32), "new/x": DATA})
    assert before.items() <= {**contents(net), **{k: v for k, v in before.items() if k.endswith("checkpoint")}}.items()
    # A scope that is there, and one that is not; a step that is not.
    ckptfs("cp", file, f"{net}/model-201/deep/")
    ckptfs("cp", file, f"{net}/model-202/a/b")
    found = by_tensorflow(f"{net}/model-203")
    assert {"deep/w", "deep/new/x", "deep/er/b", "a/b/w", "a/b/new/x"} < set(found), set(found)
    assert ckptfs("cp", file, f"{net}/made") == b"made: committed, changes: 2\n"
    same_arrays(by_tensorflow(f"{net}/made"), dict(np.load(file)))
    # Beside other files; in a script.
    np.save(f"{FOLDER}/one.npy", DATA)
    ckptfs("cp", file, f"{FOLDER}/one.npy", f"{net}/made/all")
    assert {"all/w", "all/new/x", "all/one"} < set(by_tensorflow(f"{net}/made-1")), os.listdir(net)
    ckptfs("edit", f"{net}/made", f"cp {file} more", "mv more/new/x moved")
    assert {"more/w", "moved"} < set(by_tensorflow(f"{net}/made-2"))
    assert b"new: s/w.npy" in ckptfs("edit", "-n", f"{net}/made", f"cp {file} s")
    # NumPy saves no more of a dtype of ml_dtypes than its size; the variable that is there has it.
    half = np.arange(6).reshape(3, 2).astype(ml_dtypes.bfloat16)
    ckptfs("cast", "--to", "bfloat16", "w", f"{net}/model-200", "-o", "half")
    np.savez(file, w=half)
    ckptfs("cp", file, f"{net}/half")
    same_arrays({"w": by_tensorflow(f"{net}/half-1")["w"]}, {"w": half})
    assert "w.npy: descr '<V2'" in ckptfs("cp", file, f"{net}/other", status=1)
    # What goes out and in again is no change.
    ckptfs("cp", f"{net}/model-200", file)
    assert b"nothing differs" in ckptfs("cp", file, f"{net}/model-200")
    before = contents(net)
    for to in (net, f"{net}/model-200/deep/er/b", f"{net}/none/x/y", f"{FOLDER}/nowhere/x"):
        ckptfs("cp", file, to, status=1)
    ckptfs("edit", f"{net}/made", f"cp {file} ../other", status=1)
    np.savez(file, w=np.ones((3, 2), np.float32), o=np.array([{}]))
    assert "o.npy" in ckptfs("cp", file, f"{net}/model-200", status=1)
    assert contents(net) == before


# --- hostile ------------------------------------------------------------------------------------------------------


def archive(*members, **how):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **how) as z:
        for name, data in members:
            z.writestr(name, data)
    return bytearray(out.getvalue())


def patched(data, pattern, at, new):
    """AT bytes behind each PATTERN stands NEW."""
    i = data.find(pattern)
    while i >= 0:
        data[i + at : i + at + len(new)] = new
        i = data.find(pattern, i + 1)
    return data


def hostile_archives():
    x, zeros = npy(DATA), npy(np.zeros(1 << 17))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 47,)})
    link = zipfile.ZipInfo("l.npy")
    link.external_attr, link.create_system = 0o120777 << 16, 3
    good, packed = archive(("a.npy", x)), archive(("a.npy", zeros), compression=zipfile.ZIP_DEFLATED)
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w", zipfile.ZIP_DEFLATED) as z, z.open("a.npy", "w", force_zip64=True) as member:
        member.write(zeros)
    huge = bytearray(huge.getvalue())
    size = struct.pack("<Q", len(zeros))
    # The local header has 64 bits already; in the directory they are added.
    i, j = huge.find(size), huge.rfind(b"PK\1\2")
    huge[i : i + 8] = struct.pack("<Q", 1 << 55)
    huge[22:26] = b"\xff" * 4
    name_end = j + 46 + len("a.npy")
    huge[j + 24 : j + 28], huge[j + 30 : j + 32] = b"\xff" * 4, struct.pack("<H", 12)
    huge[name_end:name_end] = struct.pack("<HHQ", 1, 8, 1 << 55)
    end = huge.rfind(b"PK\5\6")
    huge[end + 12 : end + 16] = struct.pack("<I", end - j)
    flip = bytearray(good)
    flip[good.find(struct.pack("<d", 3.0))] ^= 1
    cut = archive(("a.npy", zeros), compression=zipfile.ZIP_DEFLATED)
    cut[80:600] = bytes(520)
    return {
        "nothing": (b"", "no zip archive"), "no_zip": (b"hello" * 100, "no zip archive"), "cut": (good[:-30], "no zip archive"), "no_members": (archive(), "no zip archive"),
        "half": (good[: len(good) // 2], "no zip archive"), "only_folders": (archive(("d/", b"")), "no members"),
        "up": (archive(("b.npy", x), ("../a.npy", x)), "../a.npy"), "up_inside": (archive(("b/../../a.npy", x)), "b/../../a.npy"), "dot": (archive(("./a.npy", x)), "./a.npy"),
        "absolute": (archive(("/etc/a.npy", x)), "/etc/a.npy"), "empty_part": (archive(("a//b.npy", x)), "a//b.npy"), "no_name": (archive((".npy", x)), ".npy"),
        "hidden": (archive(("a/.b.npy", x)), "begins with a dot"), "text": (archive(("a.npy", x), ("a.txt", b"hello")), "a.txt"),
        "twice": (archive(("a.npy", x), ("b.npy", x), ("a.npy", x)), "a.npy: is in it twice"), "twice_escaped": (archive(("a%2Enpy/b.npy", x), ("a.npy/b.npy", x)), "twice"),
        "no_npy": (archive(("a.npy", b"hello world")), "a.npy"), "empty_npy": (archive(("a.npy", b"")), "a.npy"), "cut_npy": (archive(("a.npy", x[:-8])), "32 bytes"), "long_npy": (archive(("a.npy", x + b"1234")), "44 bytes"),
        "header_lies": (archive(("a.npy", header.getvalue() + b"0" * 100)), "expected 1125899906842624"), "objects": (archive(("a.npy", npy(np.array([{}])))), "pickled"),
        "text_array": (archive(("a.npy", npy(np.array(["x"])))), "text"), "link": (archive((link, "/etc/passwd")), "l.npy"),
        "checksum": (flip, "a.npy"), "deflated_damaged": (cut, "a.npy"), "unknown_method": (patched(patched(bytearray(good), b"PK\1\2", 10, b"\x55"), b"PK\3\4", 8, b"\x55"), "a.npy"),
        "encrypted": (patched(patched(bytearray(good), b"PK\1\2", 8, b"\1"), b"PK\3\4", 6, b"\1"), "a.npy"),
        "smaller_than_said": (patched(patched(bytearray(packed), b"PK\1\2", 24, struct.pack("<I", len(zeros) + 8)), b"PK\3\4", 22, struct.pack("<I", len(zeros) + 8)), "a.npy"),
        "larger_than_said": (patched(patched(bytearray(packed), b"PK\1\2", 24, struct.pack("<I", 200)), b"PK\3\4", 22, struct.pack("<I", 200)), "a.npy"),
        "sizes_differ": (patched(bytearray(packed), b"PK\1\2", 24, struct.pack("<I", 200)), "a.npy"),
        "local_header_beyond": (patched(bytearray(good), b"PK\1\2", 42, struct.pack("<I", 1 << 30)), ""), "directory_beyond": (patched(bytearray(good), b"PK\5\6", 16, struct.pack("<I", 1 << 30)), ""),
        "no_room": (huge, "36028797018963968 bytes, and the file system has"),
    }


def hostile_archives_change_nothing():
    net, file = a_net("hostile"), f"{FOLDER}/bad.npz"
    before = contents(net)
    warnings.simplefilter("ignore")
    for name, (data, words) in hostile_archives().items():
        with open(file, "wb") as f:
            f.write(data)
        for args in (["import", file, f"{FOLDER}/bad/model"], ["cp", file, f"{net}/model-200"], ["cp", file, f"{net}/made"]):
            said = ckptfs(*args, status=1)
            assert said.count(file) == 1 and words in said and len(said) < 700 and len(said.splitlines()) == 1, (name, said)
        assert not os.path.exists(f"{FOLDER}/bad"), (name, said)
        assert contents(net) == before, name
    for at in (f"{FOLDER}/not there.npz", "/dev/null"):
        ckptfs("import", at, f"{FOLDER}/bad/model", status=1)
    os.mkdir(f"{FOLDER}/folder.npz")
    ckptfs("import", f"{FOLDER}/folder.npz", f"{FOLDER}/bad/model", status=1)
    assert not os.path.exists(f"{FOLDER}/bad")


def any_bytes_do_no_harm():
    """Damaged at random: an error, or the members as they are."""
    rng, file = np.random.default_rng(7), f"{FOLDER}/fuzz.npz"
    for seed in [archive(("a.npy", npy(DATA)), ("b/c.npy", npy(DATA))), archive(("a.npy", npy(DATA)), compression=zipfile.ZIP_DEFLATED)]:
        for _ in range(40):
            data = bytearray(seed)
            for at in rng.integers(0, len(data), rng.integers(1, 4)):
                data[at] = rng.integers(0, 256)
            with open(file, "wb") as f:
                f.write(data)
            p = subprocess.run([f"{BUILD}/ckptfs", "import", file, f"{FOLDER}/fuzz/model"], capture_output=True)
            assert p.returncode in (0, 1) and len(p.stderr.splitlines()) == p.returncode, (p, bytes(data))
            assert os.path.exists(f"{FOLDER}/fuzz") == (p.returncode == 0)
            shutil.rmtree(f"{FOLDER}/fuzz", ignore_errors=True)


# --- interrupted --------------------------------------------------------------------------------------------------


def interrupted(number, begun, *args):
    """Gets the signal NUMBER when there is a file that BEGUN matches."""
    p = subprocess.Popen([f"{BUILD}/ckptfs", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while p.poll() is None and not glob.glob(begun, include_hidden=True):
        pass
    p.send_signal(number)
    said = p.communicate()[1].decode()
    assert p.returncode == (1 if number != signal.SIGKILL else -number) and ("interrupted" in said) == (number != signal.SIGKILL), (p.returncode, said)


def who_is_interrupted_leaves_nothing():
    net, large, out = a_net("signals"), f"{FOLDER}/large.npz", f"{FOLDER}/out.npz"
    np.savez(large, first=np.ones(3), x=np.zeros(100 << 17))
    before = contents(net)
    ckptfs("import", large, f"{FOLDER}/big/model")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        with open(out, "w") as f:
            f.write("as it was")
        interrupted(number, f"{FOLDER}/.out.npz.*", "cp", f"{FOLDER}/big/model", out)
        assert bytes_of(out) == b"as it was"
        left = glob.glob(f"{FOLDER}/.out.npz.*")
        assert len(left) == (number == signal.SIGKILL), left
        interrupted(number, f"{FOLDER}/s.{number}/.ckptfs/drafts/*/tree/x.npy", "import", large, f"{FOLDER}/s.{number}/model")
        assert not glob.glob(f"{FOLDER}/s.{number}/model*") and os.path.exists(f"{FOLDER}/s.{number}") == (number == signal.SIGKILL)
        if number != signal.SIGKILL:
            interrupted(number, f"{net}/.ckptfs/drafts/*/tree/s/x.npy", "cp", large, f"{net}/model-200/s")
            assert contents(net) == before
    with runner.Mount(BUILD, f"{FOLDER}/s.{signal.SIGKILL}", "rw", FOLDER):
        pass
    assert not glob.glob(f"{FOLDER}/s.{signal.SIGKILL}/model*")


def memory_does_not_grow():
    """An array of 100 MB goes out and in, also compressed to next to nothing, in little of it."""
    if b"__asan_init" in bytes_of(f"{BUILD}/ckptfs"):  # which needs much
        return
    file = f"{FOLDER}/zeros.npz"
    np.savez_compressed(file, x=np.zeros(13 << 20))
    limit = ["prlimit", f"--data={40 << 20}", f"{BUILD}/ckptfs"]
    subprocess.run([*limit, "import", file, f"{FOLDER}/zeros/model"], check=True)
    subprocess.run([*limit, "cp", f"{FOLDER}/zeros/model", file], check=True)
    subprocess.run([*limit, "cp", file, f"{FOLDER}/zeros/again"], check=True, stdout=subprocess.PIPE)
    assert np.load(file)["x"].shape == (13 << 20,)
    shutil.rmtree(f"{FOLDER}/zeros")
    os.unlink(file)


runner.run([numpy_reads_every_fixture, parts_and_places, tensorflow_reads_what_numpy_wrote, members_become_one_commit,
            hostile_archives_change_nothing, any_bytes_do_no_harm, who_is_interrupted_leaves_nothing, memory_does_not_grow], sys.argv[4:])
