#!/usr/bin/env bash
# examples/report.py and examples/notebook.ipynb: what their pages and pictures say is what NumPy says.
. "$(dirname "$0")/../lib/mount.sh"
need_python
need fusermount3
"$CKPTFS_PYTHON" -c 'import matplotlib' 2>/dev/null || skip "no matplotlib"

PATH=$builddir:$PATH MPLBACKEND=agg PYTHONDONTWRITEBYTECODE=1 \
  "$CKPTFS_PYTHON" "$srcdir/tests/tf/report.py" "$builddir" "$srcdir" "$fixtures" "$tmp" "$@"
