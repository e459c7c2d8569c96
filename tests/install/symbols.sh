#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# What the libraries show: exactly the functions of the public header, in the shared library and in the static archive; and what they need.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
fail() { echo "symbols.sh: $*" >&2; exit 1; }
find_one() { find "$BF_BUILD" -path "$BF_BUILD/run" -prune -o -name "$1" -print | head -n 1; }

shared=$(find_one 'libbfork.so.0')
static=$(find_one 'libbfork.a')
[ -n "$shared" ] || fail "no libbfork.so.0 below $BF_BUILD"
[ -n "$static" ] || fail "no libbfork.a below $BF_BUILD"

# Every name that is declared BFORK_API, once.
sed -n '/^BFORK_API/s/.*[ *]\(bfork_[a-z_0-9]*\)(.*/\1/p' "$BF_SOURCE/libclient/include/bfork.h" | sed 's/(.*//' | sort -u >declared
[ -s declared ] || fail "no declaration was found in bfork.h"

nm -D --defined-only "$shared" | awk '{ print $3 }' | sed 's/@.*//' | grep -vE '^(LIBBFORK|BFORK)_[0-9.]+$' | sort -u >exported.all
# What only our own command line uses has a name that says so.
grep -v '^bfork_internal_' exported.all >exported
diff declared exported || fail "libbfork.so.0 (>) and bfork.h (<) differ"

nm --extern-only --defined-only "$static" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >visible
grep -vE '^(__(a|t|ub)san|__odr_asan|\.)' visible >visible.ours || true
sed -i '/^bfork_\(internal\|remote\)_/d' visible.ours
diff declared visible.ours || fail "libbfork.a (>) and bfork.h (<) differ"

readelf -d "$shared" >dynamic
grep -q 'SONAME.*\[libbfork\.so\.0\]' dynamic || fail "the soname is not libbfork.so.0"
! grep -E 'NEEDED.*\[lib(zmq|czmq|crypto|ssl)' dynamic || fail "libbfork.so.0 needs ZeroMQ or OpenSSL"
