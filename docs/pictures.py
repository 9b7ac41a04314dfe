#!/usr/bin/env python3
"""Makes the pictures of README.md: docs/pictures.py, with TensorFlow, Matplotlib and ckptfs in PATH.

report-*.png are of the page that examples/report.py makes of the run that examples/diverging.py trains. notebook.png is an output
of examples/notebook.ipynb, which `jupyter nbconvert --to notebook --execute --inplace notebook.ipynb` fills.
"""
import base64
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from PIL import Image

docs = pathlib.Path(__file__).resolve().parent
examples = docs.parent / "examples"


def keep(name, data):
    """Few colours make a small file."""
    picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(docs / name, optimize=True)


with tempfile.TemporaryDirectory() as work:
    subprocess.run([sys.executable, examples / "diverging.py", f"{work}/run"], check=True)
    subprocess.run([sys.executable, examples / "report.py", f"{work}/run", "-o", f"{work}/page.html"], check=True)
    pictures = re.findall('src="data:image/png;base64,([^"]*)"', pathlib.Path(f"{work}/page.html").read_text("utf-8"))
keep("report-changes.png", pictures[1])
keep("report-histograms.png", pictures[2])

outputs = [o for c in json.loads((examples / "notebook.ipynb").read_text("utf-8"))["cells"] for o in c.get("outputs", [])]
keep("notebook.png", next(o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})))
