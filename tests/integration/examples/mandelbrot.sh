#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# mandelbrot writes a PNG of 800 x 600 that a reader can decode, the same every time, and reports a file it cannot write.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

cd "$tmp" || exit
"$examples/mandelbrot" one.png > out
echo 'one.png: 800 x 600 in 192 tiles' > expected
same mandelbrot expected out
[ "$(head -c 8 one.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || fail 'not a PNG'
[ "$(tail -c +17 one.png | head -c 8 | od -An -tx1 | tr -d ' \n')" = 0000032000000258 ] || fail 'not 800 x 600'
BFORK_PROFILE=serial: "$examples/mandelbrot" two.png > out
cmp one.png two.png || fail 'the picture drawn in this process differs'
rc=0
"$examples/mandelbrot" "$tmp/absent/three.png" > out 2> errors || rc=$?
[ "$rc" = 1 ] || fail "a file that cannot be written: exit status $rc instead of 1"
grep -q 'cannot write' errors || fail 'a file that cannot be written is not reported'
