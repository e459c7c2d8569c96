#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# named_workers greets fifteen names in order, by at most five processes, none of which is the caller.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

for name in Ada Barbara Claude Dennis Edsger Frances Grace Hedy Ida John Ken Leslie Margaret Niklaus Ole-Johan; do
    echo "Hello, $name! (process N)"
done > "$tmp/expected"
echo '15 names were greeted by at most 5 processes' >> "$tmp/expected"

"$examples/named_workers" > "$tmp/out" &
pid=$!
wait "$pid" || fail "named_workers exited with $?"
sed 's/(process [1-9][0-9]*)$/(process N)/' "$tmp/out" > "$tmp/plain"
same named_workers "$tmp/expected" "$tmp/plain"

sed -n 's/.*(process \([0-9]*\))$/\1/p' "$tmp/out" | sort -u > "$tmp/pids"
[ "$(wc -l < "$tmp/pids")" -le 5 ] || fail 'more than five processes greeted'
if grep -qx "$pid" "$tmp/pids"; then fail 'the client itself ran a task'; fi
