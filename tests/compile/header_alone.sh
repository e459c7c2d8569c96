#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The public header compiles alone, without a warning: C11 and C++11, 14, 17, 20, gcc and clang, also with -pedantic.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
file=$BF_SOURCE/tests/compile/header_alone.c
failed=0
try() {
    command -v "$1" >/dev/null 2>&1 || return 0
    if ! "$@" -Wall -Wextra -Werror -Wundef "-I$BF_SOURCE/libclient/include" -c "$file" -o /dev/null; then
        echo "refused by: $*"
        failed=1
    fi
}
for flags in "-std=c11" "-std=gnu11" "-std=c17" "-std=c11 -pedantic" "-std=gnu11 -O2 -Wshadow -Wstrict-prototypes"; do
    # shellcheck disable=SC2086
    try gcc $flags -x c
    # shellcheck disable=SC2086
    try clang $flags -x c
done
# Names that programs, and <complex.h>, define before they include it.
names='-DA=1 -DB=1 -DC=1 -DE=1 -DF=1 -DI=1 -DK=1 -DM=1 -DN=1 -DO=1 -DP=1 -DR=1 -DS=1 -DT=1 -DU=1 -DV=1 -DX=1 -DY=1'
# shellcheck disable=SC2086
try gcc -std=c11 $names -x c
# shellcheck disable=SC2086
try g++ -std=c++17 $names -x c++
for standard in c++11 c++14 c++17 c++20; do
    try g++ "-std=$standard" -pedantic -x c++
    try clang++ "-std=$standard" -pedantic -x c++
done
# Where it cannot be compiled it says what is needed, first.
too_old() {
    says=$1
    shift
    ! "$@" "-I$BF_SOURCE/libclient/include" -c "$file" -o /dev/null 2>messages || { echo "accepted by: $*"; failed=1; }
    grep -m 1 'error:' messages | grep -qF "$says" || { echo "$* does not begin with '$says'"; failed=1; }
}
too_old 'needs C11' gcc -std=c89 -x c
too_old 'needs C++11' g++ -std=c++98 -x c++
exit $failed
