#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# peers.sh - garbage, half-open connections and port scans on every endpoint while a map runs; a thousand idle connections. The
# map notices nothing, no daemon grows, descriptors are given back. (That a broker without a live authentication handler serves
# nobody, and that frames over the limit and malformed ones are refused, is shown by tests/unit/net, tests/unit/wire and
# tests/unit/broker.)
# shellcheck disable=SC1091,SC2034,SC2153
CLUSTER_OPTIONS='--lease 3s --heartbeat 300ms --hello-limit 1s'
. "$(dirname "$0")/lib.sh"
cluster_start 2 2
well
before=$(descriptors "$CLUSTER_BROKER")
memory=$(rss_kib "$CLUSTER_BROKER")
# with_limit LIMIT: descriptors of the broker are at most so many above what they were.
with_limit() { [ "$(descriptors "$CLUSTER_BROKER")" -le $((before + $1)) ]; }

begin 'noise on all three endpoints during a map'
spawn noise map 10000 1000 "$PWD/noise.ran"
cluster_until 'the work is under way' lines_above noise.ran 200
"$FAULTS/fault_peer" noise "$CLUSTER_PORT" "${NOISE:-20}" || cluster_fail 'the noise'
[ "$(lines noise.ran)" -lt 10000 ] || echo 'the map was over before the noise'
finished noise
[ "$(twice noise.ran)" -eq 0 ] || cluster_fail 'tasks ran twice'
well

begin '1000 idle connections during a map: they are closed, the map goes on'
mkfifo idle.in
"$FAULTS/fault_peer" idle "$CLUSTER_PORT" 1000 <idle.in >idle.out 2>&1 &
idle=$!
exec 7>idle.in
spawn idle map 4000 1000 "$PWD/idle.ran"
cluster_until 'the connections were made' test -s idle.out
cat idle.out
finished idle
[ "$(twice idle.ran)" -eq 0 ] || cluster_fail 'tasks ran twice'
well
cluster_until 'the idle connections are closed by the broker' with_limit 20
exec 7>&-
wait "$idle" || cluster_fail 'the idle peer'
cluster_until 'descriptors are given back' with_limit 5
grown=$(($(rss_kib "$CLUSTER_BROKER") - memory))
echo "descriptors of the broker: before $before, after $(descriptors "$CLUSTER_BROKER"); it has grown by $grown KiB"
[ "$grown" -le $((65536 + QUARANTINE)) ] || cluster_fail 'the broker has grown'
"$CLUSTER_BFORK" status --all --json | tr -d ' ' | grep -oE '"listeners":.*' | cut -c1-700

cluster_stop
