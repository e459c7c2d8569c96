# SPDX-License-Identifier: MPL-2.0
# shellcheck shell=sh
# lib.sh - what the fault tests share: a cluster (tests/lib/cluster.sh), its client, and looking at both. Sourced; the working
# directory is the test's own.
#
#     begin TEXT               prints the case that follows
#     well                     100 tasks and a map of 100 of a client that behaves: the end of each case
#     spawn FILE MODE ARG...   the client in the background, its output in FILE.out, as CLIENT
#     finished FILE            waits for it; its exit status must be 0; prints its counts
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
. "$BF_SOURCE/tests/lib/cluster.sh"
FAULTS=$BF_BUILD/tests/faults
CLIENT=
# KiB that a sanitizer keeps back of what is freed: added to what a daemon may grow by.
# shellcheck disable=SC2034
QUARANTINE=0
# shellcheck disable=SC2034
[ -z "${BF_SANITIZE-}" ] || QUARANTINE=327680

begin() { echo "-- $*"; }

well() {
    "$FAULTS/fault_client" good >well.out 2>&1 || { cat well.out >&2; cluster_fail "a client that behaves is not served"; }
}

spawn() {
    spawn_file=$1
    shift
    BF_MARK=$CLUSTER_MARK "$FAULTS/fault_client" "$@" >"$spawn_file.out" 2>&1 &
    CLIENT=$!
}

finished() {
    cluster_until "the end of client $1" cluster_gone "$CLIENT"
    finished_code=0
    wait "$CLIENT" || finished_code=$?
    cat "$1.out"
    [ "$finished_code" -eq 0 ] || cluster_fail "client $1 ended with $finished_code"
}

# counter NAME: a number of bfork status.
counter() { "$CLUSTER_BFORK" status --all --json | tr -d ' ' | grep -oE "\"$1\":[0-9]+" | head -n 1 | cut -d: -f2; }
counter_is() { [ "$(counter "$1")" = "$2" ]; }
counter_above() { [ "$(counter "$1")" -gt "$2" ]; }

worker_state() { "$CLUSTER_BFORK" workers --json | grep -q "\"$1\""; }
# logged FILE WORD N: the word is there more than N times.
logged() { [ -f "$1" ] && [ "$(grep -c -e "$2" "$1")" -gt "$3" ]; }

# lines FILE: of what ran; lines_above FILE N, for cluster_until.
lines() { if [ -f "$1" ]; then wc -l <"$1"; else echo 0; fi; }
lines_above() { [ "$(lines "$1")" -gt "$2" ]; }
# twice FILE: how many tasks ran more than once; distinct FILE: how many ran.
twice() { cut -d' ' -f1 "$1" | sort | uniq -d | wc -l; }
distinct() { cut -d' ' -f1 "$1" | sort -u | wc -l; }

says() { grep -qE -e "$2" "$1" || { cat "$1" >&2; cluster_fail "$1 does not say \"$2\""; }; }

# descendants PID: its children, theirs, and so on.
descendants() {
    for descendant in $(ps -o pid= --ppid "$1"); do
        echo "$descendant"
        descendants "$descendant"
    done
}
all_gone() {
    for all_pid in $1; do
        cluster_gone "$all_pid" || return 1
    done
}

descriptors() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }
rss_kib() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }

# ms: milliseconds of a clock that only grows.
ms() { cut -d' ' -f1 /proc/uptime | tr -d .  | sed 's/$/0/'; }

# not_worker PID: it was ended by the test; cluster_stop must not look for it.
not_worker() {
    not_left=
    for not_pid in $CLUSTER_WORKERS; do
        [ "$not_pid" = "$1" ] || not_left="$not_left $not_pid"
    done
    CLUSTER_WORKERS=$not_left
    wait "$1" 2>/dev/null || true
}

# restart_broker SIGNAL: ends the broker so and starts it again on the same port.
restart_broker() {
    kill "-$1" "$CLUSTER_BROKER"
    wait "$CLUSTER_BROKER" 2>/dev/null || true
    CLUSTER_BROKER=
    cluster_broker || cluster_fail "the broker does not start again"
}
