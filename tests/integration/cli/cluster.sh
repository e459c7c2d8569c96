#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# cluster.sh - run and map through a broker and a worker: the same commands, outputs and exit statuses as on this machine.
# shellcheck disable=SC1091,SC2016,SC2154
. "$(dirname "$0")/lib.sh" </dev/null
worker=$BF_BUILD/worker/bfork-worker
[ -x "$worker" ] || fail "there is no $worker: build it first"
start_broker

# A worker is told the clients' endpoint and takes the port after it.
port=$(port_of worker-endpoint)
port=${port##*:}
"$worker" --dir keys --broker "tcp://127.0.0.1:$((port - 1))" --slots 2 --name rack-7 >worker.log 2>&1 &
worker_pid=$!

# A task waits until there is a worker.
expect 0 "$bfork" run -- uname -n
out_is "$(uname -n)"
expect 0 "$bfork" workers
out_has rack-7
expect 0 "$bfork" status
out_has '1 worker, 2 slots'
expect 3 "$bfork" run -- sh -c 'echo out; echo err >&2; exit 3'
out_is out
err_has err
expect 137 "$bfork" run -- sh -c 'kill -KILL $$'
expect 127 "$bfork" run -- /no/such/command
expect 124 "$bfork" run --time-limit 200ms -- sleep 600

# A directory of the worker's host; the report of a missing one names it and the host, and another pool is well.
mkdir shared
echo here >shared/file
expect 0 "$bfork" run --cwd "$PWD/shared" -- cat file
out_is here
expect 0 "$bfork" map --cwd shared cat ::: file
out_is here
expect 125 "$bfork" run --cwd "$PWD/missing" -- cat file
err_has "cannot enter the directory $PWD/missing on host $(uname -n): No such file or directory"
expect 1 "$bfork" map --cwd "$PWD/missing" cat ::: file
err_has "cannot enter the directory $PWD/missing on host"
expect 1 "$bfork" map -q cat ::: shared/file

# r01, r24: on a cluster, too, whatever is written comes.
seq 1 8000000 >numbers
expect 0 "$bfork" run -- seq 1 8000000
cmp -s out numbers || fail 'r01: 62 MB are changed'
expect 0 "$bfork" map -k seq 1 ::: 400000 8000000 300000
[ "$(cksum <out)" = "$( (seq 1 400000; cat numbers; seq 1 300000) | cksum)" ] || fail 'r01: outputs of a map are changed'
expect 124 "$bfork" run --time-limit 300ms -- sh -c 'echo the last words; echo more >&2; sleep 1000'
out_is 'the last words'
err_has more

# r02: on a cluster, too. Each takes so long that the others have not run by the time that a busy machine has stopped them.
seq 1 300 >many
expect 7 "$bfork" map -q -j 1 --halt soon,fail=1 sh -c 'echo >>"$0"/ran; sleep 0.2; exit 7' "$PWD" <many
[ "$(wc -l <ran)" -le 16 ] || fail "r02: $(wc -l <ran) tasks ran where the first should have been the last"
rm ran
expect 7 "$bfork" map -q --halt soon,fail=1 sh -c 'echo >>"$0"/ran; exit 7' "$PWD" <many
[ "$(wc -l <ran)" -le 32 ] || fail "r02: $(wc -l <ran) tasks ran where 300 were queued"
rm ran
expect 7 "$bfork" map -q -j 1 --halt now,fail=1 sh -c 'echo >>"$0"/ran; exit 7' "$PWD" <many
[ "$(wc -l <ran)" -le 16 ] || fail "r02: $(wc -l <ran) tasks ran with --halt now"
rm ran many

seq 1 2000 >numbers
expect 0 "$bfork" map -k echo <numbers
cmp -s out numbers || fail '2000 lines in order'
expect 101 "$bfork" map -q false <numbers
expect 0 "$bfork" bench -t 50ms --json
out_has '"commands_per_second"'

# Both end when asked to.
kill -TERM "$worker_pid"
status=0
wait "$worker_pid" || status=$?
[ "$status" -eq 0 ] || fail "the worker ends with $status: $(cat worker.log)"
worker_pid=
kill -TERM "$broker_pid"
status=0
wait "$broker_pid" || status=$?
[ "$status" -eq 0 ] || fail "the broker ends with $status: $(cat log.text)"
