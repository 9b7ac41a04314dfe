"""Runs the tests of a script that are named, or all, and tells how each went."""

import sys
import time
import traceback


def run(tests, names):
    failed = []
    for test in tests:
        if names and test.__name__ not in names:
            continue
        start = time.monotonic()
        try:
            test()
        except Exception:
            traceback.print_exc()
            failed.append(test.__name__)
        print(f"{test.__name__}: {'FAILED' if test.__name__ in failed else 'ok'}, {time.monotonic() - start:.1f} s", flush=True)
    sys.exit(bool(failed))
