#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# broker.sh - the broker is killed, stopped, told to end and to reload, in the middle of maps. Each task has exactly one outcome,
# nothing that a live worker holds runs twice, and all come back by themselves.
# shellcheck disable=SC1091,SC2034,SC2153
CLUSTER_OPTIONS='--lease 1s --heartbeat 200ms --detach 5s'
. "$(dirname "$0")/lib.sh"
cluster_start 2 2
well

begin 'kill -9 in the middle of 10,000 tasks on two workers, twice: a map, then submits'
for mode in map submit; do
    spawn killed "$mode" 10000 500 "$PWD/$mode.ran"
    cluster_until 'the work is under way' lines_above "$mode.ran" 2000
    restart_broker KILL
    cluster_until 'the work goes on' lines_above "$mode.ran" 4000
    finished killed
    echo "$mode: ran $(lines "$mode.ran"), of them again $(twice "$mode.ran"); adopted $(counter adopted), fenced $(counter fenced)"
    [ "$(distinct "$mode.ran")" -eq 10000 ] || cluster_fail 'some tasks never ran'
    [ "$(twice "$mode.ran")" -eq 0 ] || cluster_fail 'tasks ran twice that live workers held'
    cluster_until 'both workers are back' cluster_has 2
    well
done

begin 'SIGSTOP for three leases: nobody is dead, nothing runs twice'
spawn stopped map 10000 1000 "$PWD/stopped.ran"
cluster_until 'the work is under way' lines_above stopped.ran 1000
requeued=$(counter requeued)
kill -STOP "$CLUSTER_BROKER"
sleep 3                                                 # three leases: what is tested is a span of time
kill -CONT "$CLUSTER_BROKER"
finished stopped
echo "ran $(lines stopped.ran), of them again $(twice stopped.ran); requeued $(($(counter requeued) - requeued))"
[ "$(twice stopped.ran)" -eq 0 ] || cluster_fail 'tasks ran twice'
# What was on its way to a worker that made a new connection has not arrived and is queued again: no try is counted.
says stopped.out 'recovered=0$'
! grep -q ' is gone: ' "$CLUSTER/broker.log" || cluster_fail 'a worker was declared dead'
cluster_has 2 || cluster_fail 'a worker has left'
well

begin 'SIGHUP with a revoked key: its session ends within a second, others go on'
"$CLUSTER_BFORK" keygen --dir "$CLUSTER/keys" client mallory >keygen.out 2>&1
sed 's|^key  .*|key = client-mallory.key|' "$CLUSTER/keys/test.conf" >"$CLUSTER/keys/mallory.conf"
spawn good map 4000 1000 "$PWD/good.ran"
good=$CLIENT
BFORK_PROFILE=$CLUSTER/keys/mallory.conf
spawn revoked denied
BFORK_PROFILE=$CLUSTER/keys/test.conf
cluster_until 'both clients are there' lines_above good.ran 100
cluster_until 'the other client is there' counter_above clients 1
grep -v mallory "$CLUSTER/keys/allow/clients" >allow.new
cat allow.new >"$CLUSTER/keys/allow/clients"
from=$(ms)
kill -HUP "$CLUSTER_BROKER"
cluster_until 'the revoked session has ended' cluster_gone "$CLIENT"
took=$(($(ms) - from))
finished revoked
echo "the revoked session ended after $took ms"
[ "$took" -le "${REVOKE_LIMIT:-1000}" ] || cluster_fail 'that is more than a second'
says revoked.out '^ended=.*bfork allow client'
CLIENT=$good
finished good
[ "$(twice good.ran)" -eq 0 ] || cluster_fail 'tasks of the other client ran twice'
well

begin 'SIGPIPE is ignored'
kill -PIPE "$CLUSTER_BROKER"
well

begin 'SIGTERM under load: running work is finished, then it ends; clients say why'
spawn drained map 2000 1000 "$PWD/drained.ran"
cluster_until 'the work is under way' lines_above drained.ran 500
kill -TERM "$CLUSTER_BROKER"
cluster_until 'the end of the drained broker' cluster_gone "$CLUSTER_BROKER"
code=0
wait "$CLUSTER_BROKER" || code=$?
[ "$code" -eq 0 ] || cluster_fail "the drained broker ends with $code"
echo "ran $(lines drained.ran) before it ended"
cluster_broker
finished drained
echo "ran $(lines drained.ran), of them again $(twice drained.ran)"
[ "$(distinct drained.ran)" -eq 2000 ] || cluster_fail 'some tasks never ran'
cluster_until 'both workers are back' cluster_has 2
well

begin 'a second SIGTERM: at once'
spawn quick map 40 1000000 "$PWD/quick.ran"
cluster_until 'the work is under way' lines_above quick.ran 1
drains=$(grep -c event=draining "$CLUSTER/broker.log")
kill -TERM "$CLUSTER_BROKER"
cluster_until 'the broker drains' logged "$CLUSTER/broker.log" event=draining "$drains"
from=$(ms)
kill -TERM "$CLUSTER_BROKER"
cluster_until 'the end of the broker' cluster_gone "$CLUSTER_BROKER"
wait "$CLUSTER_BROKER" || true
echo "it ended after $(($(ms) - from)) ms"
[ $(($(ms) - from)) -le 2000 ] || cluster_fail 'the second SIGTERM does not end it at once'
kill -KILL "$CLIENT"
wait "$CLIENT" || true
cluster_broker
cluster_until 'both workers are back' cluster_has 2
well
cluster_stop
