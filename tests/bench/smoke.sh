#!/usr/bin/env bash
# The bench does what it is asked: one row that takes no peers, no root and little time. How fast that is is not tested.
. "$(dirname "$0")/../lib/mount.sh"
need python3 findmnt

bench() {
  CKPTFS_BUILD=$builddir CKPTFS_BENCH_OUT=$tmp/measured CKPTFS_BENCH_DATA='' TMPDIR=$tmp python3 "$srcdir/tests/bench/main.py" "$@"
}

a_row_is_measured_and_written_down() {
  check_status 0 bench --quick steps
  grep -q '^first ls of 1,000 steps, s ' "$tmp/out" || fail "does not print the row: $(cat "$tmp/out")"
  grep -q '^| first ls of 1,000 steps, s | [0-9.]* ([0-9.]*–[0-9.]*) | ls of the directory [0-9.]* (' "$tmp/measured/table.md" ||
    fail "no such row in the table: $(cat "$tmp/measured/table.md")"
  python3 - "$tmp/measured/results.json" <<'EOF'
import json
import sys

lines = json.load(open(sys.argv[1], encoding='utf-8'))['lines']
assert [line['row'] for line in lines] == ['steps'] * 3, lines
for numbers in (numbers for line in lines for numbers in line['sides'].values()):
    assert len(numbers) == 3 and min(numbers) > 0, lines
EOF
}

nothing_is_left() {
  [ -z "$(find "$tmp" -maxdepth 1 -name 'ckptfs-bench.*')" ] || fail "leaves $(ls "$tmp")"
}

an_unknown_row_is_refused() {
  check_status 2 bench no-such-row
  grep -q 'there is no no-such-row' "$tmp/err" || fail "does not say which: $(cat "$tmp/err")"
}

# The median of ours beside that of the side which the target names.
a_verdict_is_right() {
  PYTHONPATH=$srcdir/tests/bench python3 - <<'EOF'
from measure import alternate
from report import Line, Target

def verdict(ours, theirs, **target):
    return Line('', {'ckptfs': ours, 'disk': theirs}, target=Target(**target)).verdict()

assert verdict([3, 1, 2], [1, 9, 1], factor=2, than='disk') == 'ok'
assert verdict([3, 1, 2], [1, 9, 1], factor=1.9, than='disk') == 'short'
assert verdict([2], [1], factor=2, than='disk', at_least=True) == 'ok'
assert verdict([2], [1], factor=2.1, than='disk', at_least=True) == 'short'
assert verdict([2], [1], factor=1) == 'short'
assert verdict([2], [3], factor=2) == 'ok'
assert verdict([2], [3], factor=2, than='squashfuse') == ''  # it is not there

called = []
side = lambda name, number: lambda: called.append(name) or {'cold': number, 'warm': number + 1}
figures = alternate({'ckptfs': side('a', 1), 'disk': side('b', 5)}, 2)
assert called == ['a', 'b', 'b', 'a'], called
assert figures == {'cold': {'ckptfs': [1, 1], 'disk': [5, 5]}, 'warm': {'ckptfs': [2, 2], 'disk': [6, 6]}}, figures
EOF
}

run_tests a_row_is_measured_and_written_down nothing_is_left an_unknown_row_is_refused a_verdict_is_right
