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
certificate)
    # One that czmq's zcert wrote, and one of bfork keygen: this client and our own programs come with either.
    cluster_start 0 0
    bfork=$CLUSTER_BFORK keys=$CLUSTER/keys
    "$interop" make theirs.cert alice "$keys/client.key"
    "$interop" make host.cert rack-7 "$keys/worker.key"
    "$bfork" allow --dir "$keys" client theirs.cert alice >allowed
    "$bfork" allow --dir "$keys" worker host.cert rack-7 >>allowed
    "$bfork" keygen --zcert --dir "$keys" client bob >>allowed
    [ "$(grep -c 'has taken it over' allowed)" -eq 3 ] || cluster_fail "the broker was not told: $(cat allowed)"
    CLUSTER_KEY=host.cert
    cluster_worker --slots 2
    cluster_until "the worker has joined with czmq's certificate" cluster_has 1
    CLUSTER_KEY=
    cp "$keys/client-bob.cert" "$keys/client-bob.cert_secret" .
    mkdir store
    cp "$keys/client-bob.cert" store/
    "$interop" known store client-bob.cert
    for cert in theirs.cert client-bob.cert; do
        "$interop" certificate "$cert"
        sed "s|^key .*|key = $work/$cert|" "$BFORK_PROFILE" >"$work/mine.conf"
        said=$("$bfork" --profile ./mine.conf run -- echo "$cert")
        [ "$said" = "$cert" ] || cluster_fail "bfork run with $cert says: $said"
    done
    "$bfork" revoke --dir "$keys" client theirs.cert >>allowed
    "$interop" make strange.cert mallory "$keys/client.key"
    for cert in theirs.cert strange.cert; do
        "$interop" refused "$cert" || cluster_fail "$cert is let in"
    done
    chmod 604 client-bob.cert_secret
    ! "$bfork" --profile ./mine.conf run -- true 2>errors || cluster_fail "a secret that others can read is used"
    grep -q "client-bob.cert_secret can be read or changed by others (mode 0604): it is not used. Run: chmod 600" errors ||
        cluster_fail "a secret that others can read: $(cat errors)"
    ;;
*)
    cluster_start 1 2
    peer
    peer_ended
    ;;
esac
cluster_stop
