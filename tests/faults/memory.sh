#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# memory.sh - an allowed client makes the broker hold all it can: by specifications, contexts, tasks, questions, and outcomes that it
# neither reads nor acknowledges behind a window of 2^62 bytes. The broker stays below the limit for one key, says so to that client,
# and serves another as if nothing were.
# shellcheck disable=SC1091,SC2034,SC2153
MIB=48
CLUSTER_OPTIONS="--lease 3s --heartbeat 300ms --quota-bytes 32MiB --owner-memory ${MIB}MiB --detach 1s"
. "$(dirname "$0")/lib.sh"
cluster_start 1 2
well
keys=$CLUSTER/keys
"$CLUSTER_BFORK" keygen --dir "$keys" client mallory >keygen.out 2>&1 || { cat keygen.out; cluster_fail 'keygen client mallory'; }
cluster_until 'the new key is allowed' logged "$CLUSTER/broker.log" 'event=reloaded' 0
clients=tcp://127.0.0.1:$CLUSTER_PORT
workers=tcp://127.0.0.1:$((CLUSTER_PORT + 1))
memory=$(rss_kib "$CLUSTER_BROKER")
# What freed memory the allocator keeps, buffers of sockets, the code that is paged in.
SLACK=98304

# attack NAME AMOUNT [MORE...]: its line is in NAME.out; the broker has not grown beyond the limit while it held all that.
attack() {
    attack_name=$1
    attack_amount=$2
    shift 2
    mkfifo "$attack_name.in"
    "$FAULTS/fault_memory" "$attack_name" "$clients" "$keys/client-mallory.key" "$attack_amount" "$@" <"$attack_name.in" \
        >"$attack_name.out" 2>&1 &
    attack_pid=$!
    exec 7>"$attack_name.in"
    cluster_until "the attack by $attack_name" test -s "$attack_name.out"
    cat "$attack_name.out"
    attack_grown=$(($(rss_kib "$CLUSTER_BROKER") - memory))
    echo "$attack_name: the broker has grown by $attack_grown KiB"
    [ "$attack_grown" -le $((MIB * 1024 + SLACK + QUARANTINE)) ] || cluster_fail "the broker has grown by $attack_grown KiB"
    well
    exec 7>&-
    wait "$attack_pid" || cluster_fail "the attacker by $attack_name"
}

# refused NAME: it was told what the limit is.
refused() { says "$1.out" "refused=[1-9].*code=-41 .*owner-memory .$((MIB << 20))[)]"; }

begin 'r07_specifications: pools with specifications of 240 kB'
attack specifications 550
refused specifications

begin 'r07_contexts: jobs with contexts of 240 kB'
attack contexts 550
refused contexts

begin 'r07_tasks: tasks of 200 kB, over and over'
attack tasks 550
says tasks.out 'refused=[1-9]'

begin 'r07_questions: 20000 questions of which no answer is read'
attack status 20000

begin 'r07_outcomes: results behind a window of 2^62 that nobody reads'
attack outcomes 550 "$workers" "$keys/worker.key"
[ "$(sed -n 's/^sent=\([0-9]*\) .*/\1/p' outcomes.out)" -lt $((MIB * 2)) ] || cluster_fail 'results are taken without a limit'

cluster_stop
