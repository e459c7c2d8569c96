#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# run.sh - bfork run on this machine: output and exit status come back as they were.
# shellcheck disable=SC1091,SC2154,SC2016
. "$(dirname "$0")/lib.sh" </dev/null

expect 0 "$bfork" run -- echo 'two words'
out_is 'two words'
expect 0 "$bfork" run echo -n --help
out_is '--help'
expect 3 "$bfork" run -- sh -c 'echo out; echo err >&2; exit 3'
out_is out
err_has err
expect 139 "$bfork" run -- sh -c 'kill -SEGV $$'
expect 137 "$bfork" run -- sh -c 'kill -KILL $$'
expect 127 "$bfork" run -- /no/such/command
err_has '/no/such/command'
echo 'not a program' >data
expect 126 "$bfork" run -- ./data
expect 0 "$bfork" run -- cat
[ ! -s out ] || fail 'a command has input'
expect 124 "$bfork" run --time-limit 200ms -- sleep 600
err_has 'bfork run: '

# Bytes come through unchanged.
head -c 100000 /dev/urandom >bytes
expect 0 "$bfork" run -- cat "$PWD/bytes"
cmp -s out bytes || fail 'bytes are changed'

expect 5 "$bfork" run --json -- sh -c 'echo x; exit 5'
grep -q '^{"command":\["sh","-c",.*"exit":5,"signal":0,"tries":1,"stdout":"x\\n","stderr":""}$' out || fail "JSON: $(cat out)"

expect 125 "$bfork" run
err_has 'no command'
expect 125 "$bfork" run --no-such-option -- true
expect 125 "$bfork" run --profile no-such-profile -- true
err_has 'no-such-profile'
