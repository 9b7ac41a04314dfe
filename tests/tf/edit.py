#!/usr/bin/env python3
"""Compares what ckptfs changes with what a mount and TensorFlow do: edit.py BUILDDIR FIXTURES FOLDER [TEST...]"""

import glob
import hashlib
import os
import re
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
NET = os.path.join(FIXTURES, "..", "..", "..", "examples", "net")


def ckptfs(*args, status=0, script=None):
    p = subprocess.run([f"{BUILD}/ckptfs", *args], capture_output=True, text=True, input=script)
    assert p.returncode == status, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout if status == 0 else p.stderr


def copy_of(source):
    """A copy of a directory, and its path."""
    to = os.path.join(tempfile.mkdtemp(dir=FOLDER), "d")
    shutil.copytree(source, to, symlinks=True)
    return to


def deep():
    """A directory with a step whose scopes are deep, and which has many variables."""
    to = os.path.join(tempfile.mkdtemp(dir=FOLDER), "d")
    os.mkdir(to)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        names = ["/".join(f"s{k}" for k in range(n)) + f"/w{n}" for n in range(1, 24)]
        names += [f"wide/layer_{n}/{kind}" for n in range(60) for kind in ("kernel", "bias")]
        for i, name in enumerate(names):
            tf.compat.v1.get_variable(name, initializer=np.full((i % 5 + 1, 3), i, np.float32))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, f"{to}/deep", global_step=7)
    return to


def files_of(directory):
    """{path: sha or where a link leads}; a folder has None."""
    found = {}
    for at, folders, files in os.walk(directory):
        for name in folders + files:
            path = os.path.join(at, name)
            key = os.path.relpath(path, directory)
            if os.path.islink(path):
                found[key] = os.readlink(path)
            elif os.path.isdir(path):
                found[key] = None
            else:
                with open(path, "rb") as f:
                    found[key] = hashlib.sha256(f.read()).hexdigest()
    return found


def details_of(directory):
    """As files_of, with what ls -l shows of each file but its link count."""
    found = {}
    for name in files_of(directory):
        st = os.lstat(os.path.join(directory, name))
        found[name] = (st.st_mode, st.st_uid, st.st_size, st.st_ino, None if os.path.isdir(os.path.join(directory, name)) else st.st_mtime_ns)
    return found, files_of(directory)


def shell(at, commands):
    subprocess.run(["bash", "-ec", commands], cwd=at, check=True)


def same_both_ways(source, step, on_mount, by_tool):
    """ON_MOUNT, in the shell in STEP of a mount, and BY_TOOL, for `ckptfs edit STEP`, make the same files of the directory SOURCE. Gives
    the directory."""
    a, b = copy_of(source), copy_of(source)
    with runner.Mount(BUILD, a, "rw", FOLDER) as mount:
        shell(os.path.join(mount.at, step), on_mount)
        mount.sync(step)
    said = ckptfs("edit", f"{b}/{step}", *by_tool)
    assert "committed" in said, said
    assert files_of(a) == files_of(b), (source, files_of(a), files_of(b))
    return b, said.split(":")[0]


def reader_of(directory, name):
    shards = glob.glob(glob.escape(f"{directory}/{name}") + "-00000-of-*")
    return tf.compat.v1.train.NewCheckpointReader(shards[0].replace("-00000-of-", "-?????-of-") if shards else f"{directory}/{name}")


def values_of(directory, name):
    reader = reader_of(directory, name)
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def same_values(found, wanted):
    assert sorted(found) == sorted(wanted), (sorted(found), sorted(wanted))
    for key in wanted:
        np.testing.assert_array_equal(found[key], wanted[key], err_msg=key)


# --- the same by both, and what TensorFlow says of it -------------------------------------------------------------


def the_same_as_on_a_mount_in_a_net():
    before = values_of(NET, "model-200")
    other = values_of(NET, "model-100")
    with open(f"{FOLDER}/x.npy", "wb") as f:
        np.save(f, np.float32([5, 6]))
    made, name = same_both_ways(
        NET, "model-200",
        f"find . -name Momentum.npy -delete; mv output out; cp ../model-100/hidden/bias.npy hidden/bias.npy; mkdir new; "
        f"cp embedding.npy new/copy.npy; cp {FOLDER}/x.npy out/bias.npy",
        ["rm **/Momentum", "mv output out", "cp ../model-100/hidden/bias hidden/bias", "cp embedding new/copy", f"cp {FOLDER}/x.npy out/bias"])
    wanted = {key.replace("output/", "out/"): value for key, value in before.items() if not key.endswith("Momentum")}
    wanted.update({"hidden/bias": other["hidden/bias"], "new/copy": before["embedding"], "out/bias": np.float32([5, 6])})
    assert name == "model-201"
    same_values(values_of(made, name), wanted)
    same_values(values_of(made, "model-200"), before)
    assert tf.train.latest_checkpoint(made) == f"{made}/model-201"


def a_session_restores_what_was_changed():
    made = copy_of(NET)
    ckptfs("edit", f"{made}/model-200", "-o", "slim", "rm **/Momentum", "mv embedding table")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        shapes = reader_of(made, "slim").get_variable_to_shape_map()
        types = reader_of(made, "slim").get_variable_to_dtype_map()
        variables = {key: tf.compat.v1.get_variable(key, shape, types[key]) for key, shape in shapes.items()}
        tf.compat.v1.train.Saver().restore(session, f"{made}/slim")
        same_values({key: session.run(v) for key, v in variables.items()}, values_of(made, "slim"))
    assert "table" in shapes and "embedding" not in shapes and not [key for key in shapes if "Momentum" in key]


def the_same_as_on_a_mount_in_other_fixtures():
    for fixture, step, on_mount, by_tool, gone, new in [
            ("linear", "my-model-0", "rm w/Adam.npy w/Adam_1.npy; mv b.npy bias.npy", ["rm w/*", "mv b bias"], ["w/Adam", "w/Adam_1", "b"], ["bias"]),
            ("v1", None, None, None, None, None), ("partitioned", None, None, None, None, None), ("keras", None, None, None, None, None)]:
        directory = f"{FIXTURES}/{fixture}"
        if step is None:  # its first variable is copied, and its last one removed
            step = ckptfs("ls", directory).split("\n")
            step = [s for s in step if s and s not in ("checkpoint", "latest") and not s.startswith("latest")][0]
            names = [line.split()[-1][:-len(".npy")] for line in ckptfs("ls", "-lR", f"{directory}/{step}").splitlines() if line.endswith(".npy")]
            names = [n for n in names if not n.startswith("_CHECKPOINTABLE") and "%" not in n]
            first, last = names[0], names[-1]
            on_mount = f"mkdir made; cp '{first}.npy' made/copy.npy; rm '{last}.npy'"
            by_tool = [f"cp '{first}' made/copy", f"rm '{last}'"]
        made, name = same_both_ways(directory, step, on_mount, by_tool)
        keys = reader_of(made, name).get_variable_to_shape_map()
        assert set(gone or []).isdisjoint(keys) and set(new or []) <= set(keys), keys
        values_of(made, name) if fixture != "keras" else tf.train.load_checkpoint(f"{made}/{name}")


def the_same_as_on_a_mount_in_a_saved_model():
    exports = glob.glob(f"{FIXTURES}/savedmodel/**/variables", recursive=True)
    names = [line.split()[-1][:-len(".npy")] for line in ckptfs("ls", "-lR", f"{exports[0]}/variables").splitlines() if line.endswith(".npy")]
    name = [n for n in names if "%" not in n and not n.startswith("_")][0]
    made, step = same_both_ways(exports[0], "variables", f"mkdir made; cp '{name}.npy' made/copy.npy", [f"cp '{name}' made/copy"])
    tf.train.load_checkpoint(f"{made}/{step}")


def the_step_of_a_saved_model_comes_back():
    made = f"{copy_of(f'{FIXTURES}/savedmodel')}/variables"
    before = tf.train.load_checkpoint(f"{made}/variables").get_variable_to_shape_map()
    name = next(line for line in ckptfs("ls", f"{made}/variables").splitlines() if line.endswith(".npy") and not line.startswith("_"))
    assert ckptfs("rm", f"{made}/variables/{name}") == "variables: committed, changes: 1\nvariables-1: what variables was before\n"
    p = subprocess.run([f"{BUILD}/ckptfs", "mv", f"{made}/variables-1", f"{made}/variables"], capture_output=True, text=True)
    assert (p.returncode, p.stdout, p.stderr) == (0, "", "ckptfs mv: variables: what variables-1 was before\n"), p
    assert tf.train.load_checkpoint(f"{made}/variables").get_variable_to_shape_map() == before


def the_same_as_on_a_mount_in_deep_scopes():
    source = deep()
    before = values_of(source, "deep-7")
    inner = "/".join(f"s{k}" for k in range(20))
    made, name = same_both_ways(source, "deep-7", f"mv {inner} top; rm -r wide/layer_1*; cp -r wide/layer_2 again; rm top/w20.npy",
                                [f"mv {inner} top", "rm wide/layer_1*/*", "cp -r wide/layer_2 again", "rm top/w20"])
    wanted = {key.replace(inner + "/", "top/"): value for key, value in before.items() if not key.startswith("wide/layer_1")}
    del wanted["top/w20"]
    wanted.update({f"again/{kind}": before[f"wide/layer_2/{kind}"] for kind in ("kernel", "bias")})
    same_values(values_of(made, name), wanted)


def whole_steps_are_the_same_as_on_a_mount():
    a, b = copy_of(NET), copy_of(NET)
    with runner.Mount(BUILD, a, "rw", FOLDER) as mount:
        shell(mount.at, "cp -r model-100 tuned; sync tuned; mkdir old; mv model-100 old/; mv tuned best; ln -s best good; ln -sfn best latest; "
                        "ln -sfn model-200 good; rm -r model-200 2>/dev/null || true; cp -r old/model-100 again; sync again; rm -r best")
    ckptfs("cp", "-r", f"{b}/model-100", f"{b}/tuned")
    ckptfs("mkdir", f"{b}/old")
    ckptfs("mv", f"{b}/model-100", f"{b}/old/")
    ckptfs("mv", f"{b}/tuned", f"{b}/best")
    ckptfs("ln", f"{b}/best", f"{b}/good")
    ckptfs("ln", f"{b}/best", f"{b}/latest")
    assert "-f replaces it" in ckptfs("ln", f"{b}/model-200", f"{b}/good", status=1)
    ckptfs("ln", "-f", f"{b}/model-200", f"{b}/good")
    ckptfs("rm", "-r", f"{b}/model-200")
    ckptfs("cp", "-r", f"{b}/old/model-100", f"{b}/again")
    ckptfs("rm", "-r", f"{b}/best")
    assert files_of(a) == files_of(b), (files_of(a), files_of(b))
    same_values(values_of(b, "again"), values_of(NET, "model-100"))
    same_values(values_of(f"{b}/old", "model-100"), values_of(NET, "model-100"))


# --- files on disk, other directories, globs --------------------------------------------------------------------------


def files_go_out_and_in():
    made = copy_of(NET)
    out = tempfile.mkdtemp(dir=FOLDER)
    ckptfs("cp", f"{made}/model-200/output/bias", f"{made}/model-200/hidden/bias.npy", f"{out}/one.npy", status=1)
    assert os.listdir(out) in ([], ["one.npy"])
    ckptfs("cp", f"{made}/model-200/output/bias", f"{out}/one.npy")
    ckptfs("cp", f"{made}/model-200/output/*", out)
    with runner.Mount(BUILD, made, "ro", FOLDER) as mount:
        for name, path in [("one", "output/bias"), ("bias", "output/bias"), ("kernel", "output/kernel")]:
            with open(f"{out}/{name}.npy", "rb") as f, open(f"{mount.at}/model-200/{path}.npy", "rb") as g:
                assert f.read() == g.read(), name
    assert sorted(os.listdir(out)) == ["bias.npy", "kernel.npy", "one.npy"]
    np.save(f"{out}/one.npy", np.load(f"{out}/one.npy") * 2)
    ckptfs("cp", f"{out}/one.npy", f"{made}/latest/output/bias")
    np.testing.assert_array_equal(values_of(made, "model-201")["output/bias"], values_of(NET, "model-200")["output/bias"] * 2)
    ckptfs("cp", f"{out}/kernel.npy", f"{out}/bias.npy", f"{made}/model-201/in/")
    assert {"in/kernel", "in/bias"} <= set(values_of(made, "model-202"))
    before = details_of(made)
    np.save(f"{out}/bad.npy", np.zeros((9, 9), np.float32))
    assert "expected DT_FLOAT [2]" in ckptfs("cp", f"{out}/bad.npy", f"{made}/latest/output/bias", status=1)
    with open(f"{out}/text.npy", "w") as f:
        f.write("no array")
    assert "text.npy" in ckptfs("cp", f"{out}/text.npy", f"{made}/latest/output/bias", status=1)
    assert details_of(made) == before


def a_layer_comes_from_another_run():
    a, b = copy_of(NET), copy_of(NET)
    values = values_of(b, "model-100")
    ckptfs("cp", f"{b}/model-100/hidden/kernel", f"{a}/model-200/hidden/kernel")
    np.testing.assert_array_equal(values_of(a, "model-201")["hidden/kernel"], values["hidden/kernel"])
    ckptfs("cp", f"{b}/model-100/hidden/*", f"{a}/model-200/hidden/")
    found = values_of(a, "model-202")
    for name in ("hidden/kernel", "hidden/bias"):
        np.testing.assert_array_equal(found[name], values[name])
    assert "no step or variable matches" in ckptfs("cp", f"{b}/model-100/no*", f"{a}/model-200/hidden/", status=1)
    assert "is no variable" in ckptfs("cp", f"{b}/model-1*", f"{a}/model-200/hidden/", status=1)
    assert files_of(b) == files_of(NET)


def globs_match_what_they_should():
    made = copy_of(NET)
    ckptfs("rm", f"{made}/model-*/**/Momentum")
    assert not [key for n in ("model-201", "model-202") if os.path.exists(f"{made}/{n}.index") for key in values_of(made, n) if "Momentum" in key]
    ckptfs("rm", "-r", f"{made}/model-20*")
    assert not glob.glob(f"{made}/model-20*")
    assert "matches" in ckptfs("rm", f"{made}/model-*/nothing*", status=1)
    assert glob.glob(f"{made}/model-100.index")


# --- what fails changes nothing ----------------------------------------------------------------------------------------


def a_command_that_fails_changes_nothing():
    made = copy_of(NET)
    before = details_of(made)
    for words in [("edit", f"{made}/model-200", "rm output/bias", "mv hidden h", "rm nothing"),
                  ("edit", f"{made}/model-200", "-o", "slim", "rm output/bias", "cp nothing x"),
                  ("edit", f"{made}/model-200", "rm output/bias", "mv hidden/kernel embedding/x/y.npy/z"),
                  ("edit", f"{made}/model-200", "rm output/bias", "rm -r ../model-100"),
                  ("edit", f"{made}/model-200", "rm output/bias", "rm ../model-100/embedding"),
                  ("edit", f"{made}/model-200", "rm output/bias", "rm 'open"),
                  ("edit", f"{made}/model-200", "rm output/bias", "frobnicate x"),
                  ("edit", f"{made}/model-200", "cp embedding embedding"),
                  ("edit", f"{made}/model-200", "cp -r hidden hidden/a/b"),
                  ("edit", f"{made}/nothing", "rm x"),
                  ("rm", f"{made}/model-200/output/bias", f"{made}/model-200/nothing"),
                  ("rm", f"{made}/model-200"), ("rm", f"{made}/model-200/output"), ("rm", "-r", made),
                  ("mv", f"{made}/model-100", f"{made}/model-200"), ("mv", f"{made}/model-100", f"{made}/no/model-100"),
                  ("mv", f"{made}/model-100", f"{made}/nothing", f"{made}/x"),
                  ("mv", f"{made}/model-100/embedding", f"{made}/model-200/embedding"),
                  ("cp", f"{made}/model-200/embedding", f"{made}/model-300"), ("cp", "-r", f"{made}/model-200", f"{made}/model-100"),
                  ("cp", f"{made}/model-200", f"{made}/x"), ("cp", f"{made}/model-200/output/bias", f"{made}/model-200/embedding"),
                  ("ln", f"{made}/model-300", f"{made}/x"), ("ln", f"{made}/model-200/hidden", f"{made}/x"),
                  ("rm", f"{made}/model-200/**"), ("mkdir", f"{made}/model-200/x"), ("mkdir", f"{made}/model-200"), ("mkdir", f"{made}/.x")]:
        said = ckptfs(*words, status=1)
        assert said.startswith(f"ckptfs {words[0]}: ") and said.count("\n") == 1, said
        assert details_of(made) == before, words


def steps_are_moved_together_or_not():
    made = copy_of(NET)
    ckptfs("mkdir", f"{made}/old")
    ckptfs("cp", "-r", f"{made}/model-200", f"{made}/old/")
    before = details_of(made)
    said = ckptfs("mv", f"{made}/model-100", f"{made}/model-200", f"{made}/old/", status=1)
    assert "model-200" in said, said
    assert {name: sha for name, sha in details_of(made)[1].items() if name != "checkpoint"} == {  # which may list them in another order
        name: sha for name, sha in before[1].items() if name != "checkpoint"}
    assert tf.train.latest_checkpoint(made) == f"{made}/model-200"
    ckptfs("rm", "-r", f"{made}/old/model-200")
    ckptfs("mv", f"{made}/model-100", f"{made}/model-200", f"{made}/old/")
    for name in ("model-100", "model-200"):
        same_values(values_of(f"{made}/old", name), values_of(NET, name))


def a_script_says_which_line():
    made = copy_of(NET)
    before = details_of(made)
    said = ckptfs("edit", f"{made}/model-200", status=1, script="# first\nrm output/bias\n\nrm nothing # there is none\n")
    assert "line 4" in said and "nothing" in said, said
    assert details_of(made) == before
    said = ckptfs("edit", f"{made}/model-200", script="# first\n  rm output/bias # one\n\nmv \"hidden\" 'a b'\nmkdir x\nmv output/kernel x/\n")
    assert said.startswith("model-201: committed"), said
    keys = set(values_of(made, "model-201"))
    assert "a b/kernel" in keys and "output/bias" not in keys and "x/kernel" in keys, keys


def a_script_is_awaited_without_the_lock():
    """Who types a script keeps nobody out, and can end it."""
    made = copy_of(NET)
    with subprocess.Popen([f"{BUILD}/ckptfs", "edit", f"{made}/model-200"], stdin=subprocess.PIPE) as edit:
        assert "model-201: committed" in ckptfs("rm", f"{made}/model-200/output/bias")
        edit.send_signal(signal.SIGINT)
        assert edit.wait() == -signal.SIGINT
    assert "output/bias" in values_of(made, "model-200") and "output/bias" not in values_of(made, "model-201")


def a_dry_run_leaves_nothing():
    made = copy_of(NET)
    before = details_of(made)
    said = ckptfs("edit", "-n", f"{made}/latest", "rm output/bias", "mv hidden h", "cp ../model-100/embedding e")
    assert "removed: output/bias.npy\n" in said and "moved: hidden/bias.npy to h/bias.npy\n" in said, said
    assert "copied: model-100/embedding.npy to e.npy\n" in said and said.endswith("next commit: model-201\n"), said
    assert "next commit: slim\n" in ckptfs("edit", "--dry-run", "-o", "slim", f"{made}/latest", "rm output/bias")
    assert details_of(made) == before
    with runner.Mount(BUILD, copy_of(NET), "rw", FOLDER) as mount:  # in the same words
        shell(f"{mount.at}/model-200", "rm output/bias.npy; mv hidden h; cp ../model-100/embedding.npy e.npy")
        with open(f"{mount.at}/model-200/.ckptfs/status") as f:
            assert f.read().split(", at")[0] == said.rstrip("\n")


def a_signal_changes_nothing():
    made = deep()
    before = details_of(made)
    for wait in (0.001, 0.003, 0.01, 0.02):
        p = subprocess.Popen([f"{BUILD}/ckptfs", "edit", f"{made}/deep-7", *["mv wide w", "mv w wide"] * 300, "rm wide/layer_1/bias", "cp no x"],
                             stderr=subprocess.DEVNULL)
        time.sleep(wait)
        p.send_signal(signal.SIGTERM)
        assert p.wait() != 0
        assert details_of(made) == before, wait


# --- at the same time ------------------------------------------------------------------------------------------------------


def a_mount_that_writes_keeps_others_out():
    made = copy_of(NET)
    with runner.Mount(BUILD, made, "rw", FOLDER) as mount:
        said = ckptfs("rm", f"{made}/model-200/embedding", status=1)
        assert "is being written to already, by process" in said and "unmount it" in said and "-o ro" not in said, said
        shell(f"{mount.at}/model-200", "rm output/bias.npy")
        before = files_of(made)
        assert "is being written to already" in ckptfs("status", made, status=1)
        assert "is being written to already" in ckptfs("edit", "-n", f"{made}/model-200", "rm embedding", status=1)
        assert files_of(made) == before
        mount.sync("model-200")
    assert "output/bias" not in values_of(made, "model-201")
    ckptfs("rm", f"{made}/model-201/embedding")
    assert "embedding" not in values_of(made, "model-202")


def many_tools_at_once():
    made = copy_of(NET)
    running = [subprocess.Popen([f"{BUILD}/ckptfs", "edit", f"{made}/model-200", f"cp embedding e{i}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True) for i in range(8)]
    names = []
    for i, p in enumerate(running):
        out, why = p.communicate()
        if p.returncode == 0:
            names.append((out.split(":")[0], f"e{i}"))
        else:
            assert "is being written to already" in why, why
    assert names and len({name for name, _ in names}) == len(names), names
    for name, key in names:
        assert key in values_of(made, name)
    assert not os.path.exists(f"{made}/.ckptfs")
    subprocess.run([f"{BUILD}/fsck.ckptfs", made], check=True, stdout=subprocess.DEVNULL)


# --- drafts that are left ------------------------------------------------------------------------------------------------


def left_draft(commands="rm output/bias.npy; mv hidden h"):
    """A directory with a draft of model-200, in which COMMANDS were run; a mount that was killed has left it."""
    made = copy_of(NET)
    mount = runner.Mount(BUILD, made, "rw", FOLDER)
    shell(f"{mount.at}/model-200", commands)
    os.sync()
    mount.daemon.kill()
    mount.daemon.wait()
    subprocess.run(["umount", "-l", mount.at], check=True)
    return made


def drafts_are_told_committed_and_discarded():
    made = left_draft()
    before = files_of(made)
    for words in [("rm", f"{made}/model-200/embedding"), ("edit", f"{made}/model-200", "rm embedding"), ("mv", f"{made}/model-200", f"{made}/x"),
                  ("rm", "-r", f"{made}/model-200")]:
        said = ckptfs(*words, status=1)
        assert "has left 5 changes" in said and "ckptfs commit" in said and "ckptfs discard" in said, said
    said = ckptfs("status", f"{made}/model-200")
    assert said.startswith("changes: 5\n") and "removed: output/bias.npy\n" in said, said
    assert ckptfs("status", made) == "step: model-200\n" + said
    said = ckptfs("rm", f"{made}/model-100/embedding")  # another step has none
    assert "committed, changes: 1" in said, said
    assert set(before) <= set(files_of(made))
    assert "committed, changes: 5\n" in ckptfs("commit", f"{made}/model-200")
    made = left_draft()
    assert "model-200: discarded, changes: 5\n" == ckptfs("discard", made)
    assert files_of(made) == files_of(NET)
    assert "has no changes" in ckptfs("discard", made)
    made = left_draft()
    assert ckptfs("commit", made) == "model-201: committed, changes: 5\n"
    keys = set(values_of(made, "model-201"))
    assert "h/kernel" in keys and "hidden/kernel" not in keys and "output/bias" not in keys
    assert ckptfs("status", made) == "changes: none\n"
    made = left_draft("mkdir empty")
    assert os.path.exists(f"{made}/.ckptfs") and ckptfs("discard", made) == f"{made}: has no changes\n"
    assert files_of(made) == files_of(NET)
    above = os.path.dirname(left_draft())  # in a folder below
    assert ckptfs("status", above).startswith("step: d/model-200\nchanges: 5\n")
    assert ckptfs("commit", above).endswith("model-201: committed, changes: 5\n")
    assert ckptfs("status", above) == "changes: none\n"


def killed_in_the_middle(words):
    """A directory in which that was begun, changed a draft, and was killed before it committed."""
    made = copy_of(NET)
    order = f"{os.path.dirname(made)}/hook"
    with open(order, "w") as f:
        f.write(words)
    env = {**os.environ, "LD_PRELOAD": f"{BUILD}/io_hook.so", "IO_HOOK": order, "ASAN_OPTIONS": "verify_asan_link_order=0"}
    p = subprocess.run([f"{BUILD}/ckptfs", "edit", f"{made}/model-200", "rm output/bias", "mv hidden h"], env=env, capture_output=True)
    return made, p.returncode


def what_a_killed_tool_leaves_is_discarded():
    """At some of its calls; then a mount that is unmounted, or the same again."""
    n, drafts = 0, 0
    while True:
        n += 9
        made, code = killed_in_the_middle(f"{n} kill")
        if code == 0:
            break
        assert code == -signal.SIGKILL, code
        left = bool(glob.glob(f"{made}/.ckptfs/drafts/model-200"))
        if n % 2:
            with runner.Mount(BUILD, made, "rw", FOLDER) as mount:
                assert "model-200" in os.listdir(mount.at)
                os.stat(f"{mount.at}/model-200/variables.tsv")
            assert not os.path.exists(f"{made}/.ckptfs"), files_of(made)
        else:
            p = subprocess.run([f"{BUILD}/ckptfs", "status", made], capture_output=True, text=True)
            assert (p.returncode, p.stdout) == (0, "changes: none\n"), p
        done = os.path.exists(f"{made}/model-201.index")
        if done:  # it was as good as committed
            assert "h/kernel" in values_of(made, "model-201")
        else:
            assert files_of(made) == files_of(NET), (n, set(files_of(made)) ^ set(files_of(NET)))
            drafts += left
            assert "committed, changes: 5" in ckptfs("edit", f"{made}/model-200", "rm output/bias", "mv hidden h")
    assert n > 30 and drafts, (n, drafts)


def what_the_readme_says():
    """Each row of its table, in directories of their own."""
    with open(f"{NET}/../../README.md") as f:
        section = f.read().split("\n## Without FUSE\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| .* \| (`ckptfs .*) \|$", section, re.MULTILINE)
    assert len(rows) > 5, rows
    for row in rows:
        folder = tempfile.mkdtemp(dir=FOLDER)
        for name in ("net", "other"):
            shutil.copytree(NET, f"{folder}/{name}")
        for command in re.findall("`(ckptfs .*?)`", row):
            p = subprocess.run(command, shell=True, cwd=folder, env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"}, stdout=subprocess.DEVNULL)
            assert p.returncode == (1 if " diff " in command else 0), command
        for name in ("net", "other"):
            subprocess.run([f"{BUILD}/fsck.ckptfs", f"{folder}/{name}"], check=True, stdout=subprocess.DEVNULL)


def wrong_usage():
    for words in [("rm",), ("mv", "x"), ("cp", "x"), ("ln", "x"), ("ln", "a", "b", "c"), ("mkdir",), ("edit",), ("edit", "-o", "a/b", "x"), ("commit",),
                  ("rm", "-x", "y")]:
        assert "Try 'ckptfs" in ckptfs(*words, status=2) or "Usage:" in ckptfs(*words, status=2)
    for verb in ("rm", "mv", "cp", "ln", "mkdir", "edit", "commit", "discard", "status"):
        said = ckptfs(verb, "--help")
        assert said.startswith(f"Usage: ckptfs {verb} ") and len(said.splitlines()) <= 24 and max(map(len, said.splitlines())) <= 110, said


runner.run([the_same_as_on_a_mount_in_a_net, a_session_restores_what_was_changed, the_same_as_on_a_mount_in_other_fixtures,
            the_same_as_on_a_mount_in_a_saved_model, the_step_of_a_saved_model_comes_back, the_same_as_on_a_mount_in_deep_scopes,
            whole_steps_are_the_same_as_on_a_mount, files_go_out_and_in, a_layer_comes_from_another_run, globs_match_what_they_should,
            a_command_that_fails_changes_nothing,
            steps_are_moved_together_or_not, a_script_says_which_line, a_script_is_awaited_without_the_lock,
            a_dry_run_leaves_nothing, a_signal_changes_nothing, a_mount_that_writes_keeps_others_out,
            many_tools_at_once, drafts_are_told_committed_and_discarded, what_a_killed_tool_leaves_is_discarded, what_the_readme_says, wrong_usage], sys.argv[4:])
