#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# map_input.sh - where bfork map gets its arguments: files, NUL-ended names, slow and endless pipes; and what Ctrl-C does.
# shellcheck disable=SC1091,SC2154,SC2016
. "$(dirname "$0")/lib.sh" </dev/null

printf 'one\ntwo words\n\nlast' >lines
expect 0 "$bfork" map -k echo '[{}]' <lines
out_is '[one]
[two words]
[]
[last]'
expect 0 "$bfork" map -k -a lines echo '[{#}]'
out_is '[1]
[2]
[3]
[4]'
printf 'a\nb\0c\0' >nul
expect 0 "$bfork" map -k -0 echo '<{}>' <nul
out_is '<a
b>
<c>'
# r24: a NUL byte within a line is no end of it that nobody sees.
printf 'a\nb\0c\nd\n' >nul
expect 255 "$bfork" map -k -j 1 echo <nul
err_has 'standard input, line 2 has a NUL byte'
! grep -q '^[bd]$' out || fail 'r24: a part of a line with a NUL byte was run'
expect 255 "$bfork" map echo :::: nul ::: x
err_has 'nul, line 2 has a NUL byte'

# r24: closed descriptors are told, and never become somebody else's.
expect 255 timeout 20 sh -c 'exec "$0" map echo <&-' "$bfork"
err_has 'standard input: it is closed'
expect 0 timeout 20 sh -c 'exec "$0" map -k echo ::: a b <&-' "$bfork"
out_is 'a
b'
expect 0 timeout 20 sh -c 'exec "$0" run -- echo well <&-' "$bfork"
out_is well
for closed in '>&-' '>/dev/full' '>&- 2>&-' '<&- >&- 2>&-'; do
    expect 255 timeout 20 sh -c "exec \"\$0\" map echo ::: a $closed" "$bfork"
    expect 125 timeout 20 sh -c "exec \"\$0\" run -- echo a $closed" "$bfork"
    expect 1 timeout 20 sh -c "exec \"\$0\" version $closed" "$bfork"
    expect 1 timeout 20 sh -c "exec \"\$0\" --help $closed" "$bfork"
done
expect 255 sh -c 'exec "$0" map echo ::: a b c >/dev/full' "$bfork"
err_has 'cannot write to standard output: No space left on device'
[ "$(wc -l <err)" -eq 1 ] || fail "it is told more than once: $(cat err)"
expect 255 sh -c 'exec "$0" map -k -j 2 seq ::: 90000 90001 90002 90003 90004 90005 >/dev/full' "$bfork"
[ "$(wc -l <err)" -eq 1 ] || fail "it is told more than once: $(cat err)"
# What tasks write to a standard error that is full is lost as well.
status=0
timeout 20 "$bfork" map sh -c 'echo x >&2' ::: a 2>/dev/full || status=$?
[ "$status" -eq 255 ] || fail "exit status $status, and what the task wrote to standard error is lost"
timeout 20 "$bfork" map -q sh -c 'exit 0' ::: a 2>/dev/full || fail 'nothing was written there'
# A script where a command should be.
expect 1 "$bfork" map 'echo {} | wc' ::: 1
err_has 'for a script: --shell'
expect 1 "$bfork" map no-such-command ::: 1
! grep -qF -e --shell err || fail "this is no script: $(cat err)"
expect 0 sh -c 'exec "$0" map -k echo ::: a b 2>&-' "$bfork"
out_is 'a
b'

expect 0 "$bfork" map -k echo :::: lines ::: x
[ "$(sed -n 2p out)" = 'two words x' ] || fail ":::: $(cat out)"
expect 0 "$bfork" map echo </dev/null
[ ! -s out ] || fail 'no arguments, but output'
expect 0 "$bfork" map echo :::
[ ! -s out ] || fail 'no arguments behind :::, but output'

# A pipe that stays open: what is there runs without waiting for more.
mkfifo input output
"$bfork" map -k echo got <input >output 2>err &
pid=$!
exec 3>input 4<output
echo first >&3
read -r line <&4
[ "$line" = 'got first' ] || fail "a slow pipe: $line"
echo second >&3
read -r line <&4
[ "$line" = 'got second' ] || fail "a slow pipe: $line"
exec 3>&-
wait "$pid" || fail "a slow pipe: exit status $?"
exec 4<&-

# Endless input ends with the reader; memory stays as it is.
limit=1500000
[ -z "${BF_SANITIZE:-}" ] || limit=unlimited
expect 0 sh -c 'yes | (ulimit -v '$limit'; exec "$0" map -k echo 2>/dev/null) | head -n 300' "$bfork"
[ "$(wc -l <out)" -eq 300 ] || fail 'endless input'

# Ctrl-C: nothing new starts, what runs is cancelled, the count is told, the status is 130.
mkfifo started
env --default-signal=INT "$bfork" map -j 1 sh -c 'echo x >started; exec sleep 600' sh ::: 1 2 3 >out 2>err &
pid=$!
read -r line <started
kill -INT "$pid"
status=0
wait "$pid" || status=$?
if [ "$status" -ne 130 ]; then
    cat out err >&2
    fail "interrupted map: exit status $status"
fi
err_has 'interrupted: 0 done'

# r24: a signal that it was started to ignore, as what a script starts in the background ignores SIGINT, ends nothing.
until_go='echo x >started; until [ -e go ]; do sleep 0.05; done; echo whole'
for command in run map; do
    rm -f go
    case $command in run) set -- run -- sh -c "$until_go" ;; map) set -- map sh -c "$until_go" sh ::: 1 ;; esac
    env --ignore-signal=INT,TERM "$bfork" "$@" >out 2>err &
    pid=$!
    read -r line <started
    kill -INT "$pid"
    kill -TERM "$pid"
    kill -INT "$pid"
    : >go
    wait "$pid" || fail "r24: bfork $command ends on a signal that it was started to ignore: exit status $?"
    out_is whole
done
