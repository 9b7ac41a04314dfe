#!/usr/bin/env bash
# The rules of tests/structure.py hold for src/; and on a made-up tree that breaks each of them it says so.
set -Eeuo pipefail

srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
builddir=$(cd "${builddir:-.}" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/ckptfs.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'echo "FAIL: $0, line $LINENO: $BASH_COMMAND" >&2' ERR

for tool in python3 nm "${CC:=cc}"; do
  command -v "${tool%% *}" >/dev/null || {
    echo "SKIP: no $tool" >&2
    exit 77
  }
done

# file NAME: a file of the made-up tree, from stdin; a .c file is compiled, too.
file() {
  local at=$tmp/tree/src/$1
  mkdir -p "${at%/*}" "$tmp/build/src/${1%/*}"
  cat >"$at"
  case $1 in
    *.c) $CC -I"$tmp/tree/src" -c "$at" -o "$tmp/build/src/${1%/*}/libmade_a-$(basename "$1" .c).o" ;;
  esac
}

# c_function NAME N: a function of N lines.
c_function() {
  local n
  printf 'int %s(int n);\nint %s(int n)\n{\n' "$1" "$1"
  for ((n = 4; n < $2; n++)); do printf '\tn++;\n'; done
  printf '\treturn n;\n}\n'
}

# says LINE...: these are the offences in the made-up tree, and the exit status tells that there are any.
says() {
  local status=0
  python3 "$srcdir/tests/structure.py" "$tmp/tree" "$tmp/build" >"$tmp/out" || status=$?
  [ "$status" = "$(($# != 0))" ] || echo "FAIL: exit status $status" >&2
  printf '%s\n' "$@" | sed '/^$/d' | diff - "$tmp/out" >&2
  [ "$status" = "$(($# != 0))" ]
}

# --- a house in order -------------------------------------------------------------------------------------

file base/io.h <<<'void io(void);'
file base/io.c <<'END'
#include "base/io.h"
#include <stdio.h>
static void same_name(void)
{
}
void io(void)
{
	same_name();
	puts("of a library");
}
END
file view/view.h <<<'void view(void);'
file view/view.c <<'END'
#include "base/io.h"
#include "view/view.h"
static void same_name(void)
{
	io();
}
void view(void)
{
	same_name();
}
END
file draft/draft_state.h </dev/null
file draft/items.h <<<'#include "draft/draft_state.h"'
file draft/draft.h </dev/null
file commit/plan.h <<<'#include "draft/items.h"'
file view/node.h <<<'#include "draft/draft.h"'
file cli/mount.c <<'END'
#include "view/view.h"
int main(void)
{
	view();
}
END
file cli/umount.c <<'END'
int main(void)
{
}
END
says

# --- each rule broken -------------------------------------------------------------------------------------

file base/up.h <<<'#include "view/view.h"'
file base/up.c <<'END'
void view(void);
/* view() is called */
void up(void)
{
	view();
}
END
file check/check.c <<'END'
void commit(void);
void check(void)
{
	commit();
}
END
file commit/commit.c <<'END'
void commit(void)
{
}
END
file step/one.c <<'END'
void two(void);
void one(void)
{
	two();
}
END
file step/two.c <<'END'
void three(void);
void two(void)
{
	three();
}
END
file step/three.c <<'END'
void one(void);
void three(void)
{
	one();
}
END
file step/a.h <<<'#include "step/b.h"'
file step/b.h <<<'#include "step/a.h"'
file attic/old.h </dev/null
file view/peeks.h <<<'#include "draft/draft_state.h"'
file view/peeks_by_another.h <<<'#include "commit/plan.h"'
{
  c_function at_limit 70
  echo '/* This comment is not counted. */'
  c_function over_limit 71
} | file format/functions.c
printf '/* %s */\n' {1..600} | file format/at_limit.h
printf '/* %s */\n' {1..601} | file format/over_limit.h
for n in {1..19}; do file "message/m$n.c" </dev/null; done
rm "$tmp/build/src/message/libmade_a-m7.o"
says "src/attic: not one of cli verb make edit tool fuse raw view check commit dedup draft directory safetensors step format message zip base" \
  "src/message: 19 .c files, more than 18" \
  "src/format/functions.c:74: over_limit has 71 lines, more than 70" \
  "src/format/over_limit.h: 601 lines, more than 600" \
  "src/base/up.h:1: includes view/view.h, which is not behind base in the order" \
  "src/step/a.h:1: includes step/b.h, which leads back: a circle" \
  "src/step/b.h:1: includes step/a.h, which leads back: a circle" \
  "src/base/up.c:5: uses view of view/view.c, which is not behind base in the order" \
  "src/check/check.c:4: uses commit of commit/commit.c, which is not behind check in the order" \
  "src/step/one.c:4: uses two of step/two.c, which leads back: a circle" \
  "src/step/three.c:4: uses one of step/one.c, which leads back: a circle" \
  "src/step/two.c:4: uses three of step/three.c, which leads back: a circle" \
  "src/view/peeks.h:1: includes draft/draft_state.h, by which it knows draft/draft_state.h: that is for draft and commit alone" \
  "src/view/peeks_by_another.h:1: includes commit/plan.h, by which it knows draft/draft_state.h: that is for draft and commit alone" \
  "src/message/m7.c: not compiled in $tmp/build"

# --- src/ itself ------------------------------------------------------------------------------------------

python3 "$srcdir/tests/structure.py" "$srcdir" "$builddir"
