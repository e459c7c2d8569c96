# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# What the tests of the examples share: an own empty directory, the programs, and the comparison. Sourced, never run.
set -euo pipefail
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
export LC_ALL=C
unset BFORK_PROFILE
# shellcheck disable=SC2034  # the tests use it
examples=${BF_BUILD:?is set by ctest}/examples
tmp=$(mktemp -d)
trap 'chmod -R u+rwx "$tmp"; rm -rf "$tmp"' EXIT

fail()
{
    echo "FAILED: $*" >&2
    exit 1
}

# same WHAT EXPECTED ACTUAL: the files are equal
same()
{
    diff -u "$2" "$3" >&2 || fail "$1: the output differs (- expected, + printed)"
}
