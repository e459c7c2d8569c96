#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# A compiler that makes 32-bit programs is refused when the tree is configured, with the reason. (On x86_64: others have no -m32.)
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
[ "$(uname -m)" = x86_64 ] || exit 0
# Without linking: there need be no 32-bit libraries here.
status=0
CFLAGS=-m32 CXXFLAGS=-m32 cmake -G Ninja -S "$BF_SOURCE" -B build -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY >said 2>&1 || status=$?
[ "$status" -ne 0 ] || { echo 'a 32-bit build is configured'; exit 1; }
tr -s ' \n' ' ' <said | grep -q 'built for 64-bit machines .* this compiler makes 32-bit programs: ' || { cat said; exit 1; }
