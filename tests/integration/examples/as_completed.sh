#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# as_completed prints every download once, the failed one with its reason, and what takes longest comes last.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

"$examples/as_completed" > "$tmp/out"
cat > "$tmp/expected" <<'END'
middle: 40000 bytes
no-such-host: FAILED
quick: 20000 bytes
slow: 60000 bytes
slowest: 80000 bytes
END
sed 's/^no-such-host: .*cannot resolve no-such-host.*/no-such-host: FAILED/' "$tmp/out" | sort > "$tmp/sorted"
same as_completed "$tmp/expected" "$tmp/sorted"
[ "$(tail -n 1 "$tmp/out")" = 'slowest: 80000 bytes' ] || fail 'the slowest download did not come out last'
