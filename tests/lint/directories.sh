#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Tests that write or remove files do it in a directory that tests/lib/in_directory made: each script below tests, started by hand in
# another one, refuses, and leaves what lies there.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
failed=0
say() { echo "$*"; failed=1; }

# What tests have removed, by a name of theirs or by a pattern.
mkdir -p somebodys/tree somebodys/outside somebodys/cmake-project somebodys/keys
for f in somebodys/kept somebodys/seen somebodys/tree/kept somebodys/outside/kept somebodys/cmake-project/kept somebodys/keys/kept; do
    echo kept >"$f"
done
find somebodys -type f -exec sha256sum {} + | sort >before

find "$BF_SOURCE/tests" -name '*.sh' | sort >scripts
[ -s scripts ] || say "there is no script below $BF_SOURCE/tests"
while read -r script; do
    status=0
    shell='sh'
    ! head -n 2 "$script" | grep -q bash || shell=bash
    (cd somebodys && unset BF_TEST_DIRECTORY && exec timeout 20 "$shell" "$script" -) </dev/null >said 2>&1 || status=$?
    [ "$status" -eq 2 ] && grep -q 'run me with ctest' said || say "${script#"$BF_SOURCE"/} does not refuse: status $status"
    find somebodys -type f -exec sha256sum {} + | sort >after
    cmp -s before after || { say "${script#"$BF_SOURCE"/} changes a directory that no test made"; cp after before; }
done <scripts
exit $failed
