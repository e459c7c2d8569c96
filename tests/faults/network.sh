#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# network.sh - a hundred short cuts of the connections of clients and workers during a map: one outcome each, no descriptor is
# leaked.
# shellcheck disable=SC1091,SC2034,SC2153
CLUSTER_OPTIONS='--lease 3s --heartbeat 300ms --detach 5s'
. "$(dirname "$0")/lib.sh"
cluster_start 0 0
BF_MARK=$CLUSTER_MARK "$FAULTS/fault_proxy" "$CLUSTER_PORT" "${CUTS:-100}" "${SEED:-1}" >proxy.out 2>&1 &
proxy=$!
cluster_until 'the proxy listens' test -s proxy.out
port=$(sed -n 's/^port=//p' proxy.out)
cluster_worker --slots 2 --broker "tcp://127.0.0.1:$port"
one=$CLUSTER_WORKER
cluster_worker --slots 2 --broker "tcp://127.0.0.1:$port"
two=$CLUSTER_WORKER
cluster_until '2 workers have joined' cluster_has 2
well
sed "s|^broker  .*|broker = tcp://127.0.0.1:$port|" "$CLUSTER/keys/test.conf" >"$CLUSTER/keys/cut.conf"
before="$(descriptors "$CLUSTER_BROKER") $(descriptors "$one") $(descriptors "$two")"

begin "${CUTS:-100} cuts"
rounds=0
BFORK_PROFILE=$CLUSTER/keys/cut.conf
"$FAULTS/fault_client" good >good.out 2>&1 || { cat good.out; cluster_fail 'through the proxy, before any cut'; }
kill -USR1 "$proxy"
until grep -q "^cuts=${CUTS:-100}\$" proxy.out; do
    rounds=$((rounds + 1))
    mode=map
    [ $((rounds % 2)) -eq 1 ] || mode=submit
    spawn cut "$mode" 4000 200 "$PWD/cut$rounds.ran"
    finished cut
    echo "$mode: ran $(lines "cut$rounds.ran"), of them again $(twice "cut$rounds.ran")"
    [ "$(distinct "cut$rounds.ran")" -eq 4000 ] || cluster_fail 'some tasks never ran'
    [ "$(twice "cut$rounds.ran")" -eq 0 ] || cluster_fail 'a short cut has tasks run twice'
done
BFORK_PROFILE=$CLUSTER/keys/test.conf
cluster_until 'both workers are there' cluster_has 2
well
cluster_until 'sessions of clients are gone' counter_is clients 0
no_more() {
    after="$(descriptors "$CLUSTER_BROKER") $(descriptors "$one") $(descriptors "$two")"
    for held in "$CLUSTER_BROKER" "$one" "$two"; do
        ls -l "/proc/$held/fd" >"held.$held"            # what is left, for who looks into it
    done
    # shellcheck disable=SC2086
    set -- $before $after
    # A worker keeps a few idle templates, of three descriptors each: a leak would be one for each of the cuts.
    [ "$4" -le $(($1 + 2)) ] && [ "$5" -le $(($2 + 14)) ] && [ "$6" -le $(($3 + 14)) ]
}
cluster_until "descriptors (broker, workers) are back to about $before" no_more
echo "descriptors of the broker and the workers: before $before, after $after"
kill "$proxy"
wait "$proxy" 2>/dev/null || true
[ "$rounds" -gt 0 ] || cluster_fail 'the cuts were over before there was work'
cluster_stop
