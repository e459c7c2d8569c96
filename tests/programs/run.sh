#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# run.sh PROFILE NAME [ARGUMENT...] - runs program NAME with BFORK_PROFILE=PROFILE (cluster: the one that is set), compares what it prints
# and its exit status with expected/NAME, or, with lines in any order, with expected/NAME.sorted; and sees that it leaves no process.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }

profile=$1 name=$2
shift 2
programs=$(dirname "$0")
. "$programs/../lib/processes.sh"

[ "$profile" = cluster ] || export BFORK_PROFILE="$profile"
BF_MARK=$name.$profile.$$
export BF_MARK
status=0
printf 'one\ntwo\nbad\nthree\n' | "$BF_BUILD/tests/programs/program-$name" "$@" >output 2>messages || status=$?
echo "exit $status" >>output

if [ -f "$programs/expected/$name.sorted" ]; then
    LC_ALL=C sort output >output.sorted
    expected=$programs/expected/$name.sorted got=output.sorted
else
    expected=$programs/expected/$name got=output
fi
if ! diff "$expected" "$got"; then
    echo "$name with BFORK_PROFILE=${BFORK_PROFILE:-}: > is what it printed; on stderr:" >&2
    cat messages >&2
    exit 1
fi
no_process_is_left "$BF_MARK"
