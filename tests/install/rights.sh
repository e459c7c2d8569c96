#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# rights.sh - as root: an installed worker that becomes another user, whose tasks then try to get at its key; who refuses to let tasks be
# root; and who says that its key is within reach.
# shellcheck disable=SC1091,SC2016,SC2034
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo 'rights.sh: must be root (CI is)' >&2; exit 1; }
# In a place that every user may enter.
prefix=$(mktemp -d)
CLUSTER_ALSO=$prefix
built=$BF_BUILD
cmake --install "$BF_BUILD" --prefix "$prefix" >install.log
chmod -R go+rX "$prefix"
BF_BUILD=$prefix
unset LD_LIBRARY_PATH BFORK_WORKER_ALLOW_ROOT_TASKS
. "$BF_SOURCE/tests/lib/cluster.sh"
cluster_start 0 1
cp "$built/tests/install/thief" "$prefix/bin/"
chmod 755 "$prefix/bin/thief"
chmod 711 "$CLUSTER"
key=$CLUSTER/keys/worker.key
user=nobody
uid=$(id -u "$user")
worker=$(cluster_program bfork-worker)

begin() { echo "-- $*"; }
# refused WORD OPTION...: a worker that does not start, and says the word; it has made nothing.
refused() {
    refused_word=$1
    shift
    refused_code=0
    HOME=$CLUSTER timeout 30 "$worker" --key "$key" --state-dir "$CLUSTER/refused" "$@" >refused.out 2>&1 </dev/null || refused_code=$?
    cat refused.out
    [ "$refused_code" -eq 2 ] || cluster_fail "it ended with $refused_code, not 2: $*"
    grep -q -e "$refused_word" refused.out || cluster_fail "it does not say $refused_word"
    [ ! -e "$CLUSTER/refused" ] || cluster_fail 'a refused worker made its state directory'
}

begin 'r12_a: tasks are never root unless that is said'
refused '--allow-root-tasks' --user root
refused 'no user nosuchuser.*--allow-root-tasks' --user nosuchuser
getent passwd broadfork >/dev/null || refused 'no user broadfork.*--user'

begin 'r25_a: a worker that becomes another user: its tasks cannot get its key'
BF_MARK=$CLUSTER_MARK HOME=$CLUSTER "$worker" --key "$key" --slots 2 --name dropped --user "$user" --state-dir "$CLUSTER/made/here" \
    >"$CLUSTER/dropped.log" 2>&1 &
CLUSTER_WORKER=$!
CLUSTER_WORKERS=$CLUSTER_WORKER
cluster_until 'it has joined' cluster_has 1
[ "$(stat -c '%U %a' "$CLUSTER/made/here")" = "$user 700" ] || cluster_fail 'its state directory is not its own'
pid=$CLUSTER_WORKER
[ "$("$CLUSTER_BFORK" run -- id -u)" = "$uid" ] || cluster_fail "tasks are not user $uid"
[ "$("$CLUSTER_BFORK" run -- id -G)" = "$(id -G "$user")" ] || cluster_fail 'tasks have groups of root'
[ "$("$CLUSTER_BFORK" run -- sh -c 'echo $HOME')" = "$(getent passwd "$user" | cut -d: -f6)" ] || cluster_fail 'tasks have the home of root'
# shellcheck disable=SC2046
set -- $(sed -n 's/^Uid:[[:blank:]]*//p' "/proc/$pid/status")
[ "$*" = "$uid $uid $uid $uid" ] || cluster_fail "the worker is still somebody else: $*"
for set in CapInh CapPrm CapEff CapAmb; do
    grep -q "^$set:[[:blank:]]*0000000000000000$" "/proc/$pid/status" || cluster_fail "the worker has kept $set: $(cat "/proc/$pid/status")"
done
grep -q '^NoNewPrivs:[[:blank:]]*1$' "/proc/$pid/status" || cluster_fail 'the worker may gain privileges'
"$CLUSTER_BFORK" run -- "$prefix/bin/thief" "$key" "$pid" >thief.out || { cat thief.out; cluster_fail 'a task can get at the key'; }
cat thief.out
grep -q "as user $uid, 0 open" thief.out || cluster_fail 'the thief did not try'
"$CLUSTER_BFORK" workers >workers.out
cat workers.out
grep -q '^dropped .*safe' workers.out || cluster_fail 'bfork workers does not say that the key is safe'
! grep -q key_exposed "$CLUSTER/dropped.log" || cluster_fail 'it says that its key is exposed'
kill -TERM "$pid"
cluster_ended 'the worker' "$pid"
CLUSTER_WORKERS=

begin 'r25_b: whose tasks could read its key says so, and they can'
CLUSTER_NAME=root
cluster_worker --slots 2 --allow-root-tasks
CLUSTER_NAME=
cluster_until 'it has joined' cluster_has 1
code=0
"$CLUSTER_BFORK" run -- "$prefix/bin/thief" "$key" "$CLUSTER_WORKER" >thief.out || code=$?
grep -qF "open: read $key" thief.out && [ "$code" -eq 3 ] || { cat thief.out; cluster_fail 'the thief cannot steal: the test shows nothing'; }
"$CLUSTER_BFORK" workers >workers.out
cat workers.out
grep -q '^root .*exposed' workers.out || cluster_fail 'bfork workers does not say that the key is exposed'
grep -q 'key_exposed.*tasks run as a user that can read this worker' "$CLUSTER/root.log" || cluster_fail 'it does not say so at its start'
cluster_stop
