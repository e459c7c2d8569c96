#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# output.sh - what tasks print, with real daemons: a client that does not read, and a worker that is lost in the middle of it.
# shellcheck disable=SC1091,SC2034,SC2153,SC2016
. "$(dirname "$0")/lib.sh"
ASAN_OPTIONS=quarantine_size_mb=4:${ASAN_OPTIONS-}      # what daemons hold is what they hold
export ASAN_OPTIONS
MOST=65536                      # KiB that windows, queues and their copies may take
cluster_start 1 2
well

begin 'r21_a_client_that_does_not_read'
broker_before=$(rss_kib "$CLUSTER_BROKER")
worker_before=$(rss_kib "$CLUSTER_WORKER")
mkfifo pipe
BF_MARK=$CLUSTER_MARK "$CLUSTER_BFORK" run -- sh -c 'seq 1 40000000; : >"$0/written"' "$PWD" >pipe 2>stuck.err &
client=$!
exec 4<pipe
head -c 1 <&4 >first            # it prints, and from here on nobody reads
# Others are served meanwhile, those who print, too.
for round in 1 2 3; do
    well
    "$CLUSTER_BFORK" map -k seq 1 ::: 300000 300000 >others.out || cluster_fail "round $round of another client"
    [ "$(cksum <others.out)" = "$( (seq 1 300000; seq 1 300000) | cksum)" ] || cluster_fail "what another client reads is changed"
done
[ ! -e written ] || cluster_fail 'a task has written 338 MB that nobody has read'
grown=$(($(rss_kib "$CLUSTER_BROKER") - broker_before))
[ "$grown" -lt "$MOST" ] || cluster_fail "the broker has grown by $grown KiB"
grown=$(($(rss_kib "$CLUSTER_WORKER") - worker_before))
[ "$grown" -lt "$MOST" ] || cluster_fail "the worker has grown by $grown KiB"
held=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$client/status")
[ "$held" -lt 200000 ] || cluster_fail "the client holds $held KiB"
# All of it comes when somebody reads.
[ "$(cat first - <&4 | cksum)" = "$(seq 1 40000000 | cksum)" ] || cluster_fail 'not all of it comes, or something else'
exec 4<&-
cluster_ended 'the client' "$client"
[ -e written ] || cluster_fail 'the command has not ended'
echo "broker and worker have grown by $(($(rss_kib "$CLUSTER_BROKER") - broker_before)) and $(($(rss_kib "$CLUSTER_WORKER") - worker_before)) KiB"
well

begin 'r21_a_worker_that_is_lost_while_a_task_prints'
half='if mkdir "$0/$1" 2>/dev/null; then echo "$1 begins"; printf "and has no"; : >"$0/$1/printed"; exec sleep 1000; fi; echo "$1 is whole"'
lose_worker() {                 # lose_worker PRINTED: when that is there; another one takes its place
    cluster_until 'the task prints' test -e "$1"
    kill -KILL "$CLUSTER_WORKER"
    not_worker "$CLUSTER_WORKER"
    cluster_worker --slots 2
}
BF_MARK=$CLUSTER_MARK "$CLUSTER_BFORK" map -k sh -c "$half" "$PWD" ::: one two >map.out 2>map.err &
client=$!
cluster_until 'the other task prints, too' test -e two/printed
lose_worker one/printed
cluster_ended 'the map' "$client"
[ "$(cat map.out)" = "$(printf 'one is whole\ntwo is whole')" ] || cluster_fail "lines of a lost attempt are among those that count: $(cat map.out)"
well
# Who passes output on as it comes cannot take it back: that is an error, not a mixture.
BF_MARK=$CLUSTER_MARK "$CLUSTER_BFORK" run -- sh -c "$half" "$PWD" three >run.out 2>run.err &
client=$!
cluster_until 'the first line has come' test -s run.out
lose_worker three/printed
cluster_until 'the end of the run' cluster_gone "$client"
code=0
wait "$client" || code=$?
[ "$code" -eq 125 ] || cluster_fail "the run ends with $code: $(cat run.err)"
says run.err 'have been passed on already'
[ "$(cat run.out)" = 'three begins' ] || cluster_fail "its output: $(cat run.out)"
well
cluster_stop
