#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# soak.sh [MINUTES] - hours of load with a fault every ten seconds: brokers and workers are killed, stopped and started again,
# clients die. Not one of the tests. Every round of work has exactly one outcome a task; memory and descriptors of the broker are
# printed. Ends with 1 at the first loss. BF_BUILD is a built tree, BF_SOURCE this one:
#     tests/lib/in_directory "$BF_BUILD/run/soak" "$BF_SOURCE/tests/faults/soak.sh" 600
# shellcheck disable=SC1091,SC2034,SC2153
MINUTES=${1:-10}
CLUSTER_OPTIONS='--lease 2s --heartbeat 300ms --detach 5s'
. "$BF_SOURCE/tests/faults/lib.sh"
cluster_start 3 2
well
end=$(($(date +%s) + MINUTES * 60))
round=0 attempted=0

victim() {          # one of the workers, in turn
    # shellcheck disable=SC2086
    set -- $CLUSTER_WORKERS
    shift $((round % $#))
    echo "$1"
}

while [ "$(date +%s)" -lt "$end" ]; do
    round=$((round + 1))
    rm -f ./*.ran
    spawn soak submit 10000 3500 "$PWD/soak.ran"         # about six seconds of work for six slots
    soaked=$CLIENT
    cluster_until 'the work is under way' lines_above soak.ran 2000
    case $((round % 5)) in
    0) fault='kill -9 of the broker' && restart_broker KILL ;;
    1)  fault='kill -9 of a worker' && dead=$(victim) && kill -KILL "$dead" && not_worker "$dead" && cluster_worker --slots 2 ;;
    2)  fault='a worker stopped for 3 s' && dead=$(victim) && kill -STOP "$dead" && sleep 3 && kill -CONT "$dead" ;;
    3)  fault='the broker stopped for 3 s' && kill -STOP "$CLUSTER_BROKER" && sleep 3 && kill -CONT "$CLUSTER_BROKER" ;;
    4)  fault='kill -9 of a client' && spawn other map 10000 1000 "$PWD/other.ran" &&
            cluster_until 'the other works' lines_above other.ran 10 && kill -KILL "$CLIENT" && { wait "$CLIENT" || true; } ;;
    esac
    CLIENT=$soaked
    finished soak >counts
    [ "$(distinct soak.ran)" -eq 10000 ] || cluster_fail 'some tasks never ran'
    cluster_until 'all workers are back' cluster_has 3
    well
    attempted=$((attempted + 10200))
    echo "$round: $fault: $(cat counts); again $(twice soak.ran);" \
        "broker $(rss_kib "$CLUSTER_BROKER") KiB, $(descriptors "$CLUSTER_BROKER") descriptors"
done
echo "$round faults, $attempted tasks, none lost"
cluster_stop
