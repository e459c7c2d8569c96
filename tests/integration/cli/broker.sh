#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# broker.sh - what bfork says to a real broker: status, workers, jobs, ping; keys that are made and revoked while it runs.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh" </dev/null
start_broker

expect 0 "$bfork" status
out_has "broker   $(port_of endpoint)   up "
out_has '0 workers, 0 slots (0 busy)   queued 0   running 0   done 0   failed 0   holds '
out_has ' of 2,147,483,648 bytes'
expect 0 "$bfork" status --json
out_has '"slots"'
expect 0 "$bfork" workers
out_has 'no worker has joined'
expect 0 "$bfork" jobs
out_is 'no jobs'
expect 0 "$bfork" ping -c 2
[ "$(wc -l <out)" -eq 3 ] || fail "ping: $(cat out)"
expect 0 "$bfork" ping -c 2 --json
out_has '"count":2'

# A name is no address to listen on.
expect 3 "$BF_BUILD/broker/bfork-broker" --dir keys --state-dir other --endpoint tcp://localhost:0
err_has 'no such address: give one of its addresses, no name, or 0.0.0.0 for all'

# A key made while the broker runs is good at once; revoked, it is not any more.
expect 0 "$bfork" keygen client alice
out_has 'the running broker has taken it over'
sed 's|^key  .*|key = client-alice.key|' keys/lab.conf >keys/alice.conf
expect 0 "$bfork" --profile alice ping -c 1
expect 0 "$bfork" revoke client alice
out_has 'the running broker has taken it over'
expect 125 "$bfork" --profile alice ping -c 1
err_has 'bfork ping: '
expect 0 "$bfork" ping -c 1

# A live session of a revoked key ends at the broker, and its jobs with it. The map can still be interrupted.
expect 0 "$bfork" allow client keys/client-alice.key alice
"$bfork" --profile alice map echo ::: a >map.out 2>map.err &
map=$!
tries=0
until "$bfork" jobs --profile alice | grep -q 'bfork map'; do
    tries=$((tries + 1))
    [ "$tries" -lt 500 ] || fail "the job of the map does not show: $(cat map.err)"
done
expect 0 "$bfork" status --json
grep -q '"queued":0' out || fail "r14: a client sees the tasks of another: $(cat out)"
! grep -qE 'counters|listeners' out || fail "r14: a client sees counters of the broker: $(cat out)"
expect 0 "$bfork" --profile alice status --json
grep -q '"queued":1' out || fail "r14: a client does not see its own task: $(cat out)"
out_has '"bytes_most"'
expect 0 "$bfork" status --all
out_has 'KEY OF'
out_has 'alice'
expect 0 "$bfork" status --all --json
out_has '"listeners"'
grep -q '"queued":1' out || grep -q '"queued": 1' out || fail "the task is not queued: $(cat out)"
expect 0 "$bfork" revoke client alice
expect 0 "$bfork" status --all --json
grep -q '"queued":0' out || grep -q '"queued": 0' out || fail "a task of a revoked key is still queued: $(cat out)"
status=0
wait "$map" || status=$?
[ "$status" -eq 255 ] || fail "a map whose key is revoked: exit status $status: $(cat map.err)"
grep -q '^bfork map: ' map.err || fail "a map whose key is revoked says: $(cat map.err)"
! grep -q '^$' map.err || fail "r24: it ends with an empty line: $(cat map.err)"

kill -TERM "$broker_pid"
status=0
wait "$broker_pid" || status=$?
[ "$status" -eq 0 ] || fail "the broker ends with $status"
