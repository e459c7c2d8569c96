#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# map.sh - bfork map on this machine: placeholders, order, exit statuses, limits, JSON.
# shellcheck disable=SC1091,SC2154,SC2016
. "$(dirname "$0")/lib.sh" </dev/null

# Every argument once; in order with -k, whatever takes how long.
expect 0 "$bfork" map echo ::: b a c
[ "$(sort out | tr '\n' ' ')" = 'a b c ' ] || fail "map echo: $(cat out)"
expect 0 "$bfork" map -k -j 2 sh -c 'case $1 in 1) until [ -e two ]; do :; done ;; 2) : >two ;; esac; echo $1' sh ::: 1 2 3
out_is '1
2
3'
expect 0 "$bfork" map -j 2 sh -c 'case $1 in 1) until [ -e four ]; do :; done ;; 4) : >four ;; esac; echo $1' sh ::: 1 2 3 4
[ "$(tail -n 1 out)" = 1 ] || [ "$(tail -n 2 out | sort | tr '\n' ' ')" = '1 4 ' ] || fail "not as they finish: $(cat out)"
seq 1 500 >numbers
expect 0 "$bfork" map -k echo {} <numbers
cmp -s out numbers || fail '500 lines in order'

# Placeholders, combinations, scripts.
expect 0 "$bfork" map -k echo '{.}' '{/}' '{//}' '{/.}' '{#}' ::: a/b.c d.e
out_is 'a/b b.c a b 1
d d.e . d 2'
cp out without
expect 0 "$bfork" map -k -- echo '{.}' '{/}' '{//}' '{/.}' '{#}' ::: a/b.c d.e
cmp -s out without || fail '-- changes something'
expect 0 "$bfork" map -k echo '{1}-{2}' ::: a b ::: 1 2
out_is 'a-1
a-2
b-1
b-2'
expect 0 "$bfork" map -k --shell 'echo {} | tr a-z A-Z' ::: 'it'"'"'s' 'a  b'
out_is "IT'S
A  B"
expect 0 "$bfork" map -k -I @ echo '{}@' ::: x
out_is '{}x'
expect 0 "$bfork" map -k --tag printf 'one\ntwo' ::: x
out_is 'x	one
x	two'

# No shell is in between.
expect 0 "$bfork" map echo '$HOME;' ::: '`id`'
out_is '$HOME; `id`'

# Exit statuses: the number of failed tasks, 101 for more than 100, as GNU parallel has it.
expect 0 "$bfork" map true ::: a b
expect 2 "$bfork" map sh -c 'exit $1' sh ::: 0 1 0 7
err_has '2 of 4 tasks failed; the first: task 2, exit status 1:'
# The first is that of the least number, whichever ended first: task 2 waits until task 3 is gone.
mkfifo later
expect 2 "$bfork" map -j 3 sh -c 'case $1 in 2) read -r p <later; while kill -0 $p; do :; done 2>/dev/null; exit 2 ;; 3) echo $$ >later; exit 3 ;; esac' sh ::: 1 2 3
err_has '2 of 3 tasks failed; the first: task 2, exit status 2:'
expect 2 "$bfork" map -q sh -c 'exit $1' sh ::: 0 1 0 7
[ ! -s err ] || fail "--quiet says: $(cat err)"
expect 100 sh -c 'seq 100 | "$0" map -q false' "$bfork"
expect 101 sh -c 'seq 150 | "$0" map -q false' "$bfork"
expect 1 "$bfork" map /no/such/command ::: x
err_has '/no/such/command'
expect 1 "$bfork" map -q sh -c 'kill -SEGV $$' ::: x

# What tasks write to stderr comes to stderr; to stdout, to stdout.
expect 0 "$bfork" map sh -c 'echo out; echo err >&2' ::: x
out_is out
err_has err

# --halt, --retries, --time-limit.
expect 7 "$bfork" map -q -j 1 --halt now,fail=1 sh -c 'exit $1' sh ::: 0 7 0 0
expect 7 "$bfork" map -q -j 1 --halt soon,fail=1 sh -c 'exit $1' sh ::: 7 7 7
# r02: soon means that what is queued does not begin, now that what runs is ended, too. A slot may have been handed a few short tasks, or
# one long one, before; 64 are queued at a time.
seq 1 300 >many
expect 7 "$bfork" map -q -j 1 --halt soon,fail=1 sh -c 'echo >>ran; exit 7' <many
[ "$(wc -l <ran)" -le 16 ] || fail "r02: $(wc -l <ran) tasks ran where the first should have been the last"
rm ran
expect 7 "$bfork" map -q -k -j 2 --halt soon,fail=1 sh -c 'echo >>ran; exit 7' <many
[ "$(wc -l <ran)" -le 32 ] || fail "r02: $(wc -l <ran) tasks ran on two slots"
rm ran
mkfifo hold
expect 7 "$bfork" map -q -j 2 --halt soon,fail=1 sh -c 'echo $1 >>ran; [ $1 = 1 ] && exec cat hold; [ $1 = 2 ] && echo >hold; sleep 0.2; exit 7' sh <many
[ "$(wc -l <ran)" -le 16 ] || fail "r02: these ran: $(tr '\n' ' ' <ran)"
rm ran hold
expect 7 "$bfork" map -q -j 2 --halt now,fail=1 sh -c 'echo $1 >>ran; [ $1 != 1 ] || exec sleep 1000; exit 7' sh <many
[ "$(wc -l <ran)" -le 32 ] || fail "r02: $(wc -l <ran) tasks ran where the second should have been the last"
rm ran many
expect 0 "$bfork" map -q -j 1 --halt now,success=1 sh -c 'exit $1' sh ::: 1 0 1 1
expect 0 "$bfork" map -q --retries 2 sh -c 'echo >>tries; [ "$(wc -l <tries)" -eq 3 ]' ::: x
[ "$(wc -l <tries)" -eq 3 ] || fail 'two retries are three runs'
expect 1 "$bfork" map --time-limit 200ms sleep ::: 600
err_has 'task 1'

# r01: tasks that write more than a result holds: each in one piece, in order with -k, also those that wait for their turn in a file.
seq 1 400000 >numbers
for profile in local: serial:; do
    for i in 1 2 3; do
        cat numbers
        echo "$i"
    done >wanted
    expect 0 "$bfork" --profile $profile map -k sh -c 'seq 1 400000; echo $1' sh ::: 1 2 3
    cmp -s out wanted || fail "r01: three times 3 MB are changed on $profile"
done
expect 0 "$bfork" map -j 2 sh -c 'seq 1 400000; seq 1 400000 >&2' sh ::: 1 2 3 4
[ "$(cksum <out)" = "$(cat numbers numbers numbers numbers | cksum)" ] || fail 'r01: outputs of tasks are mixed'
[ "$(cksum <err)" = "$(cat numbers numbers numbers numbers | cksum)" ] || fail 'r01: standard errors of tasks are mixed'
expect 0 "$bfork" map -k --tag seq 1 ::: 400000
[ "$(cksum <out)" = "$(sed 's/^/400000	/' numbers | cksum)" ] || fail 'r01: tags are not in front of lines'
mkfifo first
ASAN_OPTIONS="quarantine_size_mb=4:${ASAN_OPTIONS-}" TMPDIR=$PWD "$bfork" map -k -j 2 --retries 1 sh -c \
    'if [ $1 -gt 1 ]; then seq 1 8000000; : >done$1; exit; fi; read x <first; echo $x; [ $x != again ]' sh ::: 1 2 3 >out &
pid=$!
echo again >first                       # the first task fails, and runs again
until [ -e done2 ] && [ -e done3 ] && [ "$(find "/proc/$pid/fd" -lname "$PWD/bfork-* (deleted)" | wc -l)" -eq 1 ]; do sleep 0.05; done
peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
echo here >first
wait $pid || fail 'r01: with a spool the map fails'
[ "$(cksum <out)" = "$( (echo here; seq 1 8000000; seq 1 8000000) | cksum)" ] || fail 'r01: what waited in a file is changed'
[ "$peak" -lt 200000 ] || fail "r01: $peak KiB are held of what waits"
rm first done2 done3
# A spool that has no room is told.
expect 255 env TMPDIR=/no/such/directory "$bfork" map head -c 64000000 ::: /dev/zero
err_has 'cannot keep what commands print in /no/such/directory: No such file or directory'
[ ! -s out ] || fail 'r01: part of an output comes as if it were all'
expect 0 sh -c '(ulimit -f 100000; trap "" XFSZ; TMPDIR=. "$0" map head -c 160000000 ::: /dev/zero || echo status $?) 2>&1 | cat' "$bfork"
out_has 'cannot keep what commands print in .: File too large'
out_has 'status 255'
# r21: a command runs again as its template has died, in the same attempt: what it had printed comes once.
expect 0 "$bfork" map -j 1 sh -c 'echo "out $1"; [ ! -e once ] || exit 0; : >once; read -r _ _ _ template _ <"/proc/$PPID/stat"
    kill -KILL "$template"; exec sleep 600' sh ::: a
out_is 'out a'
rm once
# r24: tasks are counted from 1 in every word about them.
expect 1 "$bfork" map -k --time-limit 300ms sleep ::: 0 600
err_has 'task 2: over time'
err_has ', task 2, host'
! grep -q 'task [01][,:]' err || fail "r24: a task has two numbers: $(cat err)"
# r24: what a task wrote before its time limit is there.
expect 1 "$bfork" map --time-limit 300ms sh -c 'echo the last words; echo more >&2; sleep 1000' ::: x
out_is 'the last words'
err_has more
err_has 'over time'

# --dry-run runs nothing; --json says everything.
expect 0 "$bfork" map --dry-run touch {} '{.} x' ::: 'new file.c'
out_is "touch 'new file.c' 'new file x'"
[ ! -e 'new file.c' ] || fail '--dry-run runs'
expect 1 "$bfork" map -k -q --json sh -c 'echo $1; exit $1' sh ::: 0 3
[ "$(wc -l <out)" -eq 2 ] || fail 'one line of JSON a task'
sed -n 2p out >second
grep -q '"task":2,.*"args":\["3"\],.*"exit":3,"signal":0,"tries":1,"stdout":"3\\n","stderr":""' second || fail "JSON: $(cat second)"

# Wrong command lines are 255, say what is wrong, and run nothing.
for wrong in '--halt never,x echo' '-j 0 echo' '-j x echo' '--retries -1 echo' '--no-such echo' '--time-limit x echo' 'echo {2}' 'echo {%}' ''; do
    # shellcheck disable=SC2086
    expect 255 "$bfork" map $wrong ::: a
    [ ! -s out ] || fail "bfork map $wrong: runs"
    err_has 'bfork map: '
done
# r24: what users of GNU parallel write means the same, or is refused by name.
for wrong in '-n 2 echo' '-n2 echo' '--max-args 2 echo' '-N 2 echo' '-X echo' '-j +1 echo' '-j+1 echo' '-P 2 echo' '--timeout 3 echo' '--dryrun echo' \
        '-u echo' '-S host echo' '--wd x echo'; do
    # shellcheck disable=SC2086
    expect 255 "$bfork" map $wrong ::: a b
    [ ! -s out ] || fail "bfork map $wrong: runs"
    err_has 'bfork map: '
done
expect 255 "$bfork" map --timeout 3 echo ::: a
err_has '--time-limit'
expect 255 "$bfork" map -n 2 echo ::: a
err_has '--dry-run'
expect 255 "$bfork" map --keep-oder echo ::: a
err_has 'did you mean --keep-order?'
expect 255 "$bfork" map -a numbers echo ::: a
expect 255 "$bfork" map -a no-such-file echo
err_has 'no-such-file'
expect 255 "$bfork" --profile no-such-profile map echo ::: a
err_has 'no-such-profile'
