#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Every file of refused/ whose name begins with r04_ (refused.sh r04_), or every other one (refused.sh -), compiles as it stands and is
# refused with its misuse (-DWRONG), with the text it SAYS: by gcc and g++, and by clang where that is installed.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
include=$BF_SOURCE/libclient/include
failed=0
bad() {
    echo "$1"
    cat messages
    failed=1
}
check() {   # check COMPILER FILE FLAG...
    compiler=$1
    file=$2
    shift 2
    set -- "$@" -O1 -Wall -Werror "-I$include" -c "$file" -o /dev/null
    says=$(sed -n 's/^\/\* SAYS: \(.*\) \*\/$/\1/p' "$file")
    "$compiler" "$@" 2>messages || bad "$compiler does not compile $file without the misuse:"
    if "$compiler" -DWRONG "$@" 2>messages; then
        bad "$compiler accepts $file with -DWRONG"
    elif ! grep -q 'error:' messages; then
        bad "$compiler fails on $file, but not with an error:"
    elif [ -n "$says" ] && ! grep -qF -- "$says" messages; then
        bad "$compiler refuses $file, but does not say: $says"
    fi
}
tried=0
for file in "$BF_SOURCE"/tests/compile/refused/*.c "$BF_SOURCE"/tests/compile/refused/*.cc; do
    case $1:${file##*/} in
    r04_:r04_*) ;;
    r04_:* | -:r04_*) continue ;;
    esac
    case $file in
    *.c)
        check gcc "$file" -std=c11
        ! command -v clang >/dev/null 2>&1 || check clang "$file" -std=c11
        ;;
    *)
        check g++ "$file" -std=c++17
        ! command -v clang++ >/dev/null 2>&1 || check clang++ "$file" -std=c++17
        ;;
    esac
    tried=$((tried + 1))
done
[ "$tried" -ge 5 ] || { echo "only $tried files were found"; failed=1; }
exit $failed
