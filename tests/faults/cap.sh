#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# cap.sh - r26: a broker that has as many connections as it takes says so, and nothing of keys; who waits for a place gets one.
# shellcheck disable=SC1091,SC2034,SC2153
CLUSTER_OPTIONS='--max-connections 2 --detach 1s'
. "$(dirname "$0")/lib.sh"
cluster_start 1 2
well
names_no_key() { ! grep -iE 'bfork allow|broker key|does not know' "$1" || cluster_fail "$1 says that a key may be wrong"; }

begin 'r26_clients: two clients have all places, the third waits, is told why, and is served when one leaves'
spawn first map 100000 10000 "$PWD/first.ran"
first=$CLIENT
spawn second map 100000 10000 "$PWD/second.ran"
second=$CLIENT
cluster_until 'the first client works' lines_above first.ran 4
cluster_until 'the second client works' lines_above second.ran 4
"$CLUSTER_BFORK" run -- echo served >third.out 2>&1 &
third=$!
cluster_until 'the third client says why it waits' logged third.out 'as many connections as it takes' 0
names_no_key third.out
cluster_alive "$third" || cluster_fail 'the third client did not wait'
kill -KILL "$first"
wait "$first" 2>/dev/null || true
cluster_until 'the third client is served' logged third.out '^served$' 0
cluster_ended 'the third client' "$third"
kill -KILL "$second"
wait "$second" 2>/dev/null || true
cluster_until 'the places are free' counter_is clients 0
well

begin 'r26_workers: the third worker is told why, and joins when one has left'
cluster_worker --slots 1
leaves=$CLUSTER_WORKER
cluster_until 'both places are taken' cluster_has 2
cluster_worker --slots 1
waits=$CLUSTER/worker$((CLUSTER_STARTED - 1)).log
cluster_until 'the third worker says why it waits' logged "$waits" 'as many connections as it takes' 0
names_no_key "$waits"
kill -TERM "$leaves"
cluster_ended 'the second worker' "$leaves"
not_worker "$leaves"
cluster_until 'the third worker has joined' logged "$waits" 'event=joined' 0
well
cluster_stop
