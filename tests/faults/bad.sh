#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# bad.sh - bad input: keys, addresses, versions, programs, directories, ports, wrong use, bad tasks. Each is refused with a
# message that says what is wrong and what to do and with the documented status, changes nothing, and leaves the cluster well.
# shellcheck disable=SC1091,SC2016,SC2034,SC2153
CLUSTER_OPTIONS='--lease 2s --heartbeat 300ms'
. "$(dirname "$0")/lib.sh"
cluster_start 1 2
well
keys=$CLUSTER/keys
broker=$(cluster_program bfork-broker)
worker=$(cluster_program bfork-worker)
clients=tcp://127.0.0.1:$CLUSTER_PORT
workers=tcp://127.0.0.1:$((CLUSTER_PORT + 1))
find "$keys" -type f ! -path '*/state/*' -exec sha256sum {} + | sort >before

# bad STATUS COMMAND...: it ends so, with a message; its output is in bad.out.
bad() {
    bad_status=$1
    shift
    bad_code=0
    BF_MARK=$CLUSTER_MARK timeout 30 "$@" >bad.out 2>&1 </dev/null || bad_code=$?
    grep -v '^$' bad.out | head -n 1 | cut -c1-240
    [ "$bad_code" -eq "$bad_status" ] || { cat bad.out >&2; cluster_fail "exit status $bad_code, not $bad_status: $*"; }
}

# profile NAME SED...: a profile that differs from the good one; its path is PROFILE.
profile() {
    profile_name=$1
    shift
    sed "$@" "$keys/test.conf" >"profile/$profile_name.conf"
    PROFILE=$PWD/profile/$profile_name.conf
}
mkdir profile
cp -p "$keys"/*.key profile/

begin 'a key file or profile that is missing, or readable by others'
profile missing 's|^key  .*|key = none.key|'
bad 125 "$CLUSTER_BFORK" --profile "$PROFILE" run -- true
says bad.out 'none.key.*bfork keygen'
cp profile/client.key profile/open.key
chmod 644 profile/open.key
profile readable 's|^key  .*|key = open.key|'
bad 125 "$CLUSTER_BFORK" --profile "$PROFILE" run -- true
says bad.out 'open.key.*chmod 600'
bad 125 "$CLUSTER_BFORK" --profile "$PROFILE" ping -c 1
bad 255 "$CLUSTER_BFORK" --profile "$PROFILE" map true ::: 1
bad 125 env HOME="$PWD" "$CLUSTER_BFORK" --profile nowhere run -- true
says bad.out nowhere
bad 2 "$worker" --key profile/none.key --state-dir state
says bad.out 'none.key.*bfork keygen'
bad 2 "$worker" --key profile/open.key --state-dir state
says bad.out 'open.key.*chmod 600'
bad 2 "$broker" --dir "$PWD/profile" --key profile/open.key --endpoint tcp://127.0.0.1:0
says bad.out 'open.key.*chmod 600'
echo nonsense >profile/nonsense.key
chmod 600 profile/nonsense.key
bad 2 "$worker" --key profile/nonsense.key --state-dir state
says bad.out 'not a key file'
[ ! -e state ] || cluster_fail 'a refused worker makes a directory'

begin 'a broker with another key than is known'
other=$("$CLUSTER_BFORK" keygen --dir other >/dev/null && sed -n 's/^broker-key *= *//p' other/lab.conf)
profile server '/^broker-key/d'
printf 'broker-key = %s\n' "$other" >>"$PROFILE"
bad 125 "$CLUSTER_BFORK" --profile "$PROFILE" run -- true
says bad.out 'key'
says bad.out "$clients"

begin 'a key that the broker does not know: client, worker'
cp other/client.key profile/stranger.key
profile stranger 's|^key  .*|key = stranger.key|'
bad 125 "$CLUSTER_BFORK" --profile "$PROFILE" run -- true
says bad.out 'bfork allow client'
# A worker says so once and goes on trying: it joins as soon as its key is allowed.
BF_MARK=$CLUSTER_MARK "$worker" --key other/worker.key --broker "$clients" \
    --broker-key "$(sed -n 's/^broker-key *= *//p' "$keys/test.conf")" --state-dir stranger >stranger.log 2>&1 &
stranger=$!
cluster_until 'it is told that its key is not known' logged stranger.log 'bfork allow worker' 0
tail -n 1 stranger.log | cut -c1-240
cluster_has 1 || cluster_fail 'a worker with an unknown key has joined'
kill -TERM "$stranger"
cluster_ended 'the worker that was refused' "$stranger"

begin 'a key at the wrong endpoint'
"$FAULTS/fault_peer" join "$workers" "$keys/client.key" 2 | tee bad.out | cut -c1-240
says bad.out '^code=-48 .*another role.s port'
"$FAULTS/fault_peer" join "$clients" "$keys/worker.key" 1 >bad.out
says bad.out '^code=-48 '
"$FAULTS/fault_peer" join "$clients" "$keys/client.key" 2 | tee bad.out | cut -c1-240
says bad.out '^code=-(48|49) .*is cut'

begin 'another version of the protocol: both are named, the session ends'
"$FAULTS/fault_peer" join "$clients" "$keys/client.key" 1 99 | tee bad.out | cut -c1-240
says bad.out '^code=-49 min=1 max=1 .*99.*is cut'
"$FAULTS/fault_peer" join "$workers" "$keys/worker.key" 2 99 >bad.out
says bad.out '^code=-49 min=1 max=1 .*99.*is cut'

begin 'a broker that is not there, or does not answer'
profile nobody 's|^broker  .*|broker = tcp://127.0.0.1:1|'
bad 125 "$CLUSTER_BFORK" --profile "$PROFILE" ping -c 1
says bad.out 'tcp://127.0.0.1:1[^0-9]'
profile unknown 's|^broker  .*|broker = tcp://no-such-host.invalid:7700|'
bad 125 "$CLUSTER_BFORK" --profile "$PROFILE" ping -c 1
says bad.out 'no-such-host.invalid'
well

begin 'a program for another architecture: announced so, or found out'
"$FAULTS/fault_peer" program "$clients" "$keys/client.key" "$FAULTS/fault_noinit" m68k-linux-gnu >bad.out
cut -c1-240 bad.out
says bad.out '^kind=-8 .*m68k-linux-gnu'
cp "$FAULTS/fault_noinit" doctored
printf '\004\000' | dd of=doctored bs=1 seek=18 conv=notrunc 2>dd.out
"$FAULTS/fault_peer" program "$clients" "$keys/client.key" doctored "$(uname -m)-linux-gnu" >bad.out
cut -c1-240 bad.out
says bad.out '^kind=-8 .*(architecture|another|format|machine|m68k)'
echo 'no program at all' >doctored
"$FAULTS/fault_peer" program "$clients" "$keys/client.key" doctored "$(uname -m)-linux-gnu" >bad.out
cut -c1-240 bad.out
says bad.out '^kind=-8 '
well

begin 'a shared library that the worker does not have'
bad 1 env LD_LIBRARY_PATH="$FAULTS" "$FAULTS/fault_needing"
says bad.out 'refused: 0 .*libfault_needs.so'
LD_LIBRARY_PATH=$FAULTS BFORK_PROFILE=serial: "$FAULTS/fault_needing"
well

begin 'forgetting bfork_init'
for p in "$BFORK_PROFILE" local:; do
    BFORK_PROFILE=$p "$FAULTS/fault_noinit" >bad.out || { cat bad.out; cluster_fail 'a program without bfork_init'; }
    says bad.out 'bfork_init\(&argc, &argv\)'
done
cat bad.out

begin 'wrong use and bad tasks, on the cluster and on this machine'
for p in "$BFORK_PROFILE" local:; do
    BF_MARK=$CLUSTER_MARK BFORK_PROFILE=$p timeout 100 "$FAULTS/fault_bad" >bad.out 2>&1 ||
        { cat bad.out >&2; cluster_fail "on $p"; }
done
grep -E '^(ok|  +[0-9]+ bytes)' bad.out | cut -c1-200
well
came=$(BF_MARK=$CLUSTER_MARK timeout 300 "$CLUSTER_BFORK" run -- sh -c 'dd if=/dev/zero bs=1M count=1024 2>/dev/null' | wc -c)
[ "$came" -eq 1073741824 ] || cluster_fail "of a gigabyte that a command wrote came $came bytes"
well

begin "a worker's directories: not writable, in use, a cache that is too small, a full disk"
touch file
bad 2 "$worker" --key "$keys/worker.key" --state-dir "$PWD/file/state"
says bad.out 'file'
bad 2 "$worker" --key "$keys/worker.key" --state-dir "$CLUSTER/worker0"
says bad.out 'state-dir'
bad 2 "$worker" --key "$keys/worker.key" --state-dir "$PWD/s3" --work-dir /no/such/dir
says bad.out '/no/such/dir'

# Only such a worker: the program cannot run anywhere, and the client is told why.
only_worker() {
    kill -TERM "$CLUSTER_WORKER"
    cluster_ended 'the worker' "$CLUSTER_WORKER"
    CLUSTER_WORKERS=
    cluster_worker --slots 2 "$@"
    cluster_until 'the worker has joined' cluster_has 1
}
only_worker --cache-size 4096
bad 1 timeout 20 "$FAULTS/fault_client" good
says bad.out 'cache-size'
only_worker --cache-dir "$PWD/file/cache"
bad 1 timeout 20 "$FAULTS/fault_client" good
says bad.out "the worker's cache .*file/cache: cannot make"
if [ "$(id -u)" -eq 0 ] && mkdir small && unshare --mount true 2>/dev/null; then
    mount -t tmpfs -o size=16k none small
    trap 'umount small 2>/dev/null || true; cluster_end' EXIT
    only_worker --cache-dir "$PWD/small"
    # r16: it is run from memory then, and the worker says why it is not cached.
    bad 0 timeout 20 "$FAULTS/fault_client" good
    grep -h 'event=uncached.*small.*full' "$CLUSTER"/worker*.log || cluster_fail 'no worker says that its cache is full'
    only_worker
    umount small
    trap cluster_end EXIT
else
    echo 'not shown: a full disk needs root, to mount one'
    only_worker
fi
well

begin 'ports in use'
bad 3 "$broker" --dir "$keys" --state-dir "$PWD/s4" --endpoint "$clients"
says bad.out 'in use'
well

find "$keys" -type f ! -path '*/state/*' -exec sha256sum {} + | sort >after
diff before after || cluster_fail 'something of the above has changed a file'
cluster_stop
