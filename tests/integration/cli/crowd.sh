#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# crowd.sh - many slots: few tasks do not wait for them, a signal ends their start at any point, few descriptors mean fewer processes.
# shellcheck disable=SC1091,SC2154,SC2016
. "$(dirname "$0")/lib.sh" </dev/null
. "$BF_SOURCE/tests/lib/processes.sh"
mark=crowd.$$
BF_MARK=$mark
export BF_MARK

# r22: five lines on a thousand slots.
seq 5 >five
expect 0 timeout 60 "$bfork" map -k -j 1000 echo <five
cmp -s out five || fail "five lines: $(cat out)"

# r22: SIGTERM while a thousand processes start, after the first, the second, … of them has begun its task.
seq 1000 >thousand
for after in 0 1 7 40 150; do
    : >begun
    "$bfork" map -j 1000 sh -c 'echo >>begun; exec sleep 600' sh <thousand >out 2>err &
    map=$!
    until [ "$(wc -l <begun)" -ge "$after" ]; do :; done
    kill -TERM "$map"
    status=0
    wait "$map" || status=$?
    [ "$status" -eq 143 ] || { cat err >&2; fail "SIGTERM after $after of 1000: status $status"; }
    no_process_is_left "$mark" || fail "SIGTERM after $after of 1000 left processes"
done

# r22: few descriptors: fewer processes, everything is done, and that is said once.
seq 60 >sixty
expect 0 sh -c 'ulimit -n 64; exec "$0" map -k -j 60 sh -c "sleep 0.1; echo \$1" sh <sixty' "$bfork"
cmp -s out sixty || fail "few descriptors: $(cat out)"
err_has 'of 60 task processes of a pool run here, there is no room for more: '
err_has 'open files'
[ "$(wc -l <err)" -eq 1 ] || fail "it is said more than once: $(cat err)"
no_process_is_left "$mark" || fail "processes are left"
