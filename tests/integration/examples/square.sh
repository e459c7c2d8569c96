#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# square prints the squares in the order of the input, with task processes and in this process.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

printf '%s\n' 1 4 9 16 25 > "$tmp/expected"
"$examples/square" > "$tmp/out"
same square "$tmp/expected" "$tmp/out"
BFORK_PROFILE=serial: "$examples/square" > "$tmp/serial"
same 'square, serial' "$tmp/expected" "$tmp/serial"
