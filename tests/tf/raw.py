#!/usr/bin/env python3
"""TensorFlow has a mount with `raw` as its directory: raw.py BUILDDIR FIXTURES FOLDER [TEST...]

Most tests do the same in an ordinary directory and through a mount of another: what is left is the same, and the mount has each
step as a folder, too.  raw.py train DIR SAVES: the training that is killed.
"""

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy as np
import runner
import tensorflow as tf

V1 = tf.compat.v1
BUILD, FIXTURES, FOLDER = sys.argv[1:4]
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


class Mount(runner.Mount):
    def __init__(self, source, options):
        super().__init__(BUILD, source, options, FOLDER)

    def edit(self, step, name, value):
        np.save(os.path.join(self.at, step, name + ".npy"), np.array(value, np.float32))

    def load(self, step, name):
        return np.load(os.path.join(self.at, step, name + ".npy"))


@contextlib.contextmanager
def mounted(options="raw,commit=sync", fixture=None):
    source = tempfile.mkdtemp(dir=FOLDER, prefix="run.")
    if fixture:
        shutil.copytree(os.path.join(FIXTURES, fixture), source, dirs_exist_ok=True, copy_function=shutil.copyfile)
    with Mount(source, options) as mount:
        yield mount
    shutil.rmtree(source)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def values_of(prefix):
    reader = V1.train.NewCheckpointReader(prefix)
    return {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}


def names_below(folder):
    return sorted(
        os.path.relpath(os.path.join(path, name), folder)
        for path, folders, names in os.walk(folder)
        for name in folders + names
        if not os.path.relpath(os.path.join(path, name), folder).startswith(".ckptfs")
    )


def steps_of(folder):
    """Of V2."""
    return [name[: -len(".index")] for name in names_below(folder) if name.endswith(".index")]


def content(folder, root):
    """Names and bytes of the files.  Of the state file without ROOT, the folder by which TensorFlow knew it, and times."""
    found = {}
    for name in names_below(folder):
        path = os.path.join(folder, name)
        found[name] = None if os.path.isdir(path) else read(path)
        if os.path.basename(name) in ("checkpoint", "mylatest"):
            text = found[name].decode().replace(root + "/", "@/")
            found[name] = re.sub(r"^(all_model_checkpoint_timestamps|last_preserved_timestamp): .*$", r"\1", text, flags=re.M)
    return found


def is_step(mount, name):
    """Is there a file of V1, or a set of them, or an index of V2 for the folder NAME?"""
    files = os.listdir(mount.source)
    sets = {re.sub(r"-\d{5}-of-\d{5}$", "", file) for file in files if ".data-" not in file} - set(files)
    return f"{name}.index" in files or name in sets or (name.endswith("%2F") and name[:-3] in files)


def folders_are_right(mount):
    """Each step of V2 is a folder with its values, all files are what they are in the directory, and there is nothing else."""
    steps, there, shown = steps_of(mount.source), set(os.listdir(mount.source)) - {".ckptfs"}, set(os.listdir(mount.at))
    assert {step for step in steps if "/" not in step} | there <= shown, there - shown
    assert all(is_step(mount, name) for name in shown - there - {"latest"}), shown - there
    for name in names_below(mount.source):
        path = os.path.join(mount.source, name)
        if os.path.isfile(path):
            assert read(os.path.join(mount.at, name)) == read(path), name
    for step in steps:
        for key, value in values_of(os.path.join(mount.at, step)).items():
            if isinstance(value, np.ndarray) and value.dtype == np.float32:
                have = mount.load(step, key.removesuffix(SUFFIX))
                assert np.array_equal(have, value), (step, key)
    run = subprocess.run([f"{BUILD}/fsck.ckptfs", "-n", mount.source], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def the_same(work, check=None):
    """WORK(folder) leaves the same in an ordinary folder and in the mount, and returns the same but for the folder.
    CHECK(folder) is called in place of a comparison of the bytes, and what it returns is compared."""
    ordinary = tempfile.mkdtemp(dir=FOLDER, prefix="run.")
    with mounted() as mount:
        want, have = work(ordinary), work(mount.at)
        assert str(have).replace(mount.at, ordinary) == str(want), f"{have}, not {want}"
        compare = check or (lambda folder: content(folder, ordinary))
        want = compare(ordinary)
        have = check(mount.at) if check else content(mount.source, mount.at)
        assert have.keys() == want.keys(), f"{have.keys() ^ want.keys()}"
        for name in want:
            same = np.array_equal(have[name], want[name]) if check else have[name] == want[name]
            assert same, f"{name}: {have[name]}, not {want[name]}"
        folders_are_right(mount)
    shutil.rmtree(ordinary)


# --- tf.train.Saver -----------------------------------------------------------------------------------------


def two_cpus():
    return V1.Session(config=V1.ConfigProto(device_count={"CPU": 2}))


class Training:
    """A graph with some variables, and its Saver."""

    def __init__(self, elements=1000, **arguments):
        with tf.Graph().as_default():
            self.value = V1.placeholder(tf.float32, [])
            variables = []
            for number, name in enumerate(("v", "scope/w")):
                with tf.device(f"/cpu:{number}"):
                    variables.append(V1.get_variable(name, [elements], initializer=V1.zeros_initializer(), use_resource=False))
            self.assign = [v.assign(tf.fill(v.shape, self.value)) for v in variables]
            self.variables = variables
            self.saver = V1.train.Saver(**arguments)
            self.session = two_cpus()
            self.session.run(V1.global_variables_initializer())

    def save(self, value, *arguments, **named):
        with self.session.graph.as_default():
            self.session.run(self.assign, {self.value: value})
            return self.saver.save(self.session, *arguments, **named)

    def restore(self, path):
        """The number that all values are."""
        with self.session.graph.as_default():
            self.session.run(self.assign, {self.value: -1})
            self.saver.restore(self.session, path)
            values = {float(x) for value in self.session.run(self.variables) for x in value}
        assert len(values) == 1, values
        return values.pop()


def saver_history(**arguments):
    """Rotation, a name that is saved again and again, state files of two names, restoring, going on."""

    def work(folder):
        training = Training(**arguments)
        answers = []
        for number in range(6):
            answers.append(training.save(number, f"{folder}/my-model", global_step=number))
            answers.append(training.restore(tf.train.latest_checkpoint(folder)))
        for number in range(3):
            answers.append(training.save(10 + number, f"{folder}/net.ckpt", latest_filename="mylatest"))
            answers.append(training.restore(answers[-1]))
        answers.append(tf.train.latest_checkpoint(folder, "mylatest"))
        answers += training.saver.last_checkpoints
        again = Training(**arguments)
        again.saver.recover_last_checkpoints(tf.train.get_checkpoint_state(folder).all_model_checkpoint_paths)
        for number in range(6, 9):
            answers.append(again.save(number, f"{folder}/my-model", global_step=number))
        os.mkdir(f"{folder}/other")
        answers.append(Training(**arguments).save(20, f"{folder}/other/model", write_meta_graph=False))
        with again.session.graph.as_default():
            V1.train.export_meta_graph(f"{folder}/graph.meta")
        with tf.Graph().as_default(), two_cpus() as session:
            V1.train.import_meta_graph(*glob.glob(f"{folder}/my-model-*8.meta")).restore(session, tf.train.latest_checkpoint(folder))
            answers.append(session.run("v:0")[0])
        return answers

    return work


def saver():
    the_same(saver_history(max_to_keep=3))
    every = {"keep_checkpoint_every_n_hours": 0, "save_relative_paths": True, "pad_step_number": True}
    the_same(saver_history(max_to_keep=2, **every))


def sharded_saver():
    the_same(saver_history(max_to_keep=3, sharded=True))


def v1_saver():
    for sharded in False, True:
        the_same(saver_history(max_to_keep=3, sharded=sharded, write_version=V1.train.SaverDef.V1))


# --- tf.train.Checkpoint, Keras, tf.saved_model ---------------------------------------------------------------


def manager():
    def work(folder):
        answers = []
        for _ in range(2):  # the second goes on
            v, words = tf.Variable(np.zeros(1000, np.float32)), tf.Variable(["some", "words"])
            checkpoint = tf.train.Checkpoint(v=v, words=words)
            manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=3, keep_checkpoint_every_n_hours=100)
            answers.append(manager.restore_or_initialize())
            answers.append(float(v[0]))
            for _ in range(5):
                v.assign_add(np.ones(1000, np.float32))
                answers.append(manager.save())
        answers += [manager.latest_checkpoint, *manager.checkpoints]
        answers.append(checkpoint.write(f"{folder}/written/by-name"))
        policy = tf.train.experimental.MaxShardSizePolicy(max_shard_size=1500)
        options = tf.train.CheckpointOptions(experimental_sharding_callback=policy)
        answers.append(checkpoint.write(f"{folder}/cut", options))
        v.assign(np.zeros(1000, np.float32))
        checkpoint.read(f"{folder}/cut").assert_consumed()
        answers.append(float(v[0]))
        return answers

    the_same(work)


def weights_of(path):
    model = tf.keras.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(2)])
    if path.endswith(".keras"):
        model = tf.keras.models.load_model(path)
    else:
        model.load_weights(path)
    return np.concatenate([w.reshape(-1) for w in model.get_weights()])


def keras_callbacks():
    def work(folder):
        tf.keras.utils.set_random_seed(1)
        model = tf.keras.Sequential([tf.keras.layers.Input((3,)), tf.keras.layers.Dense(2)])
        model.compile("adam", "mse")
        callbacks = [
            tf.keras.callbacks.ModelCheckpoint(f"{folder}/m-{{epoch:02d}}.weights.h5", save_weights_only=True),
            tf.keras.callbacks.ModelCheckpoint(f"{folder}/best.keras", monitor="loss", save_best_only=True),
            tf.keras.callbacks.BackupAndRestore(f"{folder}/backup"),
            tf.keras.callbacks.CSVLogger(f"{folder}/log.csv"),
        ]
        x = np.arange(24, dtype=np.float32).reshape(8, 3) / 24
        history = model.fit(x, x[:, :2], epochs=3, verbose=0, callbacks=callbacks)
        model.export(f"{folder}/exported", verbose=False)
        return history.history["loss"]

    def check(folder):
        names = [name for name in names_below(folder) if name.endswith((".h5", ".keras"))]
        assert len(names) == 4, names
        found = {name: weights_of(os.path.join(folder, name)) for name in names}
        exported = tf.saved_model.load(f"{folder}/exported")
        return {**found, "served": exported.serve(np.ones((1, 3), np.float32)), "log.csv": read(f"{folder}/log.csv")}

    the_same(work, check)


class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2), name="kernel")

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    def __call__(self, x):
        return x @ self.kernel


def saved_model():
    def work(folder):
        module = Module()
        for version in "1", "2":
            tf.saved_model.save(module, f"{folder}/model/{version}")
            module.kernel.assign_add(np.ones((3, 2), np.float32))
        with V1.Graph().as_default(), V1.Session() as session:
            v = V1.get_variable("v", initializer=np.float32(7), use_resource=False)
            session.run(v.initializer)
            builder = V1.saved_model.Builder(f"{folder}/old")
            builder.add_meta_graph_and_variables(session, ["serve"])
            builder.save()
        return os.path.exists(f"{folder}/model/2/saved_model.pb")

    def check(folder):
        found = {}
        for version in "1", "2":
            found[version] = tf.saved_model.load(f"{folder}/model/{version}")(np.eye(3, dtype=np.float32)).numpy()
        with V1.Graph().as_default(), V1.Session() as session:
            V1.saved_model.load(session, ["serve"], f"{folder}/old")
            found["old"] = session.run("v:0")
        return found

    the_same(work, check)
    # what is edited in the folder of its step is what is served
    with mounted() as mount:
        work(mount.at)
        step = "model/1/variables/variables"
        mount.edit(step, "kernel", np.full((3, 2), 9))
        mount.sync(step)
        assert np.all(tf.saved_model.load(f"{mount.at}/model/1")(np.eye(3, dtype=np.float32)).numpy() == 9)
        tf.io.gfile.rmtree(f"{mount.at}/model")
        assert os.listdir(mount.source) == ["old"], os.listdir(mount.source)


# --- a session that saves by itself, and is killed --------------------------------------------------------------


def train(folder, saves):
    """As Estimator did.  Prints the step that it begins with; it saves at every fifth, and at the end."""
    with tf.Graph().as_default():
        step = V1.train.get_or_create_global_step()
        v = V1.get_variable("v", [2_000_000], initializer=V1.zeros_initializer(), use_resource=False)
        with tf.control_dependencies([V1.assign_add(v, tf.ones_like(v))]):
            act = V1.assign_add(step, 1)
        V1.summary.scalar("first", v[0])
        hooks = [V1.train.StopAtStepHook(last_step=5 * saves)]
        with V1.train.MonitoredTrainingSession(
            checkpoint_dir=folder, save_checkpoint_steps=5, save_checkpoint_secs=None, save_summaries_steps=5, hooks=hooks
        ) as session:
            print(session.run_step_fn(lambda step_context: step_context.session.run(step)), flush=True)
            while not session.should_stop():
                session.run(act)


def start_training(mount, saves):
    command = [sys.executable, __file__, *sys.argv[1:4], "train", mount.at, str(saves)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def being_written(folder):
    return [name for name in os.listdir(folder) if "_temp" in name]


def killed_and_resumed():
    with mounted() as mount:
        training = start_training(mount, 1000)
        assert training.stdout.readline() == "0\n", training.stderr.read()
        while not (being_written(mount.source) and len(steps_of(mount.source)) > 3):
            assert training.poll() is None, training.stderr.read()
        training.send_signal(signal.SIGKILL)
        training.wait()
        latest = tf.train.latest_checkpoint(mount.at)
        with open(f"{mount.source}/checkpoint") as file:
            assert f'model_checkpoint_path: "{latest}"' in file.read().splitlines(), latest
        number = int(latest.rpartition("-")[2])
        assert values_of(latest)["global_step"] == number
        assert os.readlink(f"{mount.at}/latest") == os.path.basename(latest)
        # a person edits meanwhile: a step of its own, which training goes on from
        mount.edit(os.path.basename(latest), "v", np.full(2_000_000, 0.5))
        mount.sync(os.path.basename(latest))
        latest = os.readlink(f"{mount.at}/latest")
        training = start_training(mount, number // 5 + 3)
        out, err = training.communicate()
        assert (training.returncode, out) == (0, f"{number}\n"), (out, err)
        assert values_of(tf.train.latest_checkpoint(mount.at))["v"][0] == 15.5
        assert {"graph.pbtxt", "checkpoint"} < set(os.listdir(mount.at))
        for step in steps_of(mount.source):
            values = mount.load(step, "v")
            assert np.all(values == values[0]), step
            assert np.array_equal(values_of(f"{mount.at}/{step}")["v"], values), step


# --- together with others ---------------------------------------------------------------------------------------


def a_person_edits_in_between():
    """The trainer keeps five, and so does the mount."""
    with mounted("raw,commit=sync,max_to_keep=5") as mount:
        training, edits = Training(max_to_keep=5), {}
        for number in range(100):
            training.save(number, f"{mount.at}/model", global_step=number)
            assert training.restore(tf.train.latest_checkpoint(mount.at)) == number
            if number % 10 == 4:
                mount.edit(f"model-{number}", "ours", [number])
                before = set(steps_of(mount.source))
                mount.sync(f"model-{number}")
                (new,) = set(steps_of(mount.source)) - before
                edits[new] = number
                state = tf.train.get_checkpoint_state(mount.source)
                listed = [os.path.basename(path) for path in state.all_model_checkpoint_paths]
                assert listed[-1] == new and len(listed) == 5 and set(listed) <= set(steps_of(mount.source)), (listed, new)
        left = steps_of(mount.source)
        state = tf.train.get_checkpoint_state(mount.at)
        theirs = [f"model-{number}" for number in range(95, 100)]
        assert [os.path.basename(path) for path in state.all_model_checkpoint_paths] == theirs
        assert set(theirs) < set(left)
        for step in left:
            values = values_of(f"{mount.at}/{step}")
            number, ours = values["v"][0], values.get("ours")
            assert np.all(values["scope/w"] == number), step
            assert (ours is None) == (step in theirs), step
            assert number == (int(step.partition("-")[2]) if ours is None else ours[0]), step
        folders_are_right(mount)


# --- without raw ------------------------------------------------------------------------------------------------


def from_any_mount():
    """A script that is given MOUNT/my-model-0."""
    for options in "ro", "commit=sync":
        with mounted(options, "linear") as mount:
            prefix = f"{mount.at}/my-model-0"
            latest = tf.train.latest_checkpoint(mount.at)
            assert latest == f"{mount.at}/my-model-2000", latest
            assert V1.train.checkpoint_exists(prefix)
            for path in prefix, latest:
                assert values_of(path) == values_of(path.replace(mount.at, mount.source))
                listed = tf.train.list_variables(path)
                assert listed == tf.train.list_variables(path.replace(mount.at, mount.source))
                for key, _ in listed:
                    assert tf.train.load_variable(path, key) == values_of(path)[key], key
                with tf.Graph().as_default(), V1.Session() as session:
                    saver = V1.train.import_meta_graph(path + ".meta")
                    saver.restore(session, path)
                    assert session.run("w:0") == mount.load(os.path.basename(path), "w")
    with mounted("ro", "sharded") as mount:
        values = values_of(tf.train.latest_checkpoint(mount.at))
        for key in "first", "second", "third", "emb":
            assert np.array_equal(values[key], mount.load("model-7", key))


TESTS = (saver, sharded_saver, v1_saver, manager, keras_callbacks, saved_model, killed_and_resumed, a_person_edits_in_between,
         from_any_mount)  # fmt: skip


tf.get_logger().setLevel("CRITICAL")
if sys.argv[4:5] == ["train"]:
    train(sys.argv[5], int(sys.argv[6]))
else:
    runner.run(TESTS, sys.argv[4:])
