#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# turns.sh - messages that cost much fill no turn of the broker, so that others are answered between them.
# shellcheck disable=SC1091,SC2153
. "$(dirname "$0")/lib.sh"
cluster_start 1 2
well
keys=$CLUSTER/keys
clients=tcp://127.0.0.1:$CLUSTER_PORT

begin 'r06_ranges: 400 frames of 2048 ranges that came while the broker slept are no single turn of it'
kill -STOP "$CLUSTER_BROKER"
mkfifo ranges.in
"$FAULTS/fault_memory" ranges "$clients" "$keys/client.key" 400 <ranges.in >ranges.out 2>&1 &
attack_pid=$!
exec 7>ranges.in
cluster_until 'everything is on its way' test -s ranges.out
kill -CONT "$CLUSTER_BROKER"
well
exec 7>&-
wait "$attack_pid" || cluster_fail 'the client with many ranges'
most=$(counter most_messages_in_a_turn)
echo "at most $most messages in a turn"
[ "$most" -lt 128 ] || cluster_fail "$most messages were taken in one turn"

cluster_stop
