#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# identity.sh - r13: peers with allowed keys announce, in numbers and on all three ports, the routing ids that the broker's sockets give
# out themselves. The broker lives, and serves as before.
# shellcheck disable=SC1091,SC2034,SC2153
CLUSTER_OPTIONS='--hello-limit 30s'
. "$(dirname "$0")/lib.sh"
cluster_start 1 2
well
port=$CLUSTER_PORT
for role in client worker admin; do
    begin "r13: announced routing ids at the ${role}s' port"
    "$FAULTS/fault_identity" "tcp://127.0.0.1:$port" "$CLUSTER/keys/$role.key" >identity.out 2>&1 ||
        { cat identity.out >&2; cluster_fail 'the peer was not let in'; }
    says identity.out '^met=24$'
    cluster_alive "$CLUSTER_BROKER" || cluster_fail 'the broker was ended by a peer'
    port=$((port + 1))
done
well
cluster_stop
