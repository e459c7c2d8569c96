#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Tests that were skipped fail, whoever skipped them: the test by its status, cmocka, or who disabled it; and so does a suite without any.
# Whatever runs tests for us asks tools/suite, but for tools/aarch64, where an emulator decides what can be shown.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
failed=0
for tool in dev tools/tarball; do
    grep -q '^ *tools/suite ' "$BF_SOURCE/$tool" || { echo "$tool does not run tests by tools/suite"; failed=1; }
    ! grep -nE '^[^#]*\bctest ' "$BF_SOURCE/$tool" || { echo "$tool runs tests itself"; failed=1; }
done

# ends STATUS: tests/CTestTestfile.cmake, as it is now, is run and ends so.
ends() {
    status=0
    "$BF_SOURCE/tools/suite" 1 tests >said 2>&1 || status=$?
    [ "$status" -eq "$1" ] || { echo "status $status, not $1, of:"; cat tests/CTestTestfile.cmake said; failed=1; }
}
mkdir tests
good='add_test(good true)'
echo "$good" >tests/CTestTestfile.cmake
ends 0
printf '%s\n' "$good" 'add_test(skips sh -c "exit 77")' 'set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)' >tests/CTestTestfile.cmake
ends 1
printf '%s\n' "$good" 'add_test(cmocka echo "[  SKIPPED ] one_of_many")' >tests/CTestTestfile.cmake
ends 1
printf '%s\n' "$good" 'add_test(disabled true)' 'set_tests_properties(disabled PROPERTIES DISABLED TRUE)' >tests/CTestTestfile.cmake
ends 1
printf '%s\n' "$good" 'add_test(missing /there/is/no/such/program)' >tests/CTestTestfile.cmake
ends 1
: >tests/CTestTestfile.cmake
ends 1
exit $failed
