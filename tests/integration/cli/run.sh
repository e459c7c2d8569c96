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

# --cwd: another directory; relative ones begin here; one that is missing is named.
mkdir -p 'a directory/below'
expect 0 "$bfork" run --cwd "$PWD/a directory" -- pwd
out_is "$PWD/a directory"
expect 0 "$bfork" run --cwd 'a directory/below' -- pwd
out_is "$PWD/a directory/below"
(cd 'a directory' && expect 0 "$bfork" run --cwd . -- pwd && mv out err ..)
out_is "$PWD/a directory"
expect 0 "$bfork" map -k --cwd 'a directory' sh -c 'echo $1 $(pwd)' sh ::: 1 2
out_is "1 $PWD/a directory
2 $PWD/a directory"
expect 125 "$bfork" run --cwd "$PWD/not there" -- pwd
err_has "cannot enter the directory $PWD/not there on host $(uname -n): No such file or directory"
expect 125 "$bfork" run --cwd '' -- pwd
expect 1 "$bfork" map --cwd 'not there' pwd ::: 1
err_has "cannot enter the directory $PWD/not there on host"
expect 125 "$bfork" --profile serial: run --cwd "$PWD" -- pwd
err_has 'serial:'
expect 0 "$bfork" --profile serial: run --time-limit 1ms -- sleep 0.01
err_has 'bfork: serial: time limits (run_limit_ms, --time-limit) do not apply'          # r24
expect 0 "$bfork" --profile serial: run -- true
[ ! -s err ] || fail "r24: serial: says without need: $(cat err)"

# Bytes come through unchanged.
head -c 100000 /dev/urandom >bytes
expect 0 "$bfork" run -- cat "$PWD/bytes"
cmp -s out bytes || fail 'bytes are changed'

# r01: all of it, however much it is, as it comes; here and without processes of our own.
seq 1 400000 >numbers
seq 1 8000000 >many
for profile in local: serial:; do
    expect 0 "$bfork" --profile $profile run -- seq 1 400000
    cmp -s out numbers || fail "r01: 3 MB are changed on $profile"
    expect 4 "$bfork" --profile $profile run -- sh -c 'seq 1 400000 >&2; exit 4'
    cmp -s err numbers || fail "r01: 3 MB of standard error are changed on $profile"
    expect 0 "$bfork" --profile $profile run -- seq 1 8000000
    cmp -s out many || fail "r01: 62 MB are changed on $profile"
done
# A reader that takes its time: memory stays small, and all of it comes. The command stays until the peak has been read.
mkfifo slow held
ASAN_OPTIONS="quarantine_size_mb=4:${ASAN_OPTIONS-}" "$bfork" run -- sh -c 'seq 1 8000000; cat "$0/held"' "$PWD" >slow &
pid=$!
exec 4<slow
dd bs=4096 count=1000 <&4 >part 2>/dev/null
sed '/^8000000$/q' <&4 >>part
peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
echo end >held
[ "$(cat <&4)" = end ] || fail 'r01: the end is missing'
exec 4<&-
wait "$pid" || fail 'r01: a slow reader ends the run'
cmp -s part many || fail 'r01: a slow reader gets something else'
[ "$peak" -lt 160000 ] || fail "r01: $peak KiB are held of what is passed on"
rm slow held part many
# What cannot be passed on is told, and ends the command.
status=0
(trap '' PIPE; "$bfork" run -- sh -c 'while :; do echo x; done' 2>err || echo $? >status) | head -n 1 >out
[ "$(cat status)" -eq 125 ] || fail "r01: exit status $(cat status) when nobody reads"
err_has 'cannot write to standard output: Broken pipe'
status=0
"$bfork" run -- sh -c 'while :; do echo x; done' >/dev/full 2>err || status=$?
[ "$status" -eq 125 ] || fail "r01: exit status $status when there is no room"
err_has 'cannot write to standard output: No space left on device'

# r24: what it wrote before its time limit is there.
expect 124 "$bfork" run --time-limit 300ms -- sh -c 'echo the last words; printf "and half a line"; echo more >&2; sleep 1000'
out_is 'the last words
and half a line'
err_has more
expect 124 "$bfork" run --json --time-limit 300ms -- sh -c 'echo the last words; sleep 1000'
grep -q '"kind":"over time".*"stdout":"the last words\\n"' out || fail "r24: JSON: $(cat out)"

expect 5 "$bfork" run --json -- sh -c 'echo x; exit 5'
grep -q '^{"command":\["sh","-c",.*"exit":5,"signal":0,"tries":1,"stdout":"x\\n","stderr":""}$' out || fail "JSON: $(cat out)"

expect 125 "$bfork" run
err_has 'no command'
expect 125 "$bfork" run --no-such-option -- true
expect 125 "$bfork" run --profile no-such-profile -- true
err_has 'no-such-profile'
