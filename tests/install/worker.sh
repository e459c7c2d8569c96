#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# A worker installed in a prefix that the dynamic loader does not search runs a program that does not say where libbfork is.
# shellcheck disable=SC1091,SC2046,SC2086
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
prefix=$(mktemp -d)         # pkg-config's words cannot have blanks, a path of the build may
export CLUSTER_ALSO="$prefix"
cmake --install "$BF_BUILD" --prefix "$prefix" >install.log
lib=$(dirname "$(find "$prefix" -name 'libbfork.so.0' | head -n 1)")
sanitize=
[ -z "$BF_SANITIZE" ] || sanitize="-fsanitize=$BF_SANITIZE"
$CC $sanitize "$BF_SOURCE/examples/square.c" "-I$prefix/include" "-L$lib" -lbfork -o square     # bfork.pc would say where the library is

BF_BUILD=$prefix
unset LD_LIBRARY_PATH
. "$BF_SOURCE/tests/lib/cluster.sh"
cluster_start 1 2
! ./square >square.out 2>&1 || cluster_fail "this system's loader finds libbfork without help: the test shows nothing"
LD_LIBRARY_PATH=$lib timeout 60 ./square >square.out 2>square.err || { cat square.err >&2; cluster_fail "square on the worker"; }
printf '%s\n' 1 4 9 16 25 | diff - square.out || cluster_fail "square: $(cat square.out)"
cluster_stop
