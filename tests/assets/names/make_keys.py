#!/usr/bin/env python3
"""Makes keys.hex: the keys of real checkpoints, one a line, `STEP HEX-DIGITS-OF-THE-KEY`.

    make_keys.py NAMES.expected.json > keys.hex

NAMES.expected.json lists what TensorFlow read from checkpoints that it had saved under names that make poor
paths; a byte that is not UTF-8 stands there as Python's surrogateescape.
"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    steps = json.load(file)["steps"]
for name, step in steps.items():
    assert step["keys_listed"] == "all" and len(step["keys"]) == step["keys_count"]
    for key in step["keys"]:
        print(name, key.encode("utf-8", "surrogateescape").hex())
