#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# cluster.sh TASKS.SO - every program of this folder, unchanged, through a real broker and two real workers.
set -eu

programs=$(cd "$(dirname "$0")" && pwd)
. "$programs/../lib/cluster.sh"

cluster_start 2 2
for name in r02_queued r02_chunk square thumbs twins commands pages preload structs library threads cpp r04_lines r21_lines r23_globals; do
    mkdir -p "$name"
    (cd "$name" && export BF_TEST_DIRECTORY="$PWD" && if [ "$name" = twins ]; then "$programs/run.sh" cluster twins "$1"; else "$programs/run.sh" cluster "$name"; fi) ||
        cluster_fail "program $name"
    echo "$name: as it should be"
done

# The example of the containers: it waits for slots before it has any work, as a service does.
"$BF_BUILD/tests/programs/program-example" 200 1 >example.out 2>&1 || { cat example.out; cluster_fail "the example of the containers"; }
grep -q '^200 of 200 results are right' example.out || { cat example.out; cluster_fail "the example of the containers"; }
cluster_stop
