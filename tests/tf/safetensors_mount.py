#!/usr/bin/env python3
"""Reads steps as .safetensors files on a mount: safetensors_mount.py BUILDDIR FIXTURES FOLDER [TEST...]

What ckptfs export writes is the oracle for the bytes; that is compared with TensorFlow in safetensors_files.py. What must not be
copied to be read is read by the safetensors package itself."""

import contextlib
import errno
import glob
import json
import mmap
import os
import random
import shutil
import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import runner
import safetensors
import safetensors.numpy

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
READ = ["linear", "net", "sharded", "bigendian", "keras", "snappy", "v1", "v1-sharded", "partitioned", "strings", "maxshard", "dtypes"]
DTYPES = {"BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
          "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz, **safetensors.numpy._TYPES}


def mounted(source, options="rw"):
    return runner.Mount(BUILD, source, f"safetensors,{options}", FOLDER)


def exported(at):
    return subprocess.run([f"{BUILD}/ckptfs", "export", at, "-"], capture_output=True, check=True).stdout


def bytes_of(file):
    with open(file, "rb") as f:
        return f.read()


def copy_of(fixture, name=None):
    to = f"{FOLDER}/{name or fixture}"
    shutil.copytree(fixture if "/" in fixture else f"{FIXTURES}/{fixture}", to)
    return to


def a_directory(name, **steps):
    """Each step from {name: array}."""
    folder = f"{FOLDER}/{name}"
    for step, arrays in steps.items():
        safetensors.numpy.save_file(arrays, f"{FOLDER}/made.safetensors")
        subprocess.run([f"{BUILD}/ckptfs", "import", f"{FOLDER}/made.safetensors", f"{folder}/{step}"], check=True)
    with open(f"{folder}/checkpoint", "w") as f:
        f.write(f'model_checkpoint_path: "{next(iter(steps))}"\n')
    return folder


@contextlib.contextmanager
def fails_with(*codes):
    try:
        yield
    except OSError as e:
        assert e.errno in codes, e
    else:
        raise AssertionError(f"no error; expected {codes}")


def steps_in(folder):
    return [name for name in os.listdir(folder) if os.path.isdir(f"{folder}/{name}") and not os.path.islink(f"{folder}/{name}")]


def every_fixture():
    """The same bytes as from the export, of every fixture; its own library reads them, from a mapping too."""
    seen, left = set(), 0
    for fixture in READ:
        with mounted(f"{FIXTURES}/{fixture}", "ro") as mount:
            for step in steps_in(mount.at):
                file = f"{mount.at}/{step}.safetensors"
                expected = exported(f"{FIXTURES}/{fixture}/{step}")
                assert os.stat(file).st_size == len(expected) and bytes_of(file) == expected, file
                with open(file, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
                    assert m[:] == expected
                arrays = {name: np.frombuffer(bytes(t["data"]), DTYPES[t["dtype"]]).reshape(t["shape"])
                          for name, t in safetensors.deserialize(expected)}
                seen |= {a.dtype.name for a in arrays.values()}
                with safetensors.safe_open(file, "np") as f:
                    names = json.loads((f.metadata() or {}).get("ckptfs.left_out", "[]"))
                    left += len(names)
                    assert set(f.keys()) == set(arrays) and not set(names) & set(arrays)
                    for name, a in arrays.items():
                        if hasattr(np, a.dtype.name):
                            part = f.get_slice(name)[1:] if a.ndim and len(a) > 1 else f.get_tensor(name)
                            assert part.tobytes() == (a[1:] if a.ndim and len(a) > 1 else a).tobytes(), (file, name)
                if all(hasattr(np, a.dtype.name) for a in arrays.values()):
                    for name, a in safetensors.numpy.load_file(file).items():
                        assert a.tobytes() == arrays[name].tobytes(), (file, name)
            if os.path.islink(f"{mount.at}/latest"):
                assert os.readlink(f"{mount.at}/latest.safetensors") == os.readlink(f"{mount.at}/latest") + ".safetensors"
    assert {"bfloat16", "float8_e4m3fn", "float8_e5m2", "float64", "bool", "int16"} <= seen and left > 5, (seen, left)


def by_torch():
    """Where there is PyTorch."""
    try:
        import safetensors.torch
    except ImportError:
        print("SKIP: optional: no PyTorch")
        return
    with mounted(f"{FIXTURES}/net", "ro") as mount:
        arrays = safetensors.numpy.load_file(f"{mount.at}/latest.safetensors")
        for name, tensor in safetensors.torch.load_file(f"{mount.at}/latest.safetensors").items():
            assert tensor.numpy().tobytes() == arrays[name].tobytes()


def any_part():
    """Any bytes of it, also in the middle of an element whose bytes are reversed: O_DIRECT hands the range on as it is."""
    rng = random.Random(5)
    for fixture in ("bigendian", "partitioned", "v1", "dtypes"):
        with mounted(f"{FIXTURES}/{fixture}", "ro") as mount:
            for step in steps_in(mount.at):
                expected = exported(f"{FIXTURES}/{fixture}/{step}")
                fd = os.open(f"{mount.at}/{step}.safetensors", os.O_RDONLY | os.O_DIRECT)
                for _ in range(200):
                    off, n = rng.randrange(len(expected) + 9), rng.choice([1, 3, 7, 8, 100, 1 << 20])
                    assert os.pread(fd, n, off) == expected[off:off + n], (fixture, off, n)
                os.close(fd)


def names_and_listings():
    """What is listed can be looked at; what is real goes before; nothing is there without the option."""
    x = {"x": np.ones(3, np.float32)}
    folder = a_directory("names", **{"model-1": x, "model-2": x, "model-1.safetensors": {"other": np.zeros(2)}, "n" * 230: x, "ä b": x})
    os.makedirs(f"{folder}/model-2.safetensors")
    with mounted(folder, "commit=sync") as mount:
        listed = os.listdir(mount.at)
        assert len(listed) == len(set(listed)), listed
        assert {"model-1.safetensors", "model-1.safetensors.safetensors", "ä b.safetensors", "latest.safetensors"} <= set(listed), listed
        assert "checkpoint.safetensors" not in listed and "n" * 230 + ".safetensors" in listed
        for name in listed:
            assert os.stat(f"{mount.at}/{name}").st_ino
        assert os.path.isdir(f"{mount.at}/model-1.safetensors") and os.listdir(f"{mount.at}/model-1.safetensors") != []
        assert list(safetensors.numpy.load_file(f"{mount.at}/model-1.safetensors.safetensors")) == ["other"]
        entries = {e.name: e for e in os.scandir(mount.at)}
        whole = entries["ä b.safetensors"]
        assert whole.is_file() and whole.inode() == os.stat(whole.path).st_ino != os.stat(f"{mount.at}/ä b").st_ino
        link = entries["latest.safetensors"]
        assert link.is_symlink() and link.inode() == os.lstat(link.path).st_ino
        for name in ("none.safetensors", ".safetensors", "checkpoint.safetensors", "model-1/x.safetensors", "n" * 255):
            with fails_with(errno.ENOENT):
                os.stat(f"{mount.at}/{name}")
        # A new step has none before it is saved.
        shutil.copytree(f"{mount.at}/model-2", f"{mount.at}/new")
        assert "new.safetensors" not in os.listdir(mount.at) and not os.path.exists(f"{mount.at}/new.safetensors")
        mount.sync("new")
        assert "new.safetensors" in os.listdir(mount.at) and list(safetensors.numpy.load_file(f"{mount.at}/new.safetensors")) == ["x"]
        copies = subprocess.run(["cp", "-r", mount.at, f"{FOLDER}/names-copy"])
        assert copies.returncode == 0 and bytes_of(f"{FOLDER}/names-copy/new.safetensors") == bytes_of(f"{mount.at}/new.safetensors")
        found = subprocess.run(["find", mount.at, "-type", "f", "-name", "*.safetensors"], capture_output=True, text=True, check=True)
        assert len(found.stdout.splitlines()) == 4, found.stdout
        subprocess.run(["du", "-s", mount.at], check=True, capture_output=True)
    with runner.Mount(BUILD, folder, "ro", FOLDER) as mount:
        assert not os.path.exists(f"{mount.at}/new.safetensors") and "new.safetensors" not in os.listdir(mount.at)
    # A file of the directory.
    with open(f"{folder}/new.safetensors", "w") as f:
        f.write("real")
    with mounted(folder, "raw") as mount:
        assert bytes_of(f"{mount.at}/new.safetensors") == b"real" and os.listdir(mount.at).count("new.safetensors") == 1
        assert list(safetensors.numpy.load_file(f"{mount.at}/ä b.safetensors")) == ["x"]
        os.unlink(f"{mount.at}/new.safetensors")
        assert list(safetensors.numpy.load_file(f"{mount.at}/new.safetensors")) == ["x"]


def what_is_refused():
    folder = a_directory("refused", **{"model-1": {"x": np.ones(3)}})
    for options, code in (("rw", errno.EPERM), ("ro", errno.EROFS)):
        with mounted(folder, options) as mount:
            file = f"{mount.at}/model-1.safetensors"
            before = bytes_of(file)
            for call in (lambda: os.unlink(file), lambda: os.rename(file, f"{mount.at}/other"), lambda: os.truncate(file, 0),
                         lambda: open(file, "r+b"), lambda: open(file, "wb"), lambda: os.rename(f"{mount.at}/model-1", file),
                         lambda: os.rename(f"{mount.at}/model-1/x.npy", file), lambda: os.unlink(f"{mount.at}/latest.safetensors"),
                         lambda: os.chmod(file, 0o777) if options == "ro" else os.unlink(file)):
                with fails_with(code, *([errno.EXDEV, errno.ENOTDIR, errno.EACCES] if options == "rw" else [])):
                    call()
            with fails_with(errno.EEXIST, errno.EROFS):
                os.mkdir(file)
            with fails_with(errno.ENODATA):
                os.getxattr(file, "user.ckptfs.key")
            assert os.listxattr(file) == [] and bytes_of(file) == before == exported(f"{folder}/model-1")
            assert stat_mode(file) == 0o444


def stat_mode(file):
    return os.stat(file).st_mode & 0o7777


def who_may_read():
    """Nobody reads by it what a shard is closed for."""
    folder = copy_of("sharded")
    with mounted(folder, "ro") as mount:
        step = steps_in(mount.at)[0]
        assert stat_mode(f"{mount.at}/{step}.safetensors") & 0o004
    shard = sorted(name for name in os.listdir(folder) if name.startswith(f"{step}.data"))[1]
    os.chmod(f"{folder}/{shard}", 0o640)
    with mounted(folder, "ro") as mount:
        assert stat_mode(f"{mount.at}/{step}.safetensors") == 0o440


def what_a_draft_changes():
    """Nothing, before it is committed."""
    folder = a_directory("draft", **{"model-1": {"x": np.ones(3), "y": np.zeros(5000)}})
    with mounted(folder, "commit=sync") as mount:
        file = f"{mount.at}/model-1.safetensors"
        before = bytes_of(file)
        np.save(f"{mount.at}/model-1/x.npy", np.full(3, 7.0))
        os.unlink(f"{mount.at}/model-1/y.npy")
        assert bytes_of(file) == before and os.stat(file).st_size == len(before)
        with open(file, "rb") as f:
            assert os.pread(f.fileno(), 9, len(before) - 9) == before[-9:]
        mount.sync("model-1")
        assert bytes_of(file) == before
        new = safetensors.numpy.load_file(f"{mount.at}/model-2.safetensors")
        assert list(new) == ["x"] and new["x"].tolist() == [7, 7, 7]
        assert os.readlink(f"{mount.at}/latest.safetensors") == "model-2.safetensors"


def replace(folder, other, step):
    """As a trainer saves: the index last."""
    for name in sorted(os.listdir(other), key=lambda name: name.endswith(".index")):
        if name.startswith(f"{step}."):
            shutil.copy(f"{other}/{name}", f"{folder}/tmp")
            os.rename(f"{folder}/tmp", f"{folder}/{name}")


def when_a_step_is_saved_again():
    """Its name leads to the new bytes at once; who has it open or mapped reads the old ones to the end."""
    a, b = {"x": np.arange(300000.0), "y": np.ones(7)}, {"x": np.arange(300001.0) + 1, "z": np.zeros(3, np.int8)}
    folder, other = a_directory("again", **{"model-1": a}), a_directory("other", **{"model-1": b})
    old, new = exported(f"{folder}/model-1"), exported(f"{other}/model-1")
    for options in ("rw", "ro,verify=open"):
        replace(folder, a_directory(f"first.{options[:2]}", **{"model-1": a}), "model-1")
        with mounted(folder, options) as mount:
            file = f"{mount.at}/model-1.safetensors"
            assert os.stat(file).st_size == len(old)
            unread = open(file, "rb")
            with open(file, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
                assert m[:9000] == old[:9000]
                replace(folder, other, "model-1")
                assert os.stat(file).st_size == len(new) and bytes_of(file) == new
                assert set(safetensors.numpy.load_file(file)) == {"x", "z"}
                assert m[:] == old and f.read() == old and os.fstat(f.fileno()).st_size == len(old)
                for name in os.listdir(folder):
                    os.unlink(f"{folder}/{name}")
                assert not os.path.exists(file) and unread.read() == old and m[:] == old
            unread.close()


def when_a_saved_model_is_changed():
    """Its step keeps its name when it is committed."""
    folder = copy_of("savedmodel")
    for where, _, names in os.walk(folder):
        if "variables.index" in names:
            break
    with mounted(where, "commit=sync") as mount:
        file = f"{mount.at}/variables.safetensors"
        before = bytes_of(file)
        variable = next(f"{at}/{name}" for at, _, names in os.walk(f"{mount.at}/variables") for name in sorted(names)
                        if name.endswith(".npy") and np.load(f"{at}/{name}").dtype == np.float32)
        was_open = os.open(file, os.O_RDONLY)
        np.save(variable, np.load(variable) + 1)
        mount.sync("variables")
        after = exported(f"{where}/variables")
        for _ in range(2):  # the kernel would keep what is read by the old one for the new one
            with fails_with(errno.ESTALE):
                os.pread(was_open, len(before), 0)
            assert after != before and bytes_of(file) == after and len(after) == os.stat(file).st_size
            os.posix_fadvise(was_open, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(was_open)


def what_is_damaged():
    """Reading it is an error; the rest is read."""
    arrays = {name: np.full(100000, i, np.float32) for i, name in enumerate("abcd")}
    folder = a_directory("damaged", **{"model-1": arrays})
    good = exported(f"{folder}/model-1")
    for shard in glob.glob(f"{folder}/model-1.data*"):
        start = bytes_of(shard).find(arrays["b"].tobytes())
        if start >= 0:
            with open(shard, "r+b") as f:
                f.seek(start + 200000)
                f.write(b"\x55")
    for options in ("ro", "ro,verify=open"):
        with mounted(folder, options) as mount, safetensors.safe_open(f"{mount.at}/model-1.safetensors", "np") as f:
            fd = os.open(f"{mount.at}/model-1.safetensors", os.O_RDONLY)
            at = len(good) - 4 * 400000
            for name in "acd":
                start = at + "abcd".index(name) * 400000
                first, last = (start + 4095) // 4096 * 4096, (start + 400000) // 4096 * 4096
                assert os.pread(fd, last - first, first) == good[first:last], name
            for _ in range(2):
                with fails_with(errno.EIO):
                    os.pread(fd, 400000, at + 400000)
            assert f.get_slice("d")[5000:5010].tolist() == [3] * 10
            os.close(fd)
            # What was found by another file is known here, too.
            with fails_with(errno.EIO):
                bytes_of(f"{mount.at}/model-1/b.npy")
            assert np.load(f"{mount.at}/model-1/c.npy")[0] == 2
    with mounted(folder, "ro,verify=off") as mount:
        assert bytes_of(f"{mount.at}/model-1.safetensors") != good


def what_is_missing():
    """A shard; all of it; an index that is none."""
    folder = copy_of("sharded", "missing")
    with mounted(folder, "ro") as mount:
        step = steps_in(mount.at)[0]
        good = bytes_of(f"{mount.at}/{step}.safetensors")
    shards = sorted(name for name in os.listdir(folder) if name.startswith(f"{step}.data"))
    os.unlink(f"{folder}/{shards[-1]}")
    with mounted(folder, "ro") as mount:
        file = f"{mount.at}/{step}.safetensors"
        assert os.stat(file).st_size == len(good)
        fd = os.open(file, os.O_RDONLY | os.O_DIRECT)
        read = lost = 0
        for name, (start, end) in offsets(good).items():
            try:
                assert os.pread(fd, end - start, start) == good[start:end], name
                read += 1
            except OSError as e:
                assert e.errno == errno.EIO
                lost += 1
        os.close(fd)
        assert read and lost, (read, lost)
    with open(f"{folder}/{step}.index", "r+b") as f:
        f.write(b"\xff" * 50)
    with mounted(folder, "ro") as mount:
        assert f"{step}.safetensors" in os.listdir(mount.at) and os.stat(f"{mount.at}/{step}.safetensors").st_size
        with fails_with(errno.EIO):
            bytes_of(f"{mount.at}/{step}.safetensors")


def offsets(file):
    n = int.from_bytes(file[:8], "little")
    return {name: [8 + n + at for at in t["data_offsets"]] for name, t in json.loads(file[8:8 + n]).items() if name != "__metadata__"}


def many_variables_beside_commits():
    """Two readers of 20,000 variables, while one variable after the other is changed and committed."""
    folder = copy_of("many", "beside")
    expected, stop, failures = exported(f"{folder}/model-1"), threading.Event(), []
    names = sorted(offsets(expected))
    assert len(names) == 20000

    def reader(file):
        while not stop.is_set():
            if bytes_of(file) != expected:
                failures.append(file)
                return

    with mounted(folder, "commit=sync") as mount:
        file = f"{mount.at}/model-1.safetensors"
        arrays = safetensors.numpy.load_file(file)
        for name in names[::777]:
            assert arrays[name].tobytes() == np.load(f"{mount.at}/model-1/{name}.npy").tobytes(), name
        threads = [threading.Thread(target=reader, args=(file,)) for _ in range(2)]
        for t in threads:
            t.start()
        for i, name in enumerate(names[::4000]):
            np.save(f"{mount.at}/model-1/{name}.npy", arrays[name] + 1)
            mount.sync("model-1")
            changed = safetensors.numpy.load_file(f"{mount.at}/model-{i + 2}.safetensors")
            assert len(changed) == len(names) and changed[name].tobytes() == (arrays[name] + 1).tobytes()
        stop.set()
        for t in threads:
            t.join()
    assert not failures, failures


def a_folder_is_removed():
    """rm -r takes what it has listed."""
    for options in ("rw", "raw"):
        folder = f"{FOLDER}/removed.{options}"
        shutil.copytree(a_directory(f"sub.{options}", **{"model-1": {"x": np.ones(3)}, "model-2": {"x": np.ones(3)}}), f"{folder}/sub")
        if options == "rw":  # the state file can't be removed there
            os.unlink(f"{folder}/sub/checkpoint")
        with mounted(folder, options) as mount:
            assert "model-1.safetensors" in os.listdir(f"{mount.at}/sub")
            p = subprocess.run(["rm", "-r", f"{mount.at}/sub"], capture_output=True, text=True)
            assert p.returncode == 0 and os.listdir(mount.at) == [], (options, p.stderr, os.listdir(mount.at))
        assert os.listdir(folder) == []


runner.run([every_fixture, by_torch, any_part, names_and_listings, what_is_refused, who_may_read, what_a_draft_changes,
            when_a_step_is_saved_again, when_a_saved_model_is_changed, what_is_damaged, what_is_missing, many_variables_beside_commits,
            a_folder_is_removed], sys.argv[4:])
