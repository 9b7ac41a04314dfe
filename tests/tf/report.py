#!/usr/bin/env python3
"""Tests examples/report.py and examples/notebook.ipynb: report.py BUILDDIR SRCDIR FIXTURES FOLDER [TEST...]

The modules of examples/report.py are imported, so that what they draw can be compared with NumPy.
"""

import base64
import contextlib
import html.parser
import io
import json
import os
import shutil
import subprocess
import sys
import warnings

import ml_dtypes
import numpy as np
import runner
from safetensors.numpy import save_file

BUILD, SOURCE, FIXTURES, FOLDER = sys.argv[1:5]
sys.path.insert(0, f"{SOURCE}/examples")
import report  # noqa: E402
import report_pictures  # noqa: E402
import report_steps  # noqa: E402

random = np.random.default_rng(1)


class Page(html.parser.HTMLParser):
    """What a page has: its pictures, tags and text."""

    def __init__(self, path):
        super().__init__()
        self.pictures, self.tags, self.text = [], [], ""
        with open(path, encoding="utf-8") as f:
            self.feed(f.read())
        assert not {"script", "link", "iframe"} & set(self.tags), self.tags

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert name != "href", "the page needs other files"
            if name == "src":
                kind, data = value.split(",", 1)
                assert kind == "data:image/png;base64", kind
                self.pictures.append(base64.b64decode(data, validate=True))
                assert self.pictures[-1].startswith(b"\x89PNG"), "no picture"

    def handle_data(self, data):
        self.text += data

    def says(self, *sentences):
        for sentence in sentences:
            assert sentence in self.text, (sentence, self.text)


def report_of(directory, status=0):
    """The page of a directory, and what was complained of."""
    page, errors = f"{FOLDER}/page.html", io.StringIO()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(page)
    with contextlib.redirect_stderr(errors):
        result = report.main([directory, "-o", page])
    assert result == status, (result, errors.getvalue())
    assert os.path.exists(page) == (status != 2)
    return Page(page) if status != 2 else None, errors.getvalue()


def make_steps(name, steps):
    """A directory of STEPS: number → arrays by name."""
    directory = f"{FOLDER}/{name}"
    for number, arrays in steps.items():
        save_file(arrays, f"{FOLDER}/step.safetensors")
        subprocess.run([f"{BUILD}/ckptfs", "import", f"{FOLDER}/step.safetensors", f"{directory}/model-{number}"], check=True,
                       stdout=subprocess.DEVNULL)
    return directory


def floats(*shape):
    return random.normal(size=shape).astype(np.float32)


def a_run():
    """Three steps: layers that stay, move, become NaN, come and go; slots, bfloat16."""
    still, good, half = floats(30, 4), floats(20, 5), floats(6, 7)
    steps = {}
    for number in (9, 10, 11):
        steps[number] = {"still/kernel": still, "good/kernel": good * number, "good/kernel/Momentum": floats(20, 5),
                         "bad/kernel": floats(8, 8), "half/kernel": (half + number).astype(ml_dtypes.bfloat16),
                         "step": np.array(number, np.int64)}
    steps[11]["bad/kernel"][:4] = np.nan
    steps[9]["first"] = floats(3)
    steps[11]["last"] = floats(3)
    return steps


def the_page_says_what_is_seen():
    run = make_steps("run", a_run())
    make_steps("run/old", {7: {"w": floats(3)}})
    page, errors = report_of(run)
    assert not errors and len(page.pictures) == 3, (errors, page.tags)
    page.says("3 steps, model-9 to model-11; in the last one 7 variables",
              "NaN or infinite values are in 1 of 3 steps. They are first in model-11: bad/kernel.",
              "These never changed: still/kernel.", "Variables were added in model-11 (1).",
              "Variables were removed in model-10 (1).",
              "Not drawn as layers: 1 variable of the optimizer, 1 variable not of floats.")
    with runner.Mount(BUILD, run, "ro", FOLDER) as mount:
        mounted, _ = report_of(mount.at)
        report_of(f"{mount.at}/old")[0].says("1 step, model-7;")
    assert mounted.text == page.text and mounted.pictures == page.pictures, "the mount has another page"


def layers_move_as_in_numpy():
    arrays = a_run()
    steps, complaints = report_steps.read_steps(make_steps("moves", arrays))
    assert not complaints and [s.name for s in steps] == ["model-9", "model-10", "model-11"]
    rows, told, _ = report_steps.layers(steps)
    assert not told and [r.label for r in rows] == ["bad/kernel", "first", "good/kernel", "half/kernel", "last", "still/kernel"]
    expected = {"bad/kernel": [None, report_steps.NAN], "first": [report_steps.ABSENT] * 2, "good/kernel": [1 / 9, 1 / 10],
                "half/kernel": [None, None], "last": [report_steps.ABSENT, report_steps.NEW], "still/kernel": [0, 0]}
    for row in rows:
        moves = [report_steps.movement(step, before, row) for step, before in report_steps.compared(steps)]
        for i, (move, want) in enumerate(zip(moves, expected[row.label], strict=True)):
            if want is None:
                a, b = (arrays[9 + i + k][row.label].astype(np.float64) for k in (0, 1))
                want = np.linalg.norm(b - a) / np.linalg.norm(a)
            assert move == want or np.isclose(move, want), (row.label, i, move, want)


def several_variables_are_one_row():
    """Their change is that of all their values together; from zeros it is endless."""
    before, after = ({f"net/layer_{i}/{k}": floats(4, 4) for i in range(300) for k in ("kernel", "bias")} for _ in range(2))
    before |= {"zero/a/w": np.zeros(3, np.float32)}
    after |= {"zero/a/w": np.ones(3, np.float32)}
    steps, _ = report_steps.read_steps(make_steps("wide", {1: before, 2: after}))
    rows, told, _ = report_steps.layers(steps)
    assert len(rows) == report_steps.MOST_ROWS and rows[-1].label.startswith("all others"), [r.label for r in rows]
    assert told.startswith("601 variables are drawn as 28 rows: the largest 27, and the "), told
    for row in rows:
        a, b = (np.concatenate([x[n].ravel() for n in row.names]).astype(np.float64) for x in (before, after))
        moved = report_steps.movement(steps[1], steps[0], row)
        assert np.isclose(moved, np.linalg.norm(b - a) / np.linalg.norm(a)), row.label
    assert report_steps.movement(steps[1], steps[0], report_steps.Row("zero", ["zero/a/w"])) == np.inf
    report_of(f"{FOLDER}/wide")[0].says(told)


def histograms_are_numpys():
    arrays = {"a/w": floats(50, 40), "b/w": floats(30, 20).astype(ml_dtypes.bfloat16), "c/w": floats(9, 9)}
    arrays["c/w"][0] = np.inf
    directory = make_steps("histograms", {1: arrays})
    steps, _ = report_steps.read_steps(directory)
    rows, _, _ = report_steps.layers(steps)
    counted, spans, complaints = report_pictures.count(directory, steps, rows)
    assert not complaints
    for i, name in enumerate(arrays):
        values, one = arrays[name].astype(np.float64), counted[i, "model-1"]
        finite = values[np.isfinite(values)]
        assert (one.counts == np.histogram(finite, one.counts.size, spans[i])[0]).all(), name
        assert (one.seen, one.bad) == (values.size, values.size - finite.size), name
    # Of a large variable, some values of each column.
    whole = report_steps.MOST_VALUES
    report_steps.MOST_VALUES = 100
    try:
        pieces = np.concatenate([p for _, p in report_steps.values(directory, steps[0], ["a/w"])])
    finally:
        report_steps.MOST_VALUES = whole
    flat = arrays["a/w"].ravel()
    columns = {int(np.flatnonzero(flat == p)[0]) % 40 for p in pieces}
    assert 80 <= pieces.size <= 120 and len(columns) == 40, (pieces.size, columns)


def what_is_damaged_is_named():
    """The rest is shown."""
    damaged = make_steps("damaged", {n: {"w": floats(50), "v": floats(50)} for n in (1, 2, 3, 4)})
    os.truncate(f"{damaged}/model-2.index", 40)
    data = next(f for f in os.listdir(damaged) if f.startswith("model-3.data"))
    os.truncate(f"{damaged}/{data}", 300)
    page, errors = report_of(damaged, status=1)
    assert len(page.pictures) == 3 and "model-2.index: " in errors and "model-3/w: " in errors, errors
    page.says("Can't be read: model-2.index: ", "Can't be read: model-3/w: ", "model-4",
              "No value that could be read is NaN or infinite.")


def one_step_or_none():
    page, _ = report_of(make_steps("single", {1: {"w": floats(5)}}))
    assert len(page.pictures) == 2
    page.says("1 step, model-1;", "No steps are compared")
    os.mkdir(f"{FOLDER}/empty")
    for directory, why in (("empty", "no checkpoints are in it"), ("nothing", "not a directory")):
        _, errors = report_of(f"{FOLDER}/{directory}", status=2)
        assert errors == f"report.py: {FOLDER}/{directory}: {why}\n", errors


def names_are_only_names():
    name = "<b>&amp;$x_{1}$"
    page, _ = report_of(make_steps("names <i>", {n: {f"{name}/w": floats(5)} for n in (1, 2)}))
    assert not {"b", "i"} & set(page.tags), page.tags
    page.says(f"The largest change: {name}/w moved by", "names <i>")


def fixtures_have_pages():
    """Both byte orders, V1, partitions, strings and odd names."""
    for fixture in ("bigendian", "v1", "partitioned", "strings", "names"):
        _, errors = report_of(f"{FIXTURES}/{fixture}")
        assert not errors, (fixture, errors)


def many_steps_are_drawn():
    """Not all of them as histograms; but the first with a NaN."""
    arrays = {n: {"w": floats(50)} for n in range(1, 41)}
    arrays[8]["w"][0] = np.nan
    directory = make_steps("long", arrays)
    page, _ = report_of(directory)
    page.says("12 of 40 steps are shown.", "They are first in model-8: w.")
    steps, _ = report_steps.read_steps(directory)
    shown = [s.name for s in report_pictures.pick(steps, [steps[7]])]
    assert len(shown) <= 12 and {"model-1", "model-8", "model-40"} <= set(shown), shown


def a_trained_layer_goes_wrong():
    """In the run of examples/diverging.py, of which README.md has the pictures."""
    subprocess.run([sys.executable, f"{SOURCE}/examples/diverging.py", f"{FOLDER}/trained"], check=True, capture_output=True)
    page, _ = report_of(f"{FOLDER}/trained")
    page.says("12 steps, model-50 to model-600", ": common/bias, common/kernel.", "These never changed: embedding.")


def the_notebook_does_what_it_shows():
    """Its cells run one after the other, and print what is kept in it."""
    shutil.copytree(f"{SOURCE}/examples/net", f"{FOLDER}/book/net")
    with open(f"{SOURCE}/examples/notebook.ipynb", encoding="utf-8") as f:
        cells = [c for c in json.load(f)["cells"] if c["cell_type"] == "code"]
    os.chmod(f"{FOLDER}/book/net", 0o755)  # that of a tarball is read-only
    names, kept = {}, 0
    os.chdir(f"{FOLDER}/book")
    warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
    try:
        for cell in cells:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec("".join(cell["source"]), names)
            shown = "".join("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")
            assert printed.getvalue() == shown, (cell["source"], printed.getvalue(), shown)
            kept += sum("image/png" in o.get("data", {}) for o in cell["outputs"])
        assert kept == 2 and not os.path.exists(names["work"])
    finally:
        if "ckpt" in names and os.path.ismount(names["ckpt"]):
            subprocess.run(["fusermount3", "-u", names["ckpt"]], check=True)


runner.run([the_page_says_what_is_seen, layers_move_as_in_numpy, several_variables_are_one_row, histograms_are_numpys,
            what_is_damaged_is_named, one_step_or_none, names_are_only_names, fixtures_have_pages, many_steps_are_drawn,
            a_trained_layer_goes_wrong, the_notebook_does_what_it_shows], sys.argv[5:])
