#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# needs.sh - what is only for tests, examples and benchmarks (czmq, msgpack-c) is needed by nothing that is installed, nor in the image, and
# the tree is configured where it is missing; only tests ask for it, and say so.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
fail() { echo "needs.sh: $*" >&2; exit 1; }
cmake --install "$BF_BUILD" --prefix "$PWD/prefix" >install.log
count=0
find prefix -type f >files
while read -r file; do
    LC_ALL=C readelf -dW "$file" >needed 2>/dev/null && grep -q NEEDED needed || continue
    count=$((count + 1))
    ! grep -E 'NEEDED.*lib(czmq|msgpack)' needed || fail "$file needs it"
done <files
[ "$count" -ge 7 ] || fail "only $count programs and libraries are installed: $(cat files)"
! grep -rnE 'czmq|msgpack' prefix --include='*.pc' --include='*.cmake' || fail "who links bfork is told to link it, too"
! grep -nE 'czmq|msgpack' "$BF_SOURCE/docker/Dockerfile" || fail "the image has it"

# pkg-config finds everything but these two.
mkdir -p pc
pkg-config --variable pc_path pkg-config | tr : '\n' >directories
while read -r directory; do
    for file in "$directory"/*.pc; do
        case ${file##*/} in *czmq* | *msgpack* | '*.pc') ;; *) ln -sf "$file" pc/ ;; esac
    done
done <directories
export PKG_CONFIG_LIBDIR="$PWD/pc"
unset PKG_CONFIG_PATH
cmake -G Ninja -S "$BF_SOURCE" -B without -DBF_TESTS=OFF -DBF_BENCH=ON >without.log 2>&1 || { cat without.log >&2; fail "it is not configured"; }
ninja -C without -t targets all >targets
grep -q '^example-square: ' targets || fail "there is no example: $(head targets)"
! grep -E '^(example-stations|peer-msgpack): ' targets || fail "what needs msgpack-c would be built without it"
! cmake -G Ninja -S "$BF_SOURCE" -B tests >tests.log 2>&1 || fail "the tests are configured without what they need"
tr -s ' \n' ' ' <tests.log | grep -q 'install libczmq-dev and libmsgpack-dev, or configure with -DBF_TESTS=OFF' ||
    fail "what is missing is not said: $(cat tests.log)"
