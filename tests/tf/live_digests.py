#!/usr/bin/env python3
"""Compares mounted checkpoints with what TensorFlow reads now.

    live_digests.py SOURCE MOUNTED [--skip-v1]

Takes every checkpoint in SOURCE and the folders below it.  What TensorFlow
itself can't read is named and left out.  Prints what differs, and then exits
with 1.
"""

import argparse
import os
import sys

from digests import compare_step

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "assets", "fixtures"))
import tf_expected  # noqa: E402


def describe(directory, prefix):
    """The step as in expected.json, or None where TensorFlow refuses it."""
    path = os.path.join(directory, prefix)
    try:
        return {**tf_expected.describe_step(path), "prefix": prefix}
    except Exception as error:  # whatever it raises: there is nothing to compare with
        print(f"{path}: TensorFlow can't read it: {tf_expected.short_message(error)}")
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("mounted")
    parser.add_argument("--skip-v1", action="store_true", help="leave out steps of the V1 format")
    options = parser.parse_args()
    good, bad = 0, 0
    for directory, folders, _ in os.walk(options.source):
        folders.sort()
        mounted = os.path.join(options.mounted, os.path.relpath(directory, options.source))
        for prefix in tf_expected.find_prefixes(directory):
            step = describe(directory, prefix)
            if step is None or (options.skip_v1 and step["format"] == "v1"):
                continue
            if compare_step(mounted, tf_expected.step_name(prefix), step):
                good += 1
            else:
                print(f"in {directory}")
                bad += 1
    print(f"{good} steps agree, {bad} differ")
    sys.exit(0 if good and not bad else 1)


if __name__ == "__main__":
    main()
