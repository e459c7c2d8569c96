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
sh -c 'trap - INT; exec "$0" map -j 1 sh -c "echo x >started; exec sleep 600" sh ::: 1 2 3' "$bfork" >out 2>err &
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
