#!/usr/bin/env python3
"""Writes a page about a training run: report.py DIR [-o PAGE]

DIR is a checkpoint directory, or where one is mounted. The page is one HTML file with its pictures in it: when the steps were
saved and how large they are, how far each layer moved between steps, histograms of its weights, and where there are NaNs.

Needs NumPy, Matplotlib and `ckptfs`, which is looked for in PATH and then in ../build. A mount is not needed: of a mounted
directory the saved steps are shown, and what was not committed is not.

Exits 0, or 1 if something could not be read (the page says what), or 2 if there is no page.
"""
import argparse
import base64
import datetime
import html
import io
import math
import pathlib
import sys

from report_pictures import count, draw_histograms, draw_moves, draw_sizes, pick, saved_at_once
from report_steps import NoReport, compared, directory_of, layers, movement, read_steps
from report_text import by_number, listed, many, plain, size_text, times_norm

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 58rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.6rem }} h2 {{ font-size: 1.2rem; margin-top: 2.5rem }}
figure {{ margin: 0 }} img {{ width: 100% }} figcaption, .note {{ color: #555; font-size: .9rem }}
table {{ border-collapse: collapse; font-size: .9rem }}
th, td {{ text-align: right; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid #ddd }}
th:first-child, td:first-child, td.text {{ text-align: left; overflow-wrap: anywhere }}
.bad {{ color: #b34700; font-weight: bold }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def text(name):
    return html.escape(plain(name))


def picture(figure, title, caption):
    """A section with a picture in it. TITLE and CAPTION are plain text."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130)
    data = base64.b64encode(out.getvalue()).decode()
    title, caption = text(title), text(caption)
    return f'<h2>{title}</h2>\n<figure><img alt="{title}: {caption}" src="data:image/png;base64,{data}">\n' \
           f"<figcaption>{caption}</figcaption></figure>"


def table(head, lines):
    """HEAD and the cells of LINES are plain text; a cell that is a tuple is (text, attributes)."""
    out = ["<table><tr>" + "".join(f"<th>{text(h)}</th>" for h in head) + "</tr>"]
    for line in lines:
        cells = [c if isinstance(c, tuple) else (c, "") for c in line]
        out.append("<tr>" + "".join(f"<td{attributes}>{text(str(c))}</td>" for c, attributes in cells) + "</tr>")
    return "\n".join(out + ["</table>"])


def steps_table(steps):
    lines = []
    for step in steps:
        if step.error:
            lines.append([step.name, (f"can't be read: {step.error}", ' class="bad text" colspan="8"')])
            continue
        kinds = [d["kind"] for d in step.differences.values()]
        bad = step.nans(step.variables)
        lines.append([step.name, f"{datetime.datetime.fromtimestamp(step.saved):%Y-%m-%d %H:%M:%S}", len(step.variables),
                      size_text(step.size), size_text(step.own)] +
                     ([sum(k in ("changed", "retyped") for k in kinds), kinds.count("added"), kinds.count("removed")]
                      if step.against else ["–"] * 3) + [(f"{bad:,}", ' class="bad"') if bad else 0])
    return table(["step", "saved", "variables", "size", "of its own", "changed", "added", "removed", "NaN, Inf"], lines)


def findings(steps, rows, pairs, moves):
    """Sentences about what stands out; the first word of a bad one is marked."""
    good = [s for s in steps if not s.error]
    out = []
    bad = [s for s in good if s.nans(s.variables)]
    if bad:
        names = [n for n in sorted(bad[0].variables, key=by_number) if bad[0].nans([n])]
        out.append(("NaN", f" or infinite values are in {len(bad)} of {len(good)} steps. They are first in {bad[0].name}: "
                           f"{listed(names)}."))
    else:
        out.append(("", "No value that could be read is NaN or infinite." if any("error" in v for s in good for v in
                        s.variables.values()) else "No value is NaN or infinite."))
    if pairs and rows:
        still = [r.label for r, line in zip(rows, moves) if all(m == 0 for m in line)]
        if still:
            out.append(("", f"These never changed: {listed(still, 10)}."))
        numbers = [(m, r.label, step) for r, line in zip(rows, moves) for m, (step, _) in zip(line, pairs)
                   if not isinstance(m, str) and 0 < m < math.inf]
        if numbers:
            most = max(numbers, key=lambda n: n[0])
            out.append(("", f"The largest change: {most[1]} moved by {times_norm(most[0])} from "
                            f"{most[2].against} to {most[2].name}."))
    for kind in ("added", "removed"):
        changed = [f"{s.name} ({sum(d['kind'] == kind for d in s.differences.values())})" for s in good
                   if any(d["kind"] == kind for d in s.differences.values())]
        if changed:
            out.append(("", f"Variables were {kind} in {listed(changed)}."))
    return out


def overview(steps, good):
    told = many(len(steps), "step") + f", {steps[0].name}" + (f" to {steps[-1].name}" if len(steps) > 1 else "")
    if good:
        told += f"; in the last one {many(len(good[-1].variables), 'variable')}, {size_text(good[-1].size)}"
    return told + "."


def page(directory):
    """The page's HTML, and what could not be read."""
    steps, complaints = read_steps(directory)
    good = [s for s in steps if not s.error]
    name = directory.resolve().name or str(directory)
    rows, folded, left_out = layers(good)
    pairs = compared(good)
    moves = [[movement(step, before, row) for step, before in pairs] for row in rows]
    body = [f"<h1>{text(name)}</h1>"]
    pictures = []
    if good:
        caption = "Each bar is a step: its index and its shards."
        if len(good) > 1 and saved_at_once(good):
            caption += " All have the same time, as in a copy, so there is no picture of the times."
        pictures.append(picture(draw_sizes(good), "Steps and sizes", caption))
    if rows and pairs:
        pictures.append(picture(draw_moves(pairs, rows, moves), "What changed between steps",
                                "‖new − old‖ / ‖old‖ of each layer's weights, on a logarithmic scale. A step that can't be read "
                                "is passed over."))
    if rows:
        shown = pick(good, [s for s in good if s.nans(n for r in rows for n in r.names)])
        counted, spans, more = count(directory, shown, rows)
        complaints += more
        caption = "Each line is a step, the newest lowest; its height is the share of values. All lines of a layer have the " \
                  "same scale. A dashed line says that values are NaN or infinite; “outside” are values beyond the picture."
        if len(shown) < len(good):
            caption += f" {len(shown)} of {len(good)} steps are shown."
        pictures.append(picture(draw_histograms(shown, rows, counted, spans), "Histograms of the weights", caption))
    body.append(f"<p>{text(overview(steps, good))}</p>")
    items = findings(steps, rows, pairs, moves) if good else []
    items += [("Can't be read: ", c) for c in complaints[:20]]
    items += [("", f"{len(complaints) - 20:,} more can't be read.")] if len(complaints) > 20 else []
    if good and not pairs:
        items.append(("", "No steps are compared: that takes two whose names differ in the number at their end."))
    items += [("", folded)] if folded else []
    if left_out:
        counts = ", ".join(f"{many(n, 'variable')} {why}" for why, n in left_out.items())
        items.append(("", f"Not drawn as layers: {counts}."))
    body.append("<ul>" + "".join("\n<li>" + (f'<span class="bad">{text(mark)}</span>' if mark else "") + text(told) + "</li>"
                                 for mark, told in items) + "\n</ul>")
    body += pictures + ["<h2>All steps</h2>", steps_table(steps)]
    return PAGE.format(title=text(name), body="\n".join(body)), complaints


def main(words=None):
    parser = argparse.ArgumentParser(description="Writes a page about a training run, with pictures in it.")
    parser.add_argument("directory", metavar="DIR", help="a checkpoint directory, or where one is mounted")
    parser.add_argument("-o", metavar="PAGE", dest="page", default="report.html", help="the file; report.html without it")
    arguments = parser.parse_args(words)
    try:
        out, complaints = page(directory_of(arguments.directory))
        pathlib.Path(arguments.page).write_text(out, encoding="utf-8")
    except (NoReport, OSError) as e:
        print(f"report.py: {e}", file=sys.stderr)
        return 2
    for complaint in complaints:
        print(f"report.py: {plain(complaint)}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
