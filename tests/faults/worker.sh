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

begin 'r20_stopped: a worker is stopped, its processes are not: when its lease has passed they begin nothing, whatever they hold'
# begun_by PROCESSES: how many tasks they have begun.
begun_by() { echo "$1" | awk 'NR == FNR { ours[$1]; next } $2 in ours' - past.ran | wc -l; }
spawn past map 400 50000 "$PWD/past.ran" chunk=100
cluster_until 'the work is under way' lines_above past.ran 20
processes=$(descendants "$stopped")
kill -STOP "$stopped"
cluster_until 'the broker counts it as lost' cluster_has 1
begun=$(begun_by "$processes")
cluster_until 'the other worker goes on' lines_above past.ran $(($(lines past.ran) + 60))
again=$(begun_by "$processes")
kill -CONT "$stopped"
finished past
cluster_until 'it has joined again' cluster_has 2
echo "begun there: $begun when the lease had passed, then $again; of them again $(twice past.ran)"
[ "$begun" -gt 0 ] || cluster_fail 'it was given nothing'
[ "$begun" -eq "$again" ] || cluster_fail 'tasks were begun after the lease'
[ "$(distinct past.ran)" -eq 400 ] || cluster_fail 'some tasks never ran'
[ "$(twice past.ran)" -le "$begun" ] || cluster_fail 'more ran twice than was begun within the lease'
well

# Every process below a worker that has children of its own and is no task process: templates.
templates() {
    for template in $(descendants "$1"); do
        [ -z "$(ps -o pid= --ppid "$template")" ] || echo "$template"
    done
}

begin 'r16_template: kill -9 of every template of a worker, three times: it is started again, and the job ends well'
restarts() { grep -c 'is started again here' "$CLUSTER"/worker*.log | awk -F: '{ n += $2 } END { print n }'; }
more_restarts() { [ "$(restarts)" -gt "$1" ]; }
has_template() { [ -n "$(templates "$stopped")" ]; }
spawn template submit 4000 5000 "$PWD/template.ran"
for round in 500 1000 1500; do
    cluster_until 'the work is under way' lines_above template.ran $round
    cluster_until 'there is a template' has_template
    before=$(restarts)
    for killed in $(templates "$stopped"); do kill -KILL "$killed" 2>/dev/null || true; done
    cluster_until 'it is started again' more_restarts "$before"
done
finished template
[ "$(distinct template.ran)" -eq 4000 ] || cluster_fail 'some tasks never ran'
echo "ran $(lines template.ran), of them again $(twice template.ran); templates started again: $(restarts)"
well

begin 'r16_descriptors: a worker has none left for a while: the job waits, and ends well'
limit=$(prlimit --pid "$stopped" --nofile --output SOFT --noheadings | tr -d ' ')
prlimit --pid "$stopped" --nofile="$(descriptors "$stopped"):"
for worker in $CLUSTER_WORKERS; do
    [ "$worker" = "$stopped" ] || kill -STOP "$worker"
done
cluster_until 'one worker is left' cluster_has 1
before=$(restarts)
"$CLUSTER_BFORK" run -- echo well >echo.out 2>&1 &     # another program: needs a template of its own
CLIENT=$!
cluster_until 'the template could not be started' more_restarts "$before"
prlimit --pid "$stopped" --nofile="$limit:"
finished echo
says echo.out '^well$'
for worker in $CLUSTER_WORKERS; do kill -CONT "$worker"; done
cluster_until 'both workers are back' cluster_has 2
well

begin 'r19_commands: kill -9 of a worker: its command and what that has left behind are gone before it runs elsewhere'
cat >held.sh <<'END'
cd "$1"
exec 9>held.lock
flock -n 9 || echo "the one before is still there" >>held.overlap
(setsid sleep 1000 &)
echo $$ >>held.ran
[ -e held.go ] || sleep 1000
END
BF_MARK=$CLUSTER_MARK "$CLUSTER_BFORK" run -- sh "$PWD/held.sh" "$PWD" >held.out 2>&1 &
CLIENT=$!
cluster_until 'the command runs' lines_above held.ran 0
for worker in $CLUSTER_WORKERS; do
    processes=$(descendants "$worker")
    ! echo "$processes" | grep -qx "$(head -n 1 held.ran)" || break
done
# shellcheck disable=SC2046,SC2086
[ "$(ps -o args= -p $(echo $processes | tr ' ' ,) | grep -c '^sleep 1000')" -eq 2 ] || cluster_fail 'the command has not started both'
: >held.go
from=$(ms)
kill -KILL "$worker"
cluster_until 'all processes are gone' all_gone "$processes"
took=$(($(ms) - from))
not_worker "$worker"
finished held
echo "its $(echo "$processes" | wc -w) processes were gone after $took ms"
[ "$took" -le 2000 ] || cluster_fail 'a command outlives its worker by more than 2 s'
[ "$(lines held.ran)" -eq 2 ] || cluster_fail "it ran $(lines held.ran) times"
[ ! -e held.overlap ] || cluster_fail 'it ran twice at the same time'
cluster_worker --slots 2
stopped=$CLUSTER_WORKER
cluster_until 'both workers are there' cluster_has 2
well

# dead_worker: whose tasks have ended it, or the test; as `worker`.
dead_worker() {
    for worker in $CLUSTER_WORKERS; do
        ! cluster_gone "$worker" || return 0
    done
    return 1
}

begin 'r19_task: kill -9 of a worker: the command that a task of it has started is gone with it'
BF_MARK=$CLUSTER_MARK "$FAULTS/fault_killer" command "$PWD/started.pid" >started.out 2>&1 &
CLIENT=$!
cluster_until 'the command runs' lines_above started.pid 0
for worker in $CLUSTER_WORKERS; do
    ! descendants "$worker" | grep -qx "$(cat started.pid)" || break
done
from=$(ms)
kill -KILL "$worker"
cluster_until 'the command is gone' cluster_gone "$(cat started.pid)"
took=$(($(ms) - from))
not_worker "$worker"
finished started
says started.out '^ended=unknown$'
echo "it was gone after $took ms"
[ "$took" -le 2000 ] || cluster_fail 'a command of a task outlives its worker by more than 2 s'
cluster_worker --slots 2
cluster_until 'both workers are there' cluster_has 2
well

begin 'r11_hunter: a task kills its worker and what is between, and would kill the next: that one lives'
BF_MARK=$CLUSTER_MARK "$FAULTS/fault_killer" hunt "$PWD/hunter.pid" "$CLUSTER/prey" >hunter.out 2>&1 &
CLIENT=$!
cluster_until 'it has killed its worker' dead_worker
cluster_until 'what it has left is gone' cluster_gone "$(cat hunter.pid)"
not_worker "$worker"
CLUSTER_NAME=prey cluster_worker --slots 2
prey=$CLUSTER_WORKER
cluster_until 'both workers are there' cluster_has 2
finished hunter
says hunter.out '^ended=unknown$'
well
cluster_alive "$prey" || cluster_fail 'a task of a dead worker has killed the next one'
stopped=$prey

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
