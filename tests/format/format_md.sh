#!/usr/bin/env bash
# The ```hex blocks of docs/format.md are the very bytes of the fixture that each names, all of them.
set -euo pipefail

srcdir=$(cd "${srcdir:-$(dirname "$0")/../..}" && pwd)
doc=$srcdir/docs/format.md

# Prints the bytes of the block for FILE, and ends if a line's offset is not where it stands.
bytes_of_block() {
  awk -v start="\`\`\`hex $1" '
    $0 == start { inside = 1; next }
    /^```/ { inside = 0 }
    inside {
      sub(/;.*/, "")
      if ($1 != sprintf("%04x", n)) {
        print "line " NR ": offset " $1 ", expected " sprintf("%04x", n)
        exit
      }
      for (i = 2; i <= NF; i++)
        if ($i != "|") {
          print $i
          n++
        }
    }' "$doc"
}

files=$(sed -n 's/^```hex //p' "$doc")
[ "$(wc -l <<<"$files")" = 2 ]
for file in $files; do
  diff -u <(od -An -v -tx1 -w1 "$srcdir/tests/assets/fixtures/$file" | tr -d ' ') <(bytes_of_block "$file")
done
