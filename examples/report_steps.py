"""What report.py knows of a checkpoint directory, by `ckptfs`: its steps, what each changed, and its layers."""
import dataclasses
import json
import math
import pathlib
import re
import shutil
import subprocess

import numpy as np

from report_text import by_number, many

MOST_ROWS = 28  # layers in a picture; with more variables than that, names are cut to whole scopes
MOST_VALUES = 1 << 20  # of a larger variable this many values, evenly spread, make its histogram


class NoReport(Exception):
    """There is nothing that a page could show."""


# --- what ckptfs tells -------------------------------------------------------------------------------------

def program():
    """The path of ckptfs."""
    built = pathlib.Path(__file__).resolve().parent.parent / "build" / "ckptfs"
    found = shutil.which("ckptfs") or (built.exists() and str(built))
    if not found:
        raise NoReport("there is no ckptfs in PATH; examples/quickstart.sh builds it")
    return found


def ask(verb, *paths):
    """What `ckptfs VERB --json PATHS` prints, and what it complains about. {} if it prints nothing."""
    done = subprocess.run([program(), verb, "--json", *paths], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    complaints = [re.sub(r"^ckptfs \w+: ", "", line)
                  for line in done.stderr.decode(errors="backslashreplace").splitlines()]
    return json.loads(done.stdout) if done.stdout.strip() else {}, complaints


def directory_of(path):
    """The checkpoint directory: PATH, or what is mounted there."""
    path = pathlib.Path(path)
    if not path.is_dir():
        raise NoReport(f"{path}: not a directory")
    at = path.resolve()
    for line in pathlib.Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines():
        source, where, kind = (re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), word) for word in line.split()[:3])
        if kind == "fuse.ckptfs" and at.is_relative_to(where):
            mounted = pathlib.Path(source)  # a directory, or the prefix of a step in it
            path = (mounted if mounted.is_dir() else mounted.parent) / at.relative_to(where)
    return path


@dataclasses.dataclass
class Step:
    name: str
    error: str  # why it can't be read; empty: it can
    saved: float
    size: int
    own: int  # bytes that no other step has
    variables: dict  # by name: what `ckptfs stat` says of it
    against: str = ""  # the step before it, if there is one
    differences: dict = dataclasses.field(default_factory=dict)  # by name: what `ckptfs diff` says

    def nans(self, names):
        """How many values of the variables NAMES are NaN or infinite."""
        return sum(self.numbers(name).get("nans", 0) + self.numbers(name).get("infs", 0) for name in names)

    def numbers(self, name):
        return self.variables.get(name, {}).get("numbers", {})

    def norm(self, name):
        return self.numbers(name).get("norm") or 0

    def short(self):
        """The number in its name, or the name."""
        return (re.findall(r"-(\d+)$", self.name) or [self.name])[0]


def read_step(directory, item):
    """A step that `ckptfs ls` lists, with its variables; and complaints."""
    step = Step(item["name"], item.get("error", ""), item.get("saved", math.nan), item.get("bytes", 0),
                item.get("own_bytes", 0), {})
    if step.error:
        return step, [step.error]
    told, complaints = ask("stat", f"{directory}/{step.name}")
    step.variables = {v["name"]: v for v in told.get("variables", [])}
    if not step.variables and complaints:
        step.error = complaints[0]
        return step, complaints[:1]
    # The error begins with the step's name, which is said here.
    return step, [f"{step.name}/{v['name']}: " + re.sub(f"^({re.escape(step.name)}: )+", "", v["error"])
                  for v in step.variables.values() if "error" in v]


def read_steps(directory):
    """All steps, in the order of their names' numbers, and complaints."""
    told, complaints = ask("ls", str(directory))
    items = sorted((i for p in told.get("paths", []) for i in p["items"] if i["kind"] == "step"),
                   key=lambda i: by_number(i["name"]))
    if not items:
        raise NoReport("\n".join(complaints) or f"{directory}: no checkpoints are in it")
    steps = []
    for item in items:
        step, more = read_step(directory, item)
        steps.append(step)
        complaints += more
    before = {s["name"]: s.get("against", "") for s in ask("log", str(directory))[0].get("steps", [])}
    good = {s.name for s in steps if not s.error}
    for step in steps:
        if before.get(step.name) in good and not step.error:
            step.against = before[step.name]
            told, _ = ask("diff", f"{directory}/{step.against}", f"{directory}/{step.name}")  # what can't be read was said
            step.differences = {d["name"]: d for d in told.get("diff", {}).get("differences", [])}
    return steps, complaints


FLOATS = ("DT_FLOAT", "DT_DOUBLE", "DT_HALF", "DT_BFLOAT16")  # those that values() knows


def values(directory, step, names):
    """Yields (name, array) of variables of a step, the larger ones in pieces, of which values are left out evenly."""
    paths = [f"{directory}/{step.name}/{name}.npy" for name in names]
    with subprocess.Popen([program(), "cat", "--format", "npy", *paths], stdout=subprocess.PIPE) as cat:
        for name in names:
            try:
                np.lib.format.read_magic(cat.stdout)
                shape, _, dtype = np.lib.format.read_array_header_1_0(cat.stdout)
            except ValueError as e:
                raise EOFError(f"{step.name}/{name}: can't be read for its histogram") from e
            left = math.prod(shape)
            each = -(-left // MOST_VALUES)
            while math.gcd(each, shape[-1]) > 1:  # or it would see some columns only
                each += 1
            while left:
                piece = np.frombuffer(cat.stdout.read(min(left, MOST_VALUES) * dtype.itemsize), dtype)
                if not piece.size:
                    raise EOFError(f"{step.name}/{name}: can't be read for its histogram")
                first = (left - math.prod(shape)) % each  # the next of every EACH values
                left -= piece.size
                if dtype.names:  # bfloat16, the upper half of a float
                    piece = (piece["bfloat16"].astype(np.uint32) << 16).view(np.float32)
                with np.errstate(invalid="ignore"):  # there are NaNs that say so when they are converted
                    yield name, piece[first::each].astype(np.float64)


# --- layers ------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Row:
    """A layer, as it is drawn: one variable or several."""
    label: str
    names: list


def not_drawn(name, variable, names):
    """Why a variable is no weight; None: it is one."""
    scopes = name.split("/")
    below = any("/".join(scopes[:n]) in names for n in range(1, len(scopes)))  # as kernel/Momentum below kernel
    if below or "OPTIMIZER_SLOT" in name or scopes[0] == "optimizer" and "_trainable_variables" not in scopes:
        return "of the optimizer"
    if not re.match(r"DT_(DOUBLE|HALF|.*FLOAT)", variable["dtype"]):
        return "not of floats"
    if not variable.get("shape"):
        return "without dimensions"
    return None if math.prod(variable["shape"]) else "without values"


def fold(names, sizes):
    """The rows that the variables NAMES make, and a sentence that says how they were folded, or ''."""
    names = sorted(names, key=by_number)
    depths = range(max((name.count("/") + 1 for name in names), default=1), 0, -1)
    folds = [{} for _ in depths]
    for rows, depth in zip(folds, depths):
        for name in names:
            rows.setdefault("/".join(name.split("/")[:depth]), []).append(name)
    fits = next((i for i, rows in enumerate(folds) if len(rows) <= MOST_ROWS), len(folds))
    if fits == 0:
        return [Row(label, [label]) for label in names], ""
    if fits < len(folds) and len(folds[fits]) > MOST_ROWS // 4:
        rows = folds[fits]
        told = f"one for each scope, {many(depths[fits], 'name')} deep."
    else:  # that would be next to nothing
        rows = folds[fits - 1]
        large = sorted(rows, key=lambda label: -sum(sizes[n] for n in rows[label]))[:MOST_ROWS - 1]
        rest = [name for label, row in rows.items() if label not in large for name in row]
        told = f"the largest {len(large)}, and the {len(rest):,} variables of all others as one."
        rows = {label: row for label, row in rows.items() if label in large} | {"all others": rest}
    return [Row(label if row == [label] else f"{label} ({len(row):,})", row) for label, row in rows.items()], \
        f"{many(len(names), 'variable')} are drawn as {many(len(rows), 'row')}: {told}"


def layers(steps):
    """The rows of all steps, how they were folded, and what is in none of them: reason → how many variables."""
    everything, left_out = {}, {}
    for step in steps:
        everything |= step.variables
    weights = []
    for name, variable in everything.items():
        why = not_drawn(name, variable, everything)
        if why:
            left_out[why] = left_out.get(why, 0) + 1
        else:
            weights.append(name)
    rows, told = fold(weights, {n: math.prod(everything[n]["shape"]) for n in weights})
    return rows, told, left_out


# States of a layer in a step that are no number.
NAN, UNREADABLE, ABSENT, NEW = "NaN or infinite", "can't be read", "not in this step", "new in this step"


def movement(step, before, row):
    """How far a row moved: ‖b − a‖ / ‖a‖ over its variables; or one of the states above."""
    there = [n for n in row.names if n in step.variables]
    if not there:
        return ABSENT
    if any("error" in v.get(n, {}) for n in there for v in (step.variables, before.variables)):
        return UNREADABLE
    if step.nans(there):
        return NAN
    both = [n for n in there if n in before.variables and step.differences.get(n, {}).get("kind") in (None, "changed")]
    if not both:
        return NEW
    moved = []
    for name in both:
        change = step.differences.get(name)
        if change:  # from zeros: all that is there now
            relative = change.get("relative")
            moved.append(step.norm(name) if relative is None else relative * before.norm(name))
    distance, norm = math.hypot(*moved), math.hypot(*(before.norm(n) for n in both))
    return distance / norm if norm else math.inf if distance else 0.0


def compared(steps):
    """The steps that have one before them, each with that."""
    named = {s.name: s for s in steps}
    return [(s, named[s.against]) for s in steps if s.against]
