#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# owners.sh - what one owner's pools need, or pretend to need, keeps no other owner from a worker: programs that nobody has, sizes that
# are wrong, and memory that is full of programs.
# shellcheck disable=SC1091,SC2034,SC2153
. "$(dirname "$0")/lib.sh"
cluster_start 0 0
cluster_worker --slots 12 --program-memory 50M
cluster_until 'the worker has joined' cluster_has 1
endpoint=tcp://127.0.0.1:$CLUSTER_PORT
"$CLUSTER_BFORK" keygen --dir "$CLUSTER/keys" client mallory >keygen.out 2>&1 || { cat keygen.out; cluster_fail 'keygen client mallory'; }
sed 's|^key  .*|key = client-mallory.key|' "$BFORK_PROFILE" >"$CLUSTER/keys/mallory.conf"
kill -HUP "$CLUSTER_BROKER"
mallory_may() { "$CLUSTER_BFORK" --profile "$CLUSTER/keys/mallory.conf" run -- true 2>mallory.err; }
cluster_until 'the other client is allowed' mallory_may

# program NAME MIB: another program, so much larger.
program() {
    cp "$FAULTS/fault_victim" "$1"
    { echo "$1"; head -c "$2"M /dev/zero; } >>"$1"
}
# right PROGRAM ARG...: its owner's results are right.
right() {
    right_code=0
    timeout 100 "$@" >right.out 2>right.err || right_code=$?
    cat right.out right.err
    [ "$right_code" -eq 0 ] && [ "$(cat right.out)" = '1 4 9 16 25' ] || cluster_fail "the results of $1 are not right"
}

begin 'r09_a: eight pools of one key name absent programs, or a wrong size, and pools of another key run all the while'
program p0 0
BF_MARK=$CLUSTER_MARK "$FAULTS/fault_peer" absent "$endpoint" "$CLUSTER/keys/client-mallory.key" p0 8 >absent.out 2>&1 &
absent=$!
cluster_until 'the other key has its pools' logged absent.out pools 0
right ./p0 same                                         # the program of whose size the other key lies
rounds=0 among=0
while ! cluster_gone "$absent"; do
    rounds=$((rounds + 1))
    program "p$rounds" 0                                # each is fetched anew
    right "./p$rounds" one
    logged absent.out 'job=[1357]' 0 || among=$rounds   # no absent program has been given up yet
done
wait "$absent" || { cat absent.out; cluster_fail 'the other key has no answers'; }
cat absent.out
echo "$rounds programs ran, $among of them before an absent one was given up"
[ "$among" -gt 0 ] || cluster_fail 'the absent programs held up the others'
[ "$(grep -c 'kind=-8' absent.out)" -eq 8 ] || cluster_fail 'what cannot run was not refused'
[ "$(grep -c 'announced with' absent.out)" -eq 4 ] || cluster_fail 'a wrong size is not said'

begin 'r09_b: the memory for programs is full of a warm one of another key: it makes room'
program large 30
program other 30
mkfifo stay
BF_MARK=$CLUSTER_MARK BFORK_PROFILE=$CLUSTER/keys/mallory.conf ./large one stay <stay >stay.out 2>&1 &
stays=$!
exec 3>stay
cluster_until 'it has run and stays' logged stay.out '1 4 9 16 25' 0
right ./other one
cluster_alive "$stays" || cluster_fail 'the other pool is gone'
exec 3>&-
wait "$stays" || { cat stay.out; cluster_fail 'the other pool failed'; }

begin 'r09_c: the warm one works: the pool waits, says why, and runs when there is room'
BF_MARK=$CLUSTER_MARK BFORK_PROFILE=$CLUSTER/keys/mallory.conf ./large two busy "$PWD/enough" >busy.out 2>&1 &
busy=$!
works() { "$CLUSTER_BFORK" jobs --all --json 2>/dev/null | tr -d ' ' | grep -q '"running":[1-9]'; }
cluster_until 'the large one works' works
BF_MARK=$CLUSTER_MARK ./other two >waits.out 2>&1 &
waits=$!
cluster_until 'the other one says what it waits for' logged waits.out 'waiting: no room now for other' 0
cluster_alive "$waits" || { cat waits.out; cluster_fail 'it did not wait'; }
: >enough
wait "$busy" || { cat busy.out; cluster_fail 'the large one failed'; }
wait "$waits" || { cat waits.out; cluster_fail 'the other one failed'; }
cat waits.out
says waits.out '^1 4 9 16 25'
cluster_stop
