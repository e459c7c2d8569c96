#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# killed.sh - what becomes of the commands of a client that is killed, and of one that only is away for as long. Default times.
# shellcheck disable=SC1091,SC2034,SC2153,SC2016
. "$(dirname "$0")/lib.sh"
cluster_start 1 2
well

begin 'r24_queued_commands_of_a_killed_client_do_not_run'
seq 1 100 >numbers
BF_MARK=$CLUSTER_MARK "$CLUSTER_BFORK" map -q -j 2 sh -c 'echo $1 >>"$0"; exec sleep 1' "$PWD/killed.ran" <numbers >killed.out 2>&1 &
client=$!
cluster_until 'the first commands run' lines_above killed.ran 1
kill -KILL "$client"
wait "$client" || true
begun=$(lines killed.ran)
cluster_until 'nothing of it runs' counter_is running 0
ran=$(lines killed.ran)
# What was handed out with those that run may begin: one for each slot.
[ "$ran" -le $((begun + 4)) ] || cluster_fail "$((ran - begun)) of its commands began after it was killed"
[ "$(counter queued)" -gt 0 ] || cluster_fail 'its session is gone, although it could still come back'
# The slots are free for others, who have them for longer than a command of it would have needed.
for round in 1 2 3; do
    "$CLUSTER_BFORK" map -q -j 2 sleep ::: 1 1 || cluster_fail "round $round of another client"
done
[ "$(lines killed.ran)" -eq "$ran" ] || cluster_fail "$(($(lines killed.ran) - ran)) queued commands of a killed client have begun"
well

begin 'a client that was cut off for as long goes on where it was'
proxy_start() {
    : >proxy.out
    FAULT_PORT=${1-} BF_MARK=$CLUSTER_MARK "$FAULTS/fault_proxy" "$CLUSTER_PORT" 0 >proxy.out 2>&1 &
    proxy=$!
    cluster_until 'the proxy listens' test -s proxy.out
    port=$(sed -n 's/^port=//p' proxy.out)
}
proxy_end() {
    kill -KILL "$proxy"
    wait "$proxy" 2>/dev/null || true
}
proxy_start
sed "s|^broker  .*|broker = tcp://127.0.0.1:$port|" "$CLUSTER/keys/test.conf" >"$CLUSTER/keys/cut.conf"
seq 1 12 >few
BF_MARK=$CLUSTER_MARK "$CLUSTER_BFORK" --profile "$CLUSTER/keys/cut.conf" map -k -q -j 2 sh -c 'echo $1 >>"$0"; sleep 1; echo $1' \
    "$PWD/cut.ran" <few >cut.out 2>cut.err &
client=$!
cluster_until 'the first commands run' lines_above cut.ran 1
proxy_end
cluster_until 'nothing of it runs' counter_is running 0
ran=$(lines cut.ran)
"$CLUSTER_BFORK" map -q -j 2 sleep ::: 1 1 || cluster_fail 'another client meanwhile'
[ "$(lines cut.ran)" -eq "$ran" ] || cluster_fail 'queued commands of a client that is away have begun'
proxy_start "$port"
cluster_ended 'the client that was cut off' "$client"
cmp -s few cut.out || cluster_fail "its results: $(tr '\n' ' ' <cut.out)"
[ "$(distinct cut.ran)" -eq 12 ] || cluster_fail "of its 12 commands $(distinct cut.ran) ran"
proxy_end
cluster_stop
