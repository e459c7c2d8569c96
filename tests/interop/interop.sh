#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# shellcheck disable=SC2034,SC2119,SC2120
# interop.sh SCENE - a scene of the second client against a real broker and a real worker.
set -eu
. "$BF_SOURCE/tests/lib/cluster.sh"
scene=$1
INTEROP_TASKS=$(find "$BF_BUILD/tests/interop" -name 'libinterop_tasks.so')
INTEROP_PROGRAM=$(cluster_program interop_program)
export INTEROP_TASKS INTEROP_PROGRAM
interop=$(cluster_program interop)

# peer: the client, in the background; its words go into a file.
peer() {
    "$interop" "$scene" "$CLUSTER/keys/client.key" >words 2>errors &
    peer=$!
}
peer_said() { grep -qxF "$1" words || ! cluster_alive "$peer"; }
# peer_says WORD: waits for it; a client that has ended says nothing more.
peer_says() {
    cluster_until "the client says: $1" peer_said "$1"
    grep -qxF "$1" words || peer_ended
}
peer_ended() {
    peer_code=0
    wait "$peer" || peer_code=$?
    [ "$peer_code" -eq 0 ] || { cat errors >&2; cluster_fail "the client ended with $peer_code"; }
}
# broker_killed [OPTION...]: and started again, with these options.
broker_killed() {
    kill -KILL "$CLUSTER_BROKER"
    wait "$CLUSTER_BROKER" 2>/dev/null || true
    cluster_broker "$@" || cluster_fail "the port is not free"
}
# worker_killed PID: it is lost, and nobody waits for it at the end.
worker_killed() {
    kill -KILL "$1"
    wait "$1" 2>/dev/null || true
    CLUSTER_WORKERS=
}

# ran N: the task has begun so often, or the client has given up.
ran() { [ "$(wc -l <ran)" -ge "$1" ] || ! cluster_alive "$peer"; }

work=$PWD
case $scene in
restart)
    cluster_start 0 0
    cluster_worker --slots 2 --work-dir "$work"
    peer
    peer_says now
    broker_killed
    peer_ended
    [ -z "$(sort ran.once | uniq -d)" ] || cluster_fail "a task at most once ran twice"
    # What was assigned and on its way to the worker when the broker died is unknown. All that the worker had it has brought: what it
    # ran is not unknown.
    sed -n 's/^unknown //p' words | cat - ran.once | sort -n | uniq -c | awk '$1 != 1 || $2 != NR - 1 { exit 1 } END { exit NR != 60 }' ||
        cluster_fail "a task neither ran nor is unknown, or both"
    ;;
tries)
    # The counts are told when the task goes out again: to the second worker. That one dies together with the broker, and the third.
    CLUSTER_OPTIONS="--lost-limit 2"
    cluster_start 0 0
    cluster_worker --slots 1 --work-dir "$work"
    peer
    peer_says "kill the worker"
    worker_killed "$CLUSTER_WORKER"
    cluster_worker --slots 1 --work-dir "$work"
    peer_says "kill the broker and the worker"
    cluster_until "the task runs a second time" ran 2
    worker_killed "$CLUSTER_WORKER"
    broker_killed
    cluster_worker --slots 1 --work-dir "$work"
    cluster_until "the task runs a third time" ran 3
    worker_killed "$CLUSTER_WORKER"
    peer_ended
    [ "$(wc -l <ran)" -eq 3 ] || cluster_fail "the task ran $(wc -l <ran) times"
    ;;
quota)
    CLUSTER_OPTIONS="--quota-tasks 50 --quota-bytes 1MiB --owner-quota-tasks 80 --crash-limit 2"
    cluster_start 1 1
    peer
    peer_ended
    ;;
cut)
    cluster_start 0 0
    cluster_worker --slots 1 --output-limit 100000
    peer
    peer_ended
    ;;
admin)
    cluster_start 1 1
    peer
    peer_ended
    cluster_ended "the broker that drains" "$CLUSTER_BROKER"
    cluster_broker || cluster_fail "the port is not free"
    ;;
unknown)
    cluster_start 0 0
    cluster_worker --slots 1 --work-dir "$work"
    peer
    peer_says "kill the broker and the worker"
    worker_killed "$CLUSTER_WORKER"
    broker_killed
    cluster_worker --slots 1 --work-dir "$work"
    peer_ended
    [ -z "$(sort ran | uniq -d)" ] || cluster_fail "a task at most once ran twice"
    ! grep -q 2 ran || cluster_fail "a task that may have run runs"
    ;;
room)
    cluster_start 0 0
    cluster_worker --slots 1 --work-dir "$work"
    peer
    peer_says "stop the broker"
    kill -STOP "$CLUSTER_BROKER"
    touch stopped
    peer_says "kill the broker and the worker"
    worker_killed "$CLUSTER_WORKER"
    touch go
    broker_killed --quota-tasks 20
    cluster_worker --slots 1 --work-dir "$work"
    peer_ended
    [ "$(sort -n ran | uniq | wc -l)" -eq 50 ] || cluster_fail "a task that was cancelled has run, or one that was not has not"
    ;;
mistakes)
    cluster_start 1 1
    "$interop" mistakes "$CLUSTER/keys/client.key" "$CLUSTER/keys/worker.key" "$CLUSTER/keys/admin.key"
    ;;
*)
    cluster_start 1 2
    peer
    peer_ended
    ;;
esac
cluster_stop
