#!/usr/bin/env bash
# What becomes of a file that is open when its name goes away, its draft ends or its step is replaced: see open_files.py.
. "$(dirname "$0")/../lib/mount.sh"
need_python
[ "$(id -u)" = 0 ] || skip_optional "only root unmounts by umount(8)"

mkdir "$tmp/cells"
"$CKPTFS_PYTHON" "$srcdir/tests/mount/open_files.py" "$builddir" "$fixtures" "$tmp/cells" "$@"
