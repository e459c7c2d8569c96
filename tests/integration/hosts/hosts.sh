#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# hosts.sh - four hosts: a broker, two workers, a client, each a network namespace with a host name of its own on one bridge. The
# commands of docs/guide.md, the same binary on all of them, and a worker that is cut off for longer than its lease. Needs root;
# nothing is left behind.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
. "$BF_SOURCE/tests/lib/cluster.sh"

# What it needs is there, or it fails: a test that is skipped tests nothing.
unable() {
    echo "this test cannot run here: $*" >&2
    exit 1
}
[ "$(id -u)" -eq 0 ] || unable 'network namespaces need root'
command -v ip >/dev/null 2>&1 || unable 'there is no ip command (package iproute2)'
tag=bf$$
ip netns add "$tag-try" 2>ip.err || unable "ip netns add: $(cat ip.err)"
ip netns delete "$tag-try"
unshare --uts true 2>ip.err || unable "unshare --uts: $(cat ip.err)"

HOSTS='a b c d'         # a: broker, b and c: workers, d: client
PIDS=
remove() {
    remove_status=$?
    trap '' INT TERM
    # shellcheck disable=SC2086
    [ -z "$PIDS" ] || kill -KILL $PIDS 2>/dev/null || true
    for host in $HOSTS hub; do
        for pid in $(ip netns pids "$tag-$host" 2>/dev/null); do
            kill -KILL "$pid" 2>/dev/null || true
        done
        ip netns delete "$tag-$host" 2>/dev/null || true
    done
    if [ "$remove_status" -ne 0 ]; then
        for log in ./*.log; do
            echo "== $log" >&2
            tail -n 30 "$log" >&2
        done
    fi
    exit "$remove_status"
}
trap remove EXIT
trap 'exit 1' INT TERM HUP

# The bridge is in a namespace, too: nothing changes on this machine.
ip netns add "$tag-hub"
ip -n "$tag-hub" link add hub type bridge 2>ip.err || unable "a bridge cannot be made: $(cat ip.err)"
ip -n "$tag-hub" link set hub up
number=1
for host in $HOSTS; do
    ip netns add "$tag-$host"
    ip -n "$tag-$host" link add eth0 type veth peer name "to-$host" netns "$tag-hub" 2>ip.err || unable "veth: $(cat ip.err)"
    ip -n "$tag-hub" link set "to-$host" master hub up
    ip -n "$tag-$host" addr add "10.77.0.$number/24" dev eth0
    ip -n "$tag-$host" link set eth0 up
    ip -n "$tag-$host" link set lo up
    mkdir -p "home-$host"
    number=$((number + 1))
done

# on HOST COMMAND...: as if typed there: own network, host name and home directory. exec: in place of the shell that calls.
on() {
    on_host=$1
    shift
    # shellcheck disable=SC2016
    env -u BFORK_DIR HOME="$PWD/home-$on_host" BF_MARK="$CLUSTER_MARK" ip netns exec "$tag-$on_host" \
        unshare --uts sh -c 'hostname "$0" && exec "$@"' "$on_host" "$@"
}
bfork=$(cluster_program bfork)
client=$BF_BUILD/tests/faults/fault_client
config=.config/broadfork

# The five commands; a's address instead of its name, and cp instead of scp.
on a "$bfork" keygen --broker tcp://10.77.0.1:7700 >keygen.log 2>&1
on a "$(cluster_program bfork-broker)" --lease 1s --heartbeat 200ms >broker.log 2>&1 &
PIDS="$PIDS $!"
for host in b c; do
    cp "home-a/$config/worker.key" "home-$host/worker.key"
    on "$host" "$(cluster_program bfork-worker)" --key "$PWD/home-$host/worker.key" --slots 2 >"worker-$host.log" 2>&1 &
    PIDS="$PIDS $!"
done
mkdir -p "home-d/$config"
cp "home-a/$config/lab.conf" "home-a/$config/client.key" "home-d/$config/"
has() { on d "$bfork" --profile lab status --json 2>/dev/null | grep -qE "\"workers\": ?$1[,}]"; }
cluster_until 'two workers have joined' has 2

name=$(on d "$bfork" --profile lab run -- uname -n)
echo "bfork run -- uname -n: $name"
case $name in b | c) ;; *) cluster_fail "the command ran on $name" ;; esac
on d "$bfork" --profile lab map -- sh -c 'sleep 0.2; uname -n' ::: 1 2 3 4 5 6 7 8 | sort | uniq -c >names
cat names
[ "$(wc -l <names)" -eq 2 ] || cluster_fail 'commands did not run on both hosts'
[ "$(on d "$bfork" --profile lab workers | grep -cE '^(b|c) ')" -eq 2 ] || cluster_fail 'bfork workers does not show b and c'

# The same binary, unchanged, on d alone and on the others.
sum=$(sha256sum <"$BF_BUILD/tests/programs/program-square")
on d "$BF_BUILD/tests/programs/program-square" >here
on d env BFORK_PROFILE=lab "$BF_BUILD/tests/programs/program-square" >there
diff here there || cluster_fail 'square gives other results on the cluster'
[ "$sum" = "$(sha256sum <"$BF_BUILD/tests/programs/program-square")" ] || cluster_fail 'the program was changed'
blob=$(sha256sum <"$BF_BUILD/tests/programs/program-square" | cut -d' ' -f1)
find home-b home-c -name "*$blob*" | grep -q . || cluster_fail 'no worker has fetched this very program'
echo "square: $(tr '\n' ' ' <there)"

# A worker is cut off for longer than its lease, and comes back.
on d env BFORK_PROFILE=lab "$client" submit 4000 2000 "$PWD/ran" >partition.out 2>&1 &
map=$!          # it ends before its namespace does, or with it
ran_above() { [ -f ran ] && [ "$(wc -l <ran)" -gt "$1" ]; }
cluster_until 'the work is under way' ran_above 400
ip -n "$tag-hub" link set to-c down
cluster_until 'c is lost' has 1
echo "c is cut off: $(grep -c ' is gone: ' broker.log) worker is lost"
ip -n "$tag-hub" link set to-c up
cluster_until 'c has joined again' has 2
cluster_until 'the work is done' cluster_gone "$map"
code=0
wait "$map" || code=$?
cat partition.out
echo "ran $(wc -l <ran), of them again $(cut -d' ' -f1 ran | sort | uniq -d | wc -l)"
[ "$code" -eq 0 ] || cluster_fail "the client ended with $code"
[ "$(cut -d' ' -f1 ran | sort -u | wc -l)" -eq 4000 ] || cluster_fail 'some tasks never ran'
on d env BFORK_PROFILE=lab "$client" good >good.out 2>&1 || { cat good.out; cluster_fail 'a client that behaves is not served'; }

for host in b c a; do
    for pid in $(ip netns pids "$tag-$host"); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in bfork-worker | bfork-broker) kill -TERM "$pid" ;; esac
    done
    empty() { [ -z "$(ip netns pids "$tag-$host")" ]; }
    cluster_until "no process is left on $host" empty
done
for pid in $PIDS; do
    wait "$pid" || cluster_fail "a daemon ended with $?"
done
PIDS=
