#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# worker.sh - workers are killed, stopped for longer than their lease, told to end, in the middle of maps.
# shellcheck disable=SC1091,SC2034,SC2153
CLUSTER_OPTIONS='--lease 1s --heartbeat 200ms'
. "$(dirname "$0")/lib.sh"
cluster_start 2 2
well
first=${CLUSTER_WORKERS# }
first=${first%% *}

begin 'kill -9 of a worker: its processes are gone within 2 s, its tasks run elsewhere'
spawn killed submit 4000 1000 "$PWD/killed.ran"
cluster_until 'the work is under way' lines_above killed.ran 800
processes=$(descendants "$first")
[ -n "$processes" ] || cluster_fail 'the worker has no processes'
from=$(ms)
kill -KILL "$first"
cluster_until 'the task processes are gone' all_gone "$processes"
took=$(($(ms) - from))
not_worker "$first"
finished killed
echo "its $(echo "$processes" | wc -w) processes were gone after $took ms; ran $(lines killed.ran)," \
    "of them again $(twice killed.ran), requeued $(counter requeued)"
[ "$took" -le 2000 ] || cluster_fail 'task processes outlive their worker by more than 2 s'
[ "$(distinct killed.ran)" -eq 4000 ] || cluster_fail 'some tasks never ran'
well

begin 'another worker on the state directory of the dead one'
CLUSTER_NAME=worker0
cluster_worker --slots 2
CLUSTER_NAME=
cluster_until 'the new worker is there' cluster_has 2
well

begin 'SIGSTOP of a worker for longer than its lease, then SIGCONT: its late results do not count'
stopped=$CLUSTER_WORKER
spawn stopped submit 4000 1000 "$PWD/stopped.ran"
cluster_until 'the work is under way' lines_above stopped.ran 800
requeued=$(counter requeued)
fenced=$(counter fenced)
kill -STOP "$stopped"
cluster_until 'its tasks are queued again' counter_above requeued "$requeued"
cluster_until 'the broker counts it as lost' cluster_has 1
kill -CONT "$stopped"
finished stopped
cluster_until 'it has joined again' cluster_has 2
echo "ran $(lines stopped.ran), of them again $(twice stopped.ran); requeued $(($(counter requeued) - requeued))," \
    "fenced $(($(counter fenced) - fenced)), duplicates $(counter duplicates), foreign $(counter foreign)"
[ "$(distinct stopped.ran)" -eq 4000 ] || cluster_fail 'some tasks never ran'
[ "$(counter fenced)" -gt "$fenced" ] || cluster_fail 'its late attempts were not fenced'
well

begin 'at most once: a worker is killed, and nothing runs twice'
spawn once map 4000 1000 "$PWD/once.ran" once
cluster_until 'the work is under way' lines_above once.ran 800
kill -KILL "$stopped"
not_worker "$stopped"
finished once
echo "ran $(lines once.ran), of them again $(twice once.ran)"
[ "$(twice once.ran)" -eq 0 ] || cluster_fail 'a task ran twice that must not'
cluster_worker --slots 2
cluster_until 'a new worker is there' cluster_has 2
well

begin 'SIGTERM of a worker under load: it gives back what has not begun, finishes what runs, and ends with 0'
spawn drained submit 4000 1000 "$PWD/drained.ran"
cluster_until 'the work is under way' lines_above drained.ran 800
leaving=$CLUSTER_WORKER
kill -TERM "$leaving"
cluster_ended 'the drained worker' "$leaving"
not_worker "$leaving"
finished drained
echo "ran $(lines drained.ran), of them again $(twice drained.ran)"
[ "$(lines drained.ran)" -eq 4000 ] || cluster_fail 'a drained worker has tasks run twice or not at all'
well

begin 'a second SIGTERM: at once, with its processes'
cluster_worker --slots 2
cluster_until 'a new worker is there' cluster_has 2
spawn quick map 12 1000000 "$PWD/quick.ran"
cluster_until 'all slots are busy' lines_above quick.ran 3
processes=$(descendants "$CLUSTER_WORKER")
kill -TERM "$CLUSTER_WORKER"
cluster_until 'the worker drains' worker_state draining
from=$(ms)
kill -TERM "$CLUSTER_WORKER"
cluster_until 'the end of the worker' cluster_gone "$CLUSTER_WORKER"
cluster_until 'the end of its processes' all_gone "$processes"
echo "it and its $(echo "$processes" | wc -w) processes were gone after $(($(ms) - from)) ms"
not_worker "$CLUSTER_WORKER"
finished quick
well
cluster_stop
