#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# circles.sh - files of the product have an order: none calls one that calls it, by whatever way round. First it sees that planted
# circles are found.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
circles() { PYTHONDONTWRITEBYTECODE=1 "$BF_SOURCE/tools/circles.py" "$@"; }

# planted STATUS TEXT: of the tree as it is now.
planted() {
    status=0
    rm -rf made
    mkdir made
    circles "$PWD/a tree" commands made >said 2>&1 || status=$?
    [ "$status" -eq "$1" ] && grep -qF -- "$2" said || { echo "status $status, not $1 with \"$2\", of:"; cat said; exit 1; }
}
mkdir -p "a tree/common/base" "a tree/broker"
echo 'void up(void); void down(void) { }' >"a tree/common/base/down.c"
echo 'void down(void); void up(void) { down(); }' >"a tree/common/base/up.c"
echo 'void up(void); int main(void) { up(); }' >"a tree/broker/main.c"
{
    echo '['
    for f in common/base/down.c common/base/up.c broker/main.c; do
        printf '{ "directory": "%s", "file": "%s/a tree/%s", "command": "cc -DX=\\"y\\" -O2 -c \\"%s\\"" }%s\n' "$PWD" "$PWD" "$f" "$f" ,
    done | sed '$s/,$//'
    echo ']'
} >commands
planted 0 '3 files, 0 of them in 0 circles'
echo 'void up(void); static void turn(void) { up(); } void down(void) { turn(); }' >"a tree/common/base/down.c"
planted 1 'call each other in a circle: common/base/down.c common/base/up.c'
echo 'void up(void); void down(void) { void (*f)(void) = up; f(); }' >"a tree/common/base/down.c"
planted 0 '3 files, 0 of them in 0 circles'
echo 'void up(void); static inline void turn(void) { up(); }' >"a tree/common/base/turn.h"
printf '#include "turn.h"\nvoid down(void) { turn(); }\n' >"a tree/common/base/down.c"
planted 1 'call each other in a circle: common/base/down.c common/base/up.c'
echo 'void enter(void); void down(void) { enter(); }' >"a tree/common/base/down.c"
echo 'void up(void); void enter(void) { up(); } int main(void) { up(); }' >"a tree/broker/main.c"
planted 1 'call each other in a circle: broker/main.c common/base/down.c common/base/up.c'
sed -i '/up\.c/d' commands
planted 1 'says nothing of common/base/up.c'

mkdir made.product
circles "$BF_SOURCE" "$BF_BUILD/compile_commands.json" made.product
rm -rf made.product
