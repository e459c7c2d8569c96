#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# trace.sh - bfork-broker and bfork-worker --trace: a line for each message, in both directions, with who it is; nothing that belongs to
# users or proves something; a file that cannot be written is said at the start.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh" </dev/null
worker=$BF_BUILD/worker/bfork-worker
[ -x "$worker" ] || fail "there is no $worker: build it first"
export BFORK_BROKER_TRACE="$PWD/broker.trace"
start_broker
port=$(port_of worker-endpoint)
port=${port##*:}
"$worker" --dir keys --broker "tcp://127.0.0.1:$((port - 1))" --slots 1 --name rack-7 --trace worker.trace >worker.log 2>&1 &
worker_pid=$!

# A command, an argument and what it prints are its user's.
secret=swordfish-0815
expect 0 "$bfork" run -- echo "$secret"
out_is "$secret"

# traced FILE DIRECTION WHO MESSAGE: such a line is there. All of the run is over, but for what the worker is told last.
traced() { grep -qE "^[-0-9]{10} [0-9:]{8}\.[0-9]{6} $2 $3: $4( |\$)" "$1" || fail "$1 has no line \"$2 $3: $4\": $(cat "$1")"; }
client='client [0-9]+ "[^"]*"'
at_worker='worker [0-9]+ "[^"]*"'
traced broker.trace from "$client" 'HELLO protocol_min=1'
traced broker.trace to "$client" 'WELCOME protocol=1'
traced broker.trace from "$client" 'POOL_OPEN .*digest=<32 bytes: [0-9a-f].* spec=<[0-9]+ bytes>'
traced broker.trace from "$client" 'TASKS .*body=<[0-9]+ bytes> }'
traced broker.trace to "$client" 'OUTCOMES .*'
traced broker.trace from "$at_worker" 'HELLO .*name="rack-7".*'
traced broker.trace to "$at_worker" 'CHUNKS .*ticket=<16 bytes> .*'
traced broker.trace from "$at_worker" 'RESULTS .*'
traced worker.trace to 'the broker' 'HELLO .*name="rack-7".*'
traced worker.trace from 'the broker' 'CHUNKS .*ticket=<16 bytes> .*'
traced worker.trace to 'the broker' 'RESULTS .*'

# Not as text, and not as the hexadecimal digits of its first bytes; no secret key, no ticket.
hex=$(printf %s "$secret" | od -An -tx1 | tr -d ' \n')
for part in "$secret" "$(printf %.8s "$hex")" 'body=<[0-9]+ bytes?:' 'ticket=<16 bytes:' 'spec=<[0-9]+ bytes:' \
    "$(sed -n 's/.*secret-key = "\(.*\)"/\1/p' keys/worker.key | sed 's/[^0-9a-zA-Z]/./g')"; do
    [ "${#part}" -ge 8 ] || fail "there is nothing to look for"
    ! grep -E -e "$part" broker.trace worker.trace || fail "the traces have $part"
done
[ "$(stat -c %a broker.trace worker.trace | sort -u)" = 600 ] || fail "others can read the traces: $(ls -l ./*.trace)"

# Administrators, too.
expect 0 "$bfork" status --all
traced broker.trace from 'admin [0-9]+ "[^"]*"' 'STATUS_GET .*|ADMIN .*'

# What cannot be written, or would be written elsewhere.
ln -s broker.trace link
for path in no/such/folder/trace . link; do
    expect 2 "$BF_BUILD/broker/bfork-broker" --dir keys --state-dir other --endpoint tcp://127.0.0.1:0 --worker-endpoint tcp://127.0.0.1:0 \
        --admin-endpoint tcp://127.0.0.1:0 --trace "$path"
    err_has 'trace'
done

kill -TERM "$worker_pid"
wait "$worker_pid" || fail "the worker ends with $?: $(cat worker.log)"
worker_pid=
traced worker.trace to 'the broker' 'BYE.*'
