#!/usr/bin/env python3
"""What TensorFlow reads of steps before and after ckptfs dedup: dedup.py BUILDDIR FIXTURES FOLDER [TEST...]"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import runner
import tensorflow as tf

BUILD, FIXTURES, FOLDER = sys.argv[1:4]
SLOW = b"__asan_init" in open(f"{BUILD}/ckptfs", "rb").read()
STRIDE = 13 if SLOW else 3


# --- a directory -------------------------------------------------------------------------------------------------------------


def new_folder():
    return tempfile.mkdtemp(dir=FOLDER)


def save_steps(folder, n, make, frozen):
    """N steps by a Saver. FROZEN: {name: array} of what stays; MAKE(step): {name: array} of what does not."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        first = {**frozen, **make(0)}
        variables = {k: tf.compat.v1.get_variable(k, initializer=v) for k, v in first.items()}
        fed = {k: tf.compat.v1.placeholder(first[k].dtype, first[k].shape) for k in make(0)}
        assign = [variables[k].assign(fed[k]) for k in fed]
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(max_to_keep=None, save_relative_paths=True)
        for step in range(n):
            session.run(assign, {fed[k]: v for k, v in make(step).items()})
            saver.save(session, f"{folder}/model", global_step=step, write_meta_graph=step == 0)
    age(folder)


def age(folder):
    """Its indexes are older than an hour, in the order in which they were written."""
    files = sorted(glob.glob(f"{glob.escape(folder)}/*.index"), key=os.path.getmtime)
    for i, file in enumerate(files):
        os.utime(file, (time.time() - 7200 + i,) * 2)


def values_of(folder):
    """{step: {key: dtype and bytes}}, by TensorFlow."""
    found = {}
    for index in glob.glob(f"{glob.escape(folder)}/*.index"):
        reader = tf.train.load_checkpoint(index[: -len(".index")])
        step = found[os.path.basename(index)[: -len(".index")]] = {}
        for key in reader.get_variable_to_shape_map():
            try:
                value = np.asarray(reader.get_tensor(key))
                step[key] = (str(value.dtype), value.shape, repr(value.tolist()) if value.dtype == object else value.tobytes())
            except (ValueError, TypeError, tf.errors.OpError) as e:
                step[key] = type(e)  # what TensorFlow can't read before, as some sliced types, it can't read afterwards
    return found


def files_of(folder):
    return {name: (s.st_ino, s.st_mtime_ns, s.st_size) for name in os.listdir(folder) for s in [os.stat(f"{folder}/{name}")]}


def blocks_of(folder):
    return sum({s.st_ino: s.st_blocks * 512 for name in os.listdir(folder) for s in [os.stat(f"{folder}/{name}")]}.values())


def ckptfs(*args, status=0, env=None):
    p = subprocess.run([f"{BUILD}/ckptfs", *args], capture_output=True, text=True, env=env)
    assert p.returncode == status, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout if status == 0 else p.stderr


def dedup(folder, *switches):
    return json.loads(ckptfs("dedup", "--json", *switches, folder))["dedup"]


def is_clean(folder):
    p = subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", folder], capture_output=True, text=True)
    assert p.returncode == 0 and ", 0 problems, 0 notes" in p.stdout, p
    assert not os.path.exists(f"{folder}/.ckptfs"), os.listdir(f"{folder}/.ckptfs")


RANDOM = np.random.default_rng(1)


def noise(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def small_directory():
    """A frozen variable, one that changes in each step, one in each second; made once, then copied."""
    folder = new_folder()
    made = f"{FOLDER}/small"
    if not os.path.exists(made):
        os.mkdir(made)
        save_steps(made, 4, lambda step: {"head": noise(3, 2000), "slow": np.full(5000, step // 2, np.float32)}, {"frozen": noise(100, 100)})
    folder = f"{folder}/d"
    shutil.copytree(made, folder)
    return folder


# --- what is saved -----------------------------------------------------------------------------------------------------------


def forty_steps():
    """A backbone that never changes, and a head that does: what is said to be saved is."""
    folder = new_folder()
    backbone = {f"backbone/layer_{i}/kernel": noise(64, 256) for i in range(14)}
    heads = {}

    def head(step):
        if step not in heads:
            heads[step] = {f"head/kernel_{i}": noise(32, 32) for i in range(5)} | {"global_step": np.int64(step)}
        return heads[step]

    save_steps(folder, 40, head, backbone)
    before, blocks, files = values_of(folder), blocks_of(folder), files_of(folder)
    assert len(before) == 40 and len(before["model-7"]) == 20
    would = dedup(folder, "-n")
    assert files_of(folder) == files
    did = dedup(folder)
    saved = blocks - blocks_of(folder)
    assert did["saved"] == saved == would["saved"], (did["saved"], saved, would["saved"])
    assert saved > 39 * (14 * 64 * 256 * 4 - 8192), saved
    assert [s["result"] for s in did["steps"]] == ["same"] + ["shares"] * 39, did
    assert sum(s["saved"] for s in did["steps"]) == saved
    assert values_of(folder) == before
    is_clean(folder)
    for name, now in files_of(folder).items():  # programs that look at times see the age of each step, and that an index is another
        if name in files:
            assert now[1] - files[name][1] == (10**9 if name.endswith(".index") and name != "model-0.index" else 0), name
    # A second run finds nothing, and changes nothing.
    files = files_of(folder)
    again = dedup(folder)
    assert again["saved"] == 0 and {s["result"] for s in again["steps"]} == {"same"}, again
    assert files_of(folder) == files
    # A session restores the first, one in between, the last.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = {k: tf.compat.v1.get_variable(k, shape=v.shape, dtype=v.dtype) for k, v in {**backbone, **heads[0]}.items()}
        saver = tf.compat.v1.train.Saver()
        for step in (0, 17, 39):
            saver.restore(session, f"{folder}/model-{step}")
            for key, value in session.run(variables).items():
                np.testing.assert_array_equal(value, {**backbone, **heads[step]}[key])
    # On a mount, an edit of one; and without the oldest, whose shard the others have.
    with runner.Mount(BUILD, folder, "rw", FOLDER) as mount:
        np.testing.assert_array_equal(np.load(f"{mount.at}/model-20/backbone/layer_3/kernel.npy"), backbone["backbone/layer_3/kernel"])
        np.save(f"{mount.at}/model-39/head/kernel_0.npy", heads[0]["head/kernel_0"])
        mount.sync("model-39")
    before["model-40"] = {**before["model-39"], "head/kernel_0": before["model-0"]["head/kernel_0"]}
    assert values_of(folder) == before
    ckptfs("rm", "-r", f"{folder}/model-0")
    del before["model-0"]
    assert values_of(folder) == before
    is_clean(folder)
    blocks = blocks_of(folder)
    did = dedup(folder)
    assert did["saved"] == blocks - blocks_of(folder), did
    assert values_of(folder) == before
    is_clean(folder)


def all_kinds_of_tensors():
    """Each fixture, beside copies of its steps."""
    for name in ("linear", "partitioned", "keras", "strings", "dtypes", "bigendian", "sharded", "snappy", "maxshard"):
        folder = f"{new_folder()}/d"
        shutil.copytree(f"{FIXTURES}/{name}", folder)
        for index in glob.glob(f"{folder}/*.index"):
            prefix = index[: -len(".index")]
            for file in glob.glob(f"{glob.escape(prefix)}.*"):
                for i in range(2):
                    shutil.copy(file, f"{folder}/copy-{i}-{os.path.basename(prefix)}{file[len(prefix):]}")
        age(folder)
        subprocess.run(["chmod", "-R", "u+w", folder], check=True)
        before, blocks = values_of(folder), blocks_of(folder)
        said = dedup(folder)
        assert said["saved"] == blocks - blocks_of(folder) > 0, (name, said)
        assert values_of(folder) == before, name
        p = subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", folder], capture_output=True, text=True)
        assert ", 0 problems" in p.stdout, (name, p)
        assert dedup(folder)["saved"] == 0, name


# --- what is left as it is ---------------------------------------------------------------------------------------------------


def results(said):
    return {s["name"]: s.get("error", s["result"]) for s in said["steps"]}


def what_can_t_be_changed():
    folder = small_directory()
    os.utime(f"{folder}/model-3.index")
    os.rename(f"{folder}/model-2.index", f"{folder}/elsewhere")
    os.symlink("elsewhere", f"{folder}/model-2.index")
    with open(f"{folder}/model-1.data-00000-of-00001", "r+b") as f:  # the same length, another crc
        f.seek(100)
        byte = f.read(1)
        f.seek(100)
        f.write(bytes([byte[0] ^ 1]))
    for file in os.listdir(f"{FIXTURES}/v1"):
        shutil.copy(f"{FIXTURES}/v1/{file}", folder)
    files = files_of(folder)
    said = results(dedup(folder))
    assert "less than a minute ago" in said["model-3"] and "symbolic link" in said["model-2"], said
    assert "model-1.data-00000-of-00001: crc32c of " in said["model-1"], said
    assert "V1" in said["model.ckpt-10"] and said["model-0"] == "same", said
    assert files_of(folder) == files
    # A damaged step costs the others nothing.
    folder = small_directory()
    os.truncate(f"{folder}/model-1.data-00000-of-00001", 50)
    said = results(dedup(folder))
    assert "is damaged" in said["model-1"] and said["model-2"] == said["model-3"] == "shares", said
    # A shard that has a name elsewhere: to leave it would save nothing. What it has the others need not have.
    folder = small_directory()
    os.link(f"{folder}/model-2.data-00000-of-00001", f"{FOLDER}/elsewhere.{os.getpid()}")
    before, blocks = values_of(folder), blocks_of(folder)
    said = dedup(folder)
    assert results(said) == {"model-0": "shares", "model-1": "shares", "model-2": "same", "model-3": "shares"}, said
    assert said["saved"] == blocks - blocks_of(folder) and values_of(folder) == before
    is_clean(folder)


def equal_checksums_are_no_proof():
    """Two tensors of one size and crc32c, and other bytes."""
    folder = new_folder()
    a = noise(5000)
    b = a.copy()
    bits = b.view(np.uint8)
    # crc32c is linear: what its polynomial, as five bytes that are reflected, is xored to does not change it.
    polynomial = (0x82F63B78 << 1 | 1).to_bytes(5, "little")
    bits[1000:1005] ^= np.frombuffer(polynomial, np.uint8)
    save_steps(folder, 2, lambda step: {"w": (a, b)[step]}, {})
    before = values_of(folder)
    assert before["model-0"] != before["model-1"]
    indexes = [ckptfs("stat", "--json", f"{folder}/model-{i}/w") for i in range(2)]
    crcs = {json.loads(text)["variables"][0]["crc32c"] for text in indexes}
    assert len(crcs) == 1, crcs
    assert results(dedup(folder)) == {"model-0": "same", "model-1": "same"}
    assert values_of(folder) == before


def who_else_writes():
    folder = small_directory()
    with runner.Mount(BUILD, folder, "rw", FOLDER):
        said = ckptfs("dedup", folder, status=1)
        assert "is being written to already, by process" in said and "unmount it" in said, said
        assert dedup(folder, "-n")["saved"] > 0
    mount = runner.Mount(BUILD, folder, "rw", FOLDER)
    np.save(f"{mount.at}/model-2/head.npy", noise(3, 2000))
    mount.daemon.kill()
    mount.daemon.wait()
    subprocess.run(["umount", "-l", mount.at], check=True)
    before = values_of(folder)
    said = results(dedup(folder))
    assert "not committed" in said["model-2"] and said["model-3"] == "shares", said
    assert values_of(folder) == before
    assert "committed" in ckptfs("commit", f"{folder}/model-2")
    del before["model-2"]
    assert {k: v for k, v in values_of(folder).items() if k in before} == before


# --- it is stopped -----------------------------------------------------------------------------------------------------------


def hooked(folder, order, verb="dedup"):
    """A process that does what ORDER says (tests/lib/io_hook.c), and the file of that."""
    hook = f"{os.path.dirname(folder)}/hook"
    for file in glob.glob(f"{hook}*"):
        os.unlink(file)
    with open(hook, "w") as f:
        f.write(order)
    env = {**os.environ, "LD_PRELOAD": f"{BUILD}/io_hook.so", "IO_HOOK": hook, "ASAN_OPTIONS": "verify_asan_link_order=0"}
    return subprocess.Popen([f"{BUILD}/ckptfs", verb, folder], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE), hook


def at_each_call(what, stride, after):
    """Runs it with the order WHAT for each number of a call, or each STRIDE-th, and AFTER(folder, process)."""
    n = 0
    while True:
        n += stride
        folder = small_directory()
        p, hook = hooked(folder, f"{n} {what}")
        p.communicate()
        if not os.path.exists(f"{hook}.hit"):
            assert p.returncode == 0
            break
        with open(f"{hook}.hit") as f:
            after(folder, p, (n, f.read()))
        shutil.rmtree(os.path.dirname(folder))
    assert n > 60, n
    print(f"{what}: {n} calls")


def killed_at_each_call():
    before = values_of(small_directory())
    final = small_directory()
    dedup(final)
    turn = 0

    def after(folder, p, where):
        nonlocal turn
        assert p.returncode == -signal.SIGKILL, where
        assert values_of(folder) == before, where  # as it stands
        turn += 1
        if turn % 2:  # and in what is done about that
            hooked(folder, f"{turn // 2 + 1} kill", "status")[0].communicate()
            assert values_of(folder) == before, where
        if turn % 5 == 0:
            with runner.Mount(BUILD, folder, "rw", FOLDER) as mount:
                os.listdir(mount.at)
            assert values_of(folder) == before, where
            is_clean(folder)
        said = results(dedup(folder))
        assert not [v for v in said.values() if v not in ("same", "shares")], (where, said)
        assert values_of(folder) == before, where
        is_clean(folder)
        assert blocks_of(folder) == blocks_of(final), where

    at_each_call("kill", STRIDE, after)


def no_room_at_each_call():
    before = values_of(small_directory())

    def after(folder, p, where):
        assert values_of(folder) == before, where
        dedup(folder)
        assert values_of(folder) == before, where
        is_clean(folder)

    at_each_call("28", 2 * STRIDE + 1, after)


def a_signal_and_the_disk():
    folder = small_directory()
    before = values_of(folder)
    p, hook = hooked(folder, "40 wait")
    while not os.path.exists(f"{hook}.hit"):
        assert p.poll() is None
        time.sleep(0.001)
    p.send_signal(signal.SIGTERM)
    with open(f"{hook}.go", "w"):
        pass
    said = p.communicate()[1].decode()
    assert p.returncode == 1 and "interrupted" in said, said
    assert values_of(folder) == before
    is_clean(folder)
    # Nothing can be written.
    if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0:
        script = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec {BUILD}/ckptfs dedup {folder}"
        p = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True)
        assert p.returncode == 1 and "can't be written to" in p.stderr, p


def a_trainer_saves_over_it():
    """The step that it is about to change is saved again while it is at it: what the trainer has saved stays."""
    other = new_folder()
    save_steps(other, 4, lambda step: {"head": noise(3, 2000), "slow": np.full(5000, 9, np.float32)}, {"frozen": noise(100, 100)})
    theirs = values_of(other)["model-2"]
    plain = values_of(small_directory())
    n = met = near = 0
    while True:
        n += 1 if near and not SLOW else 7
        folder = small_directory()
        p, hook = hooked(folder, f"{n} wait")
        while not os.path.exists(f"{hook}.hit") and p.poll() is None:
            time.sleep(0.0005)
        if not os.path.exists(f"{hook}.hit"):
            break
        with open(f"{hook}.hit") as f:
            call = f.read()
        near = 0 if met else 8 if "model-2." in call else max(near - 1, 0)
        met += call == "renameat2 model-2.index\n"
        shutil.copy(f"{other}/model-2.data-00000-of-00001", f"{folder}/tmp")
        os.rename(f"{folder}/tmp", f"{folder}/model-2.data-00000-of-00001")
        with open(f"{other}/model-2.index", "rb") as f, open(f"{folder}/model-2.index", "wb") as to:  # in place, as tf.train.Checkpoint does
            to.write(f.read())
        with open(f"{hook}.go", "w"):
            pass
        out, err = p.communicate()
        now = values_of(folder)
        assert now == {**plain, "model-2": theirs}, (n, out, err)
        assert not os.path.exists(f"{folder}/.ckptfs"), n
        shutil.rmtree(os.path.dirname(folder))
    assert n > 60 and (met or SLOW), (n, met)


runner.run([forty_steps, all_kinds_of_tensors, what_can_t_be_changed, equal_checksums_are_no_proof, who_else_writes, killed_at_each_call,
            no_room_at_each_call, a_signal_and_the_disk, a_trainer_saves_over_it], sys.argv[4:])
