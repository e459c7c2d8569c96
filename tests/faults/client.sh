#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# client.sh - clients that die, flood, or do not read: only they notice.
# shellcheck disable=SC1091,SC2034,SC2153
CLUSTER_OPTIONS='--lease 2s --heartbeat 300ms --detach 1s'
. "$(dirname "$0")/lib.sh"
cluster_start 1 2
well

begin 'kill -9 of a client in the middle of a map: its tasks stop, its slots are free for another'
spawn killed map 10000 2000 "$PWD/killed.ran"
cluster_until 'the work is under way' lines_above killed.ran 500
kill -KILL "$CLIENT"
wait "$CLIENT" || true
well
cluster_until 'nothing of it is queued' counter_is queued 0
cluster_until 'nothing of it runs' counter_is running 0
ran=$(lines killed.ran)
well
[ "$(lines killed.ran)" -eq "$ran" ] || cluster_fail 'tasks of a dead client still run'
echo "$ran of its 10000 tasks ran"

begin 'r24_late_first: a program computes for longer than connecting may take, and then asks for the first time'
: >there
spawn late late "$PWD/there"
late=$CLIENT
kill -TERM "$CLUSTER_BROKER"
cluster_ended 'the broker' "$CLUSTER_BROKER"
spawn late_early late "$PWD/again" early
cluster_until 'its first task is under way' logged late_early.out computes 0
cluster_broker || cluster_fail 'the broker does not start again'
: >again
finished late_early
CLIENT=$late
finished late

begin 'one client floods 1,000,000 tasks, another submits 10 at a time'
rounds=${ROUNDS:-30}
"$FAULTS/fault_client" small "$rounds" >quiet.out 2>&1 || { cat quiet.out; cluster_fail 'the small client'; }
spawn flood map "${FLOOD:-1000000}" 10s -
cluster_until 'the flood is there' counter_above queued 50000
"$FAULTS/fault_client" small "$rounds" >busy.out 2>&1 || { cat busy.out; cluster_fail 'the small client'; }
value() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$2"; }
echo "quiet: $(head -n 1 quiet.out); beside the flood: $(head -n 1 busy.out)"
ratio=$(($(value p99_us busy.out) * 100 / $(value p99_us quiet.out)))
echo "p99 beside the flood is $((ratio / 100)).$(printf '%02d' $((ratio % 100))) times the quiet one"
# What is right is 3 times; other work on the machine that runs this moves it, so the bound is in absolute time as well.
[ "$ratio" -le 300 ] || [ "$(value p99_us busy.out)" -le "${SMALL_LIMIT:-250000}" ] ||
    cluster_fail 'the flood takes the small client along'
cluster_alive "$CLIENT" || echo 'the flood was over before'
finished flood
well

begin 'a client that does not read: 10,000 tasks with results of 16 KiB, and it stops'
memory=$(rss_kib "$CLUSTER_BROKER")
spawn slow gated 10000 16384 "$PWD/gate"
cluster_until 'its tasks are at the broker' counter_above queued 9900
kill -STOP "$CLIENT"
stopped() { read -r _ _ state _ <"/proc/$CLIENT/stat" && [ "$state" = T ]; }
cluster_until 'it has stopped' stopped
: >gate
well
"$FAULTS/fault_client" map 2000 100 - >beside.out 2>&1 || { cat beside.out; cluster_fail 'a client beside one that does not read'; }
stalled() {
    before_now="$(counter running) $(counter "done")"
    "$CLUSTER_BFORK" ping -c 100 >ping.out 2>&1 || return 1
    [ "$before_now" = "$(counter running) $(counter "done")" ]
}
cluster_until 'nothing more is done for it' stalled
grown=$(($(rss_kib "$CLUSTER_BROKER") - memory))
echo "the broker has grown by $grown KiB; done $(counter "done"), queued $(counter queued)"
[ "$grown" -le $((114688 + QUARANTINE)) ] || cluster_fail 'the broker keeps too much for a client that does not read'
[ "$(counter queued)" -gt 0 ] || cluster_fail 'it has had all its results taken although it does not read'
kill -CONT "$CLIENT"
finished slow
well
cluster_stop
