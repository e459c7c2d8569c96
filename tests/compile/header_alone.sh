#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The public header compiles alone, without a warning: C11 and C++11, 14, 17, 20, gcc and clang, also with -pedantic.
set -eu
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
for standard in c++11 c++14 c++17 c++20; do
    try g++ "-std=$standard" -pedantic -x c++
    try clang++ "-std=$standard" -pedantic -x c++
done
exit $failed
