#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Installs into a prefix and uses what is there as a stranger would: cc with pkg-config, g++, a CMake project, the static archive.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }

rm -rf outside cmake-project
# Not in the build directory: what lies in it uses the build's helpers.
prefix=$(mktemp -d)
elsewhere=$(mktemp -d)
trap 'rm -rf "$prefix" "$elsewhere"' EXIT
cmake --install "$BF_BUILD" --prefix "$prefix" >install.log
lib=$(dirname "$(find "$prefix" -name 'libbfork.so.0' | head -n 1)")
PKG_CONFIG_PATH=$lib/pkgconfig
LD_LIBRARY_PATH=$lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH
unset BFORK_PROFILE
sanitize=
[ -z "$BF_SANITIZE" ] || sanitize="-fsanitize=$BF_SANITIZE"

fail() { echo "install.sh: $*" >&2; exit 1; }
# expect FILE LINE...: the file holds exactly these lines.
expect() {
    file=$1
    shift
    printf '%s\n' "$@" >expected
    diff expected "$file" || fail "$file is not what it should be"
}

[ "$(ls "$prefix/include")" = "bfork.h
bfork_typed.h" ] || fail "include/ holds other files than bfork.h and bfork_typed.h: $(ls "$prefix/include")"
for program in bfork bfork-broker bfork-worker; do
    env -u LD_LIBRARY_PATH "$prefix/bin/$program" --version >version.txt || fail "$program --version: status $?"
    grep -q "$(pkg-config --modversion bfork)" version.txt || fail "$program says $(cat version.txt), bfork.pc says $(pkg-config --modversion bfork)"
done
# Its helpers find the library from where they are, in a prefix that the dynamic loader does not search.
env -u LD_LIBRARY_PATH "$prefix/bin/bfork" run -- true || fail "bfork run -- true: status $?"
env -u LD_LIBRARY_PATH "$prefix/bin/bfork" map -k echo ::: a b >map.out || fail "bfork map: status $?"
expect map.out a b
LC_ALL=C env -u LD_LIBRARY_PATH ldd "$prefix"/libexec/broadfork/* >helpers.txt
! grep 'not found' helpers.txt || fail 'a helper misses these libraries'
grep -q "libbfork.so.0 => $prefix/" helpers.txt || fail "bfork-runner takes another libbfork: $(cat helpers.txt)"

# A user's first program, with the command line that the README shows.
mkdir outside
cp "$BF_SOURCE/examples/square.c" outside/
cd outside
# shellcheck disable=SC2046,SC2086
$CC -Wall -Wextra -Werror $sanitize square.c $(pkg-config --cflags --libs bfork) -o square
./square >square.out
expect square.out 1 4 9 16 25
BFORK_PROFILE=serial: ./square >square.out
expect square.out 1 4 9 16 25

# r24: with the archive in it, as README.md says it is linked: neither the program nor Broadfork lies where it was configured to be.
# shellcheck disable=SC2046,SC2086
$CC -Wall -Wextra -Werror $sanitize square.c $(pkg-config --cflags bfork) \
    $(pkg-config --static --libs bfork | sed s/-lbfork/-l:libbfork.a/) -o "$elsewhere/square"
! LC_ALL=C ldd "$elsewhere/square" | grep libbfork || fail "r24: $elsewhere/square is not static"
env -u LD_LIBRARY_PATH "$elsewhere/square" >square.out || fail 'r24: a program with the archive does not find the helpers'
expect square.out 1 4 9 16 25
mv "$prefix/libexec" "$prefix/moved"
! "$elsewhere/square" >square.out 2>moved.err || fail 'r24: a program runs without the helpers'
grep -q 'bfork-keeper.*bfork.pc' moved.err || fail "r24: without the helpers it says: $(cat moved.err)"
mv "$prefix/moved" "$prefix/libexec"

# The library alone brings neither ZeroMQ nor OpenSSL into a program.
LC_ALL=C ldd ./square >libraries.txt
! grep -E 'libzmq|libcrypto|libczmq|not found' libraries.txt || fail "square carries or misses these libraries"

# shellcheck disable=SC2046,SC2086
$CXX -std=c++17 -Wall -Wextra -Werror $sanitize "$BF_SOURCE/tests/install/consumer.cc" $(pkg-config --cflags --libs bfork) -o consumer
./consumer >consumer.out
expect consumer.out 1 4 9 16 25 ababab "7 cannot repeat -1 times"
cd ..

mkdir -p project
cp "$BF_SOURCE/tests/install/project.cmake" project/CMakeLists.txt
cmake -G Ninja -S project -B cmake-project "-DCMAKE_PREFIX_PATH=$prefix" \
    "-DSQUARE_SOURCE=$BF_SOURCE/examples/square.c" "-DCMAKE_C_FLAGS=$sanitize" "-DCMAKE_CXX_FLAGS=$sanitize" >project.log 2>&1 ||
    { cat project.log; fail "find_package(Broadfork)"; }
ninja -C cmake-project >>project.log 2>&1 || { cat project.log; fail "the CMake project does not build"; }
for program in square square_static; do
    "cmake-project/$program" >"$program.out"
    expect "$program.out" 1 4 9 16 25
done
! LC_ALL=C ldd cmake-project/square_static | grep libbfork || fail "square_static is not static"
mv cmake-project/square_static "$elsewhere/"
env -u LD_LIBRARY_PATH "$elsewhere/square_static" >square.out || fail 'r24: square_static does not find the helpers'
expect square.out 1 4 9 16 25
