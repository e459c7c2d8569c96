#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# recovery.sh - with the default times: outages of the network and of the broker that are shorter and longer than the lease. What
# a live worker holds never runs twice, and a worker that cannot renew its lease begins nothing.
# shellcheck disable=SC1091,SC2034,SC2153
CLUSTER_OPTIONS=
. "$(dirname "$0")/lib.sh"
LEASE_S=5
cluster_start 0 0

# proxied NAME OUTAGE_MS: a proxy in front of the workers' port; its port is PORT, its process PROXY.
proxied() {
    FAULT_OUTAGE_MS=$2 BF_MARK=$CLUSTER_MARK "$FAULTS/fault_proxy" "$CLUSTER_PORT" 0 >"$1.out" 2>&1 &
    PROXY=$!
    cluster_until 'the proxy listens' test -s "$1.out"
    PORT=$(sed -n 's/^port=//p' "$1.out")
}
given_up() { grep -c ' is gone: ' "$CLUSTER/broker.log" || true; }

begin 'r20_cut: nothing passes for 4.0 s, four times: the workers keep what they hold'
proxied short 4000
for worker in 1 2; do cluster_worker --slots 2 --broker "tcp://127.0.0.1:$PORT"; done
cluster_until 'both workers have joined' cluster_has 2
well
# A worker that was cut is back some 0.5 s after the outage, at the latest, and has 0.75 s. On a machine that stood still meanwhile neither
# that nor its opposite is shown: such a round is done again, if tasks ran twice.
round=0 stalls=0 gone=0
while [ "$round" -lt 4 ]; do
    rm -f "cut$round.ran"
    spawn cut map 3000 4000 "$PWD/cut$round.ran"
    cluster_until 'the work is under way' lines_above "cut$round.ran" 200
    kill -USR2 "$PROXY"
    cluster_until 'the second after the outage is over' logged short.out '^stalled=' $((round + stalls))
    stalled=$(sed -n 's/^stalled=//p' short.out | tail -n 1)
    finished cut
    echo "round $round: ran $(lines "cut$round.ran"), of them again $(twice "cut$round.ran"); the machine was late by up to $stalled ms"
    [ "$(distinct "cut$round.ran")" -eq 3000 ] || cluster_fail 'some tasks never ran'
    if [ "$(twice "cut$round.ran")" -gt 0 ] || [ "$(given_up)" -gt "$gone" ]; then
        [ "$stalled" -ge 100 ] && [ "$stalls" -lt 4 ] || cluster_fail 'a cut shorter than the lease: a worker was given up, or tasks ran twice'
        stalls=$((stalls + 1)) gone=$(given_up)
        continue
    fi
    round=$((round + 1))
done
well

begin 'r18_restart: the broker is away for longer than a lease and every pause; nothing runs twice, nothing becomes unknown'
for mode in '' once; do
    # shellcheck disable=SC2086
    spawn away map 2000 10000 "$PWD/away$mode.ran" $mode
    cluster_until 'the work is under way' lines_above "away$mode.ran" 200
    kill -KILL "$CLUSTER_BROKER"
    wait "$CLUSTER_BROKER" 2>/dev/null || true
    CLUSTER_BROKER=
    sleep $((LEASE_S + 7))                              # what is tested is a span of time
    cluster_broker
    finished away
    echo "ran $(lines "away$mode.ran"), of them again $(twice "away$mode.ran"); adopted $(counter adopted), fenced $(counter fenced)"
    [ "$(counter adopted)" -gt 0 ] || cluster_fail 'the workers held nothing'
    # At most once: what the client had let go and the broker had not sent when it was killed is unknown, and has not run. What a live
    # worker held is not: every task that ran is well.
    unknown=0
    [ -z "$mode" ] || unknown=$(sed -n 's/^unknown=//p' away.out)
    [ "$((unknown + $(distinct "away$mode.ran")))" -eq 2000 ] || cluster_fail 'tasks never ran, or ran and are unknown'
    [ "$unknown" -le 32 ] || cluster_fail 'more is unknown than can have been on the way'
    [ "$(twice "away$mode.ran")" -eq 0 ] || cluster_fail 'tasks ran twice that live workers held'
done
well

begin 'r20_lease: a worker whose lease has passed unanswered begins nothing'
for worker in $CLUSTER_WORKERS; do
    kill -TERM "$worker"
    cluster_ended "worker $worker" "$worker"
done
CLUSTER_WORKERS=
kill "$PROXY"
wait "$PROXY" 2>/dev/null || true
proxied lease $(((LEASE_S + 7) * 1000))
cluster_worker --slots 2 --broker "tcp://127.0.0.1:$PORT"
cluster_until 'the worker has joined' cluster_has 1
spawn long map 400 100000 "$PWD/long.ran" chunk=200
cluster_until 'the work is under way' lines_above long.ran 4
kill -USR2 "$PROXY"
sleep $((LEASE_S + 1))                                  # spans of time again: the lease, and a block that had begun
begun=$(lines long.ran)
sleep 4
again=$(lines long.ran)
echo "begun $begun after the lease, $again four seconds later"
[ "$begun" -eq "$again" ] || cluster_fail 'tasks were begun after the lease'
[ "$begun" -lt 400 ] || cluster_fail 'all was done before the lease was over'
cluster_until 'the outage is over' logged lease.out '^over' 0
finished long
[ "$(distinct long.ran)" -eq 400 ] || cluster_fail 'some tasks never ran'
kill "$PROXY"
wait "$PROXY" 2>/dev/null || true
cluster_stop
