#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# terminal.sh - r14: texts of a worker, a client and a command that would steer a terminal reach none: tables, JSON, errors, summaries,
# logs of the broker and of the worker. What a command prints is its user's, byte for byte.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh" </dev/null
worker=$BF_BUILD/worker/bfork-worker
[ -x "$worker" ] || fail "there is no $worker: build it first"
start_broker

evil=$(printf 'x\033]0;y\007\302\2332J\342\200\256z\342\201\246\233end')
port=$(port_of worker-endpoint)
port=${port##*:}
"$worker" --dir keys --broker "tcp://127.0.0.1:$((port - 1))" --slots 2 --name "$evil" >worker.log 2>&1 &
worker_pid=$!

# clean FILE...: nothing in it steers a terminal. That the text is there, in its harmless part, shows that this looked at something.
clean() {
    for file in "$@"; do
        grep -q 'end' "$file" || fail "$file does not have the text at all: $(cat "$file")"
        ! LC_ALL=C grep -nP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]' "$file" ||
            fail "r14: $file would steer a terminal: $(od -c "$file" | head -n 20)"
        iconv -f UTF-8 -t UTF-8 "$file" >/dev/null || fail "r14: $file has bytes that are no UTF-8"
    done
}

expect 0 "$bfork" run -- printf '%s' "$evil"
[ "$(cat out)" = "$evil" ] || fail 'r14: the output of a command was changed'
for shape in '' --json; do
    # shellcheck disable=SC2086
    expect 0 "$bfork" workers $shape
    clean out
done
# In JSON the output of a command is a text for other programs, and is shown on terminals. What is no UTF-8 is base64 there.
text=$(printf 'x\033]0;y\007\302\2332J\342\200\256z\342\201\246end')
expect 0 "$bfork" run --json -- printf '%s' "$text"
clean out
expect 0 "$bfork" map --json printf '%s' ::: "$text"
clean out
expect 1 "$bfork" map --json "./no/such/$text" ::: "$text"
clean out
expect 127 "$bfork" run --json -- "./no/such/$text"
clean out
expect 127 "$bfork" run -- "./no/such/$evil"
clean err
expect 1 "$bfork" map "./no/such/$evil" ::: a
clean err
expect 2 "$bfork" map -q ls ::: "./no/such/$evil" "./nor/this/$evil"
expect 2 "$bfork" map ls ::: "./no/such/$evil" "./nor/this/$evil"
grep '^bfork map: ' err >summary
clean summary
expect 2 "$bfork" status "$evil"
clean err

kill -TERM "$worker_pid"
status=0
wait "$worker_pid" || status=$?
[ "$status" -eq 0 ] || fail "the worker ends with $status: $(cat worker.log)"
worker_pid=

# A client whose program, session and pool have such a name; nobody runs its job, so that it is listed.
cp "$BF_BUILD/tests/programs/program-square" "./$evil"
BFORK_PROFILE=$PWD/keys/lab.conf "./$evil" >square.out 2>square.err &
client_pid=$!
trap 'kill -KILL $client_pid $broker_pid 2>/dev/null || true' EXIT
listed() { "$bfork" jobs >out 2>err && grep -q end out; }
waited=0
until listed; do
    kill -0 "$client_pid" || fail "it has ended: $(cat square.err)"
    waited=$((waited + 1))
    [ "$waited" -lt 600 ] || fail "its job is not listed: $(cat out err)"
    sleep 0.1                                           # between two looks
done
clean out
expect 0 "$bfork" jobs --json
clean out
expect 0 "$bfork" jobs --all
clean out
until grep -q 'waiting: ' square.err; do
    kill -0 "$client_pid" || fail "it has ended: $(cat square.err)"
    sleep 0.1                                           # between two looks
done
clean square.err
kill -KILL "$client_pid"
wait "$client_pid" || true
kill -TERM "$broker_pid"
status=0
wait "$broker_pid" || status=$?
[ "$status" -eq 0 ] || fail "the broker ends with $status: $(cat log.text)"
clean log.text worker.log
