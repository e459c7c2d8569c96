# SPDX-License-Identifier: MPL-2.0
# shellcheck shell=sh
# cluster.sh - for tests: a real broker with real workers on loopback, in a directory of their own, and nothing left of them at the end.
#
#     . "$BF_SOURCE/tests/lib/cluster.sh"
#     cluster_start WORKERS SLOTS         sets CLUSTER (directory), exports BFORK_PROFILE; returns when all workers have joined
#     cluster_stop                        stops all, checks that they ended well and that no process is left
#
# A test that ends before cluster_stop leaves nothing either, and prints the logs. Waiting is for events, with a limit.
# Needs BF_BUILD and BF_SOURCE.

. "$BF_SOURCE/tests/lib/processes.sh"

CLUSTER=
CLUSTER_MARK=cluster.$$
CLUSTER_BROKER=
CLUSTER_WORKERS=
CLUSTER_PORT=
CLUSTER_NAME=
CLUSTER_KEY=                            # the key file of workers that are started, if it is not worker.key
CLUSTER_STARTED=0
# Seconds for anything that is waited for: only a test that fails waits so long, and a machine with other work is slow, not wrong. More
# than the minute for which sessions of clients are kept.
CLUSTER_LIMIT=150
CLUSTER_ALSO=${CLUSTER_ALSO-}           # a directory that the test made elsewhere, removed at the end
CLUSTER_OPTIONS=${CLUSTER_OPTIONS-}     # more options of the broker, wherever it is started

cluster_program() { find "$BF_BUILD" -path "$BF_BUILD/run" -prune -o -type f -name "$1" -perm -u+x -print | head -n 1; }

cluster_fail() {
    echo "failed: $*" >&2
    exit 1
}

# Everything that was started is ended, whatever state the test is in.
cluster_end() {
    cluster_status=$?
    trap '' INT TERM
    # shellcheck disable=SC2086
    [ -z "$CLUSTER_BROKER$CLUSTER_WORKERS" ] || kill -KILL $CLUSTER_WORKERS $CLUSTER_BROKER 2>/dev/null || true
    if [ "$cluster_status" -ne 0 ] && [ -n "$CLUSTER" ]; then
        for cluster_log in "$CLUSTER"/*.log ./*.out; do
            [ -f "$cluster_log" ] || continue
            echo "== $cluster_log" >&2
            tail -n 40 "$cluster_log" >&2
        done
    fi
    for cluster_pid in $(marked_processes "$CLUSTER_MARK"); do
        kill -KILL "$cluster_pid" 2>/dev/null || true
    done
    [ -z "$CLUSTER" ] || rm -rf "$CLUSTER"
    [ -z "$CLUSTER_ALSO" ] || rm -rf "$CLUSTER_ALSO"
    exit "$cluster_status"
}

# cluster_until WHAT COMMAND...: tries until the command succeeds.
cluster_until() {
    cluster_what=$1
    cluster_deadline=$(($(date +%s) + CLUSTER_LIMIT))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$cluster_deadline" ] || cluster_fail "not within $CLUSTER_LIMIT s: $cluster_what"
        sleep 0.05                                      # between two looks
    done
}

# A child that has ended and was not waited for is not alive.
cluster_alive() { read -r _ _ cluster_state _ 2>/dev/null <"/proc/$1/stat" && [ "$cluster_state" != Z ]; }
cluster_gone() { ! cluster_alive "$1"; }
# Is the broker open, or has it ended?
cluster_broker_known() { [ -s "$CLUSTER/ports" ] || ! cluster_alive "$CLUSTER_BROKER"; }
# cluster_has N: so many workers have joined, by the broker's own account.
cluster_has() { "$CLUSTER_BFORK" status --json 2>/dev/null | grep -qE "\"workers\": ?$1[,}]"; }

# cluster_broker [OPTION...]: starts the broker in the cluster's directory, with CLUSTER_OPTIONS; 0: it is open, 3: a port is taken.
# shellcheck disable=SC2086,SC2120
cluster_broker() {
    rm -f "$CLUSTER/ports"
    BF_MARK=$CLUSTER_MARK HOME=$CLUSTER "$(cluster_program bfork-broker)" --dir "$CLUSTER/keys" --endpoint "tcp://127.0.0.1:$CLUSTER_PORT" \
        --ports-file "$CLUSTER/ports" $CLUSTER_OPTIONS "$@" >>"$CLUSTER/broker.log" 2>&1 &
    CLUSTER_BROKER=$!
    cluster_until "the broker is open" cluster_broker_known
    [ ! -s "$CLUSTER/ports" ] || return 0
    cluster_code=0
    wait "$CLUSTER_BROKER" || cluster_code=$?
    CLUSTER_BROKER=
    [ "$cluster_code" -eq 3 ] || cluster_fail "the broker ended with $cluster_code"
    return 3
}

# cluster_worker [OPTION...]: starts one more worker, as CLUSTER_NAME if that is set; its process id is CLUSTER_WORKER.
cluster_worker() {
    cluster_name=${CLUSTER_NAME:-worker$CLUSTER_STARTED}
    CLUSTER_STARTED=$((CLUSTER_STARTED + 1))
    mkdir -p "$CLUSTER/$cluster_name"
    BF_MARK=$CLUSTER_MARK HOME=$CLUSTER/$cluster_name "$(cluster_program bfork-worker)" --key "${CLUSTER_KEY:-$CLUSTER/keys/worker.key}" \
        --state-dir "$CLUSTER/$cluster_name" --name "$cluster_name" "$@" \
        >>"$CLUSTER/$cluster_name.log" 2>&1 &
    CLUSTER_WORKER=$!
    CLUSTER_WORKERS="$CLUSTER_WORKERS $CLUSTER_WORKER"
}

cluster_start() {
    CLUSTER=$(mktemp -d)
    CLUSTER_BFORK=$(cluster_program bfork)
    trap cluster_end EXIT
    trap 'exit 1' INT TERM HUP
    # Three ports in a row below the range that the system gives out; taken ones are found out by the broker.
    while :; do
        CLUSTER_PORT=$((10000 + $(od -An -N2 -tu2 /dev/urandom) % 7300 * 3))
        rm -rf "$CLUSTER/keys"
        "$CLUSTER_BFORK" keygen --dir "$CLUSTER/keys" --profile test --broker "tcp://127.0.0.1:$CLUSTER_PORT" >"$CLUSTER/keygen.log" 2>&1 ||
            { cat "$CLUSTER/keygen.log" >&2; cluster_fail "bfork keygen"; }
        ! cluster_broker || break
    done
    BFORK_PROFILE=$CLUSTER/keys/test.conf
    export BFORK_PROFILE
    cluster_i=0
    while [ "$cluster_i" -lt "$1" ]; do
        cluster_worker --slots "$2"
        cluster_i=$((cluster_i + 1))
    done
    cluster_until "$1 workers have joined" cluster_has "$1"
}

# cluster_ended WHAT PID: it ends by itself, with status 0.
cluster_ended() {
    cluster_until "the end of $1" cluster_gone "$2"
    cluster_code=0
    wait "$2" || cluster_code=$?
    [ "$cluster_code" -eq 0 ] || cluster_fail "$1 ended with $cluster_code"
}

cluster_stop() {
    for cluster_pid in $CLUSTER_WORKERS; do
        kill -TERM "$cluster_pid"
        cluster_ended "worker $cluster_pid" "$cluster_pid"
    done
    CLUSTER_WORKERS=
    kill -TERM "$CLUSTER_BROKER"
    cluster_ended "the broker" "$CLUSTER_BROKER"
    CLUSTER_BROKER=
    no_process_is_left "$CLUSTER_MARK" || cluster_fail "processes are left"
}
