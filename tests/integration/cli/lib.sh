# SPDX-License-Identifier: MPL-2.0
# lib.sh - what the tests of the command line share. Sourced; the working directory is the test's own and empty.
# shellcheck shell=sh disable=SC2034
set -eu
bfork=${BFORK:-$BF_BUILD/cli/bfork}
unset BFORK_PROFILE BFORK_DIR
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect STATUS COMMAND...: runs it with stdout and stderr in files "out" and "err"; its exit status must be STATUS.
expect() {
    wanted=$1
    shift
    status=0
    "$@" >out 2>err || status=$?
    if [ "$status" -ne "$wanted" ]; then
        cat out err >&2
        fail "exit status $status instead of $wanted: $*"
    fi
}

# out_is TEXT: stdout of the last expect, without its last newline.
out_is() {
    [ "$(cat out)" = "$1" ] || fail "stdout is '$(cat out)' instead of '$1'"
}

# err_has TEXT, out_has TEXT: a part of it.
err_has() {
    grep -qF -e "$1" err || fail "stderr has no '$1': $(cat err)"
}
out_has() {
    grep -qF -e "$1" out || fail "stdout has no '$1': $(cat out)"
}

# start_broker: a cluster's keys in "keys", a broker on free ports as $broker_pid, its log in log.text, the profile lab for bfork.
start_broker() {
    broker=$BF_BUILD/broker/bfork-broker
    [ -x "$broker" ] || fail "there is no $broker: build it first"
    expect 0 "$bfork" keygen --dir keys
    mkfifo log
    "$broker" --dir keys --endpoint tcp://127.0.0.1:0 --worker-endpoint tcp://127.0.0.1:0 --admin-endpoint tcp://127.0.0.1:0 \
        --ports-file ports >log 2>&1 &
    broker_pid=$!
    worker_pid=
    trap 'kill -KILL $broker_pid $worker_pid 2>/dev/null || true' EXIT
    exec 3<log
    # Its log is the event to wait for: it says when it serves; afterwards somebody must go on reading.
    serving=
    while [ -z "$serving" ] && read -r line <&3; do
        case $line in *event=serving*) serving=yes ;; esac
    done
    [ -n "$serving" ] || fail 'the broker does not serve'
    cat <&3 >log.text &
    exec 3<&-
    sed "s|^broker  .*|broker = $(port_of endpoint)|; s|^admin  .*|admin = $(port_of admin-endpoint)|" keys/lab.conf >lab.new
    mv lab.new keys/lab.conf
    export BFORK_DIR="$PWD/keys" BFORK_PROFILE=lab
}

port_of() { sed -n "s/^$1 = //p" ports; }
