#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# sum1000 prints ten partial sums in order and the total.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

for i in 0 1 2 3 4 5 6 7 8 9; do
    printf '%4d to %4d: %6d\n' $((i * 100 + 1)) $((i * 100 + 100)) $((i * 10000 + 5050))
done > "$tmp/expected"
echo '1 to 1000: 500500' >> "$tmp/expected"
"$examples/sum1000" > "$tmp/out"
same sum1000 "$tmp/expected" "$tmp/out"
