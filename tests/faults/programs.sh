#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# programs.sh - what is executed on a worker is the program that its owner named, whatever other tasks of the worker's user write into
# the cache; it runs from memory, and its crashes still have a function and a line.
# shellcheck disable=SC1091,SC2016,SC2034,SC2153
. "$(dirname "$0")/lib.sh"
cluster_start 1 2
victim=$FAULTS/fault_victim
evil=$FAULTS/fault_evil
sha=$(sha256sum <"$victim" | cut -d' ' -f1)
cached=$CLUSTER/worker0/cache/$sha
profile=$BFORK_PROFILE
"$CLUSTER_BFORK" keygen --dir "$CLUSTER/keys" client mallory >keygen.out 2>&1 || { cat keygen.out; cluster_fail 'keygen client mallory'; }
sed 's|^key  .*|key = client-mallory.key|' "$profile" >"$CLUSTER/keys/mallory.conf"
kill -HUP "$CLUSTER_BROKER"
mallory_may() { "$CLUSTER_BFORK" --profile "$CLUSTER/keys/mallory.conf" run -- true 2>mallory.err; }
cluster_until 'the other client is allowed' mallory_may

# right WORD: the owner's results are right, in a pool of its own.
right() {
    right_code=0
    timeout 60 "$victim" "$1" >right.out 2>&1 || right_code=$?
    cat right.out
    [ "$right_code" -eq 0 ] && [ "$(cat right.out)" = '1 4 9 16 25' ] || cluster_fail "the owner's results are not right"
}

begin 'r08_a: another owner puts another program into the place of the cached file'
right one
[ -f "$cached" ] || cluster_fail "there is no $cached"
"$CLUSTER_BFORK" --profile "$CLUSTER/keys/mallory.conf" run -- sh -c 'cp "$1" "$2.new" && chmod 700 "$2.new" && mv "$2.new" "$2"' sh "$evil" "$cached"
cmp "$evil" "$cached" || cluster_fail 'the test did not replace the file'
right two

begin 'r08_b: and writes into the file that is there'
"$CLUSTER_BFORK" --profile "$CLUSTER/keys/mallory.conf" run -- sh -c 'cp "$1" "$2.new" && cat "$2.new" >"$2"' sh "$evil" "$cached"
right three

begin 'r08_c: when memory does not have it any more, the file is read again, found wrong, and fetched'
kill -TERM "$CLUSTER_WORKERS"
cluster_until 'the end of the worker' cluster_gone "${CLUSTER_WORKERS# }"
not_worker "${CLUSTER_WORKERS# }"
CLUSTER_NAME=worker0
cluster_worker --slots 2
CLUSTER_NAME=
cmp "$evil" "$cached" || cluster_fail 'the file was repaired without a reason'
right four
[ "$(sha256sum <"$cached" | cut -d' ' -f1)" = "$sha" ] || cluster_fail 'the wrong file is still there'

begin 'a crash of a program that runs from memory names function and line'
! timeout 60 "$victim" crash >crash.out 2>&1 || cluster_fail 'it did not crash'
cat crash.out
says crash.out 'SIGSEGV in victim_square'
says crash.out 'fault_victim.c:[0-9]'
cluster_stop
