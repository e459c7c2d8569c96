#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Every file of refused/ compiles as it stands and is refused with its misuse (-DWRONG): by gcc, and by clang where that is installed.
set -eu
include=$BF_SOURCE/libclient/include
failed=0
compilers=gcc
! command -v clang >/dev/null 2>&1 || compilers="gcc clang"
for compiler in $compilers; do
    for file in "$BF_SOURCE"/tests/compile/refused/*.c; do
        set -- -std=c11 -O1 -Wall -Werror "-I$include" -c "$file" -o /dev/null
        if ! "$compiler" "$@" 2>messages; then
            echo "$compiler does not compile $file without the misuse:"
            cat messages
            failed=1
        fi
        if "$compiler" -DWRONG "$@" 2>messages; then
            echo "$compiler accepts $file with -DWRONG"
            failed=1
        elif ! grep -q 'error:' messages; then
            echo "$compiler fails on $file, but not with an error:"
            cat messages
            failed=1
        fi
    done
done
exit $failed
