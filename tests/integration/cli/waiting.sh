#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# waiting.sh - what waits for a cluster that has nothing to run it says what is missing, once, goes on waiting, and is done when it can be.
# shellcheck disable=SC1091
set -eu
. "$BF_SOURCE/tests/lib/cluster.sh"
cluster_start 0 1
square=$BF_BUILD/tests/programs/program-square

says() { grep -q "$1" "$2"; }
# ended NAME PID: it has ended well, and has said so exactly once.
ended() {
    wait "$2" || cluster_fail "$1: status $?: $(cat "$1.err")"
    [ "$(grep -c 'waiting:' "$1.err")" -eq 1 ] || cluster_fail "$1 has said: $(cat "$1.err")"
}

runs_one() { "$CLUSTER_BFORK" status --json | grep -qE '"running": ?1[,}]'; }

# No worker: a command and a program.
"$CLUSTER_BFORK" run -- echo hello >run.out 2>run.err &
run=$!
"$square" >square.out 2>square.err &
program=$!
cluster_until 'bfork run says that there is no worker' says '^bfork: waiting: no worker is connected' run.err
cluster_until 'a program says that there is no worker' says '^program-square: waiting: no worker is connected' square.err
cluster_worker --slots 1
ended run "$run"
ended square "$program"
[ "$(cat run.out)" = hello ] || cluster_fail "bfork run: $(cat run.out)"
printf '%s\n' 1 4 9 16 25 | cmp -s - square.out || cluster_fail "square: $(cat square.out)"

# While it has a slot nothing is said, however long a command takes.
"$CLUSTER_BFORK" run -- sleep 3 2>slow.err || cluster_fail "the slow one: $(cat slow.err)"
[ ! -s slow.err ] || cluster_fail "a command that had a slot has said: $(cat slow.err)"

# Its only slot runs another pool's task: that one hears nothing, the other is told, and has the slot when the task has ended.
"$CLUSTER_BFORK" run -- sh -c "until [ -e '$PWD/go' ]; do sleep 0.1; done; echo first" >first.out 2>first.err &
first=$!
cluster_until 'the first has the slot' runs_one
"$CLUSTER_BFORK" run -- echo second >second.out 2>second.err &
second=$!
cluster_until 'the second says that the slot is busy' says '^bfork: waiting: all 1 slots .* are busy with other work' second.err
touch go
ended second "$second"
wait "$first" || cluster_fail "the first: status $?: $(cat first.err)"
[ "$(cat first.out second.out)" = "$(printf 'first\nsecond')" ] || cluster_fail "they have said: $(cat first.out second.out)"
[ ! -s first.err ] || cluster_fail "the first had the slot, and said: $(cat first.err)"

# No broker that answers.
kill -STOP "$CLUSTER_BROKER"
"$CLUSTER_BFORK" run -- echo third >third.out 2>third.err &
third=$!
cluster_until 'the third says that there is no connection' says 'waiting: there is no connection: broker tcp://' third.err
kill -CONT "$CLUSTER_BROKER"
ended third "$third"
[ "$(cat third.out)" = third ] || cluster_fail "the third: $(cat third.out)"
cluster_stop
