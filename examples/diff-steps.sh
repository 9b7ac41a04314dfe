#!/usr/bin/env bash
# Which variables differ between two steps: diff-steps.sh MOUNT/model-100 MOUNT/model-200
#
# Compares types, shapes and checksums, all of which stand in the index: no tensor is read, however large
# the steps are. Exits 0 if the steps agree, 1 if not, 2 if that can't be told. A V1 step has no checksums:
# `diff -rq` compares the bytes of any.
set -euo pipefail

[ $# = 2 ] || {
  echo "usage: diff-steps.sh STEP STEP" >&2
  exit 2
}

# A line for each variable: its path, then its attributes but for the shard.
listing() {
  (cd "$1" && getfattr -R -d . 2>/dev/null) |
    awk -v RS= -F '\n' '{
      line = substr($1, length("# file: ") + 1) "\t"
      for (i = 2; i <= NF; i++)
        if ($i !~ /^user\.ckptfs\.(key|shard)=/)
          line = line " " $i
      if (line !~ /user\.ckptfs\.crc32c=/) {
        print "diff-steps.sh: " substr($1, length("# file: ") + 1) " has no checksum" >"/dev/stderr"
        exit 2
      }
      print line
    }' | sort
}

old=$(listing "$1") || exit 2
new=$(listing "$2") || exit 2
differences=$(comm --output-delimiter=$'\t' -3 <(cat <<<"$old") <(cat <<<"$new") |
  awk -F '\t' '{
    old = $1 != ""
    path = old ? $1 : $2
    seen[path] = seen[path] (old ? "-" : "+")
  }
  END {
    for (path in seen)
      print (length(seen[path]) == 2 ? "changed" : seen[path] == "-" ? "removed" : "added") "\t" path
  }' | sort -k 2)
[ -n "$differences" ] || exit 0
printf '%s\n' "$differences"
exit 1
