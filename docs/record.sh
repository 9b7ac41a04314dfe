#!/usr/bin/env bash
# Prints docs/recording.svg, a terminal in which the commands below were run: docs/record.sh >docs/recording.svg
#
# mount.ckptfs and a python3 with NumPy are taken from PATH. The output is that of a real run. The pace is made up, so that each
# run gives the same file: a command comes two seconds after the one before it, and its output at once.
set -euo pipefail

examples=$(cd "$(dirname "$0")/../examples" && pwd)
work=$(mktemp -d)

clean_up() {
  ! mountpoint -q "$work/ckpt" || fusermount3 -u "$work/ckpt" || umount -l "$work/ckpt"
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT

commands() {
  cat <<'END'
mkdir ckpt && mount.ckptfs ./net ckpt
ls ckpt ckpt/model-200
head -4 ckpt/model-200/variables.tsv | cut -f 1-3
python3 -c 'import numpy as np; print(np.load("ckpt/model-200/output/bias.npy"))'
cp ckpt/model-100/output/bias.npy ckpt/model-200/output/bias.npy
sync ckpt/model-200
ls ckpt
diff -rq ckpt/model-200 ckpt/model-201
umount ckpt
END
}

# session: a script that prints each command and runs it. Only diff may fail, for it has differences to show.
session() {
  echo 'set -e; stty cols 100'
  commands | while IFS= read -r line; do
    printf 'printf "$ %%s\\n" %q\n%s' "$line" "$line"
    case $line in
      'diff '*) echo ' || [ $? = 1 ]' ;;
      *) echo ;;
    esac
  done
}

# to_svg: a text element for each line; a renderer without animations shows all of them.
to_svg() {
  awk '
    BEGIN {
      time = -1
    }
    {
      gsub(/\r/, "")
      while ((at = index($0, "\t")) > 0)
        $0 = substr($0, 1, at - 1) sprintf("%" (8 - (at - 1) % 8) "s", "") substr($0, at + 1)
      if (/^\$ /)
        time += 2
      gsub(/&/, "\\&amp;"); gsub(/</, "\\&lt;"); gsub(/>/, "\\&gt;")
      lines[NR] = sprintf("<text x=\"16\" y=\"%d\" class=\"%s\" style=\"animation-delay:%ds\">%s</text>", 16 + NR * 18,
        /^\$ / ? "command" : "output", time, $0)
    }
    END {
      height = NR * 18 + 32
      printf "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" width=\"860\" height=\"%d\" viewBox=\"0 0 860 %d\">\n", height, height
      print "<title>A checkpoint is mounted, looked at and changed</title>"
      print "<style>"
      print "@keyframes appear { from { opacity: 0 } to { opacity: 0 } }"
      print "text { font: 14px monospace; white-space: pre; animation: appear 0.01s backwards }"
      print ".command { fill: #ffffff; font-weight: bold }"
      print ".output { fill: #b8c4ce }"
      print "</style>"
      printf "<rect width=\"860\" height=\"%d\" rx=\"8\" fill=\"#1d2329\"/>\n", height
      for (i = 1; i <= NR; i++)
        print lines[i]
      print "</svg>"
    }'
}

cp -r "$examples/net" "$work/"
chmod -R u+w "$work/net"
session >"$work/session"
# script(1) gives the commands a terminal, on which ls prints columns.
(cd "$work" && LC_ALL=C.UTF-8 script -qec "bash session" /dev/null </dev/null >"$work/output") || {
  cat "$work/output" >&2
  exit 1
}
to_svg <"$work/output"
