# SPDX-License-Identifier: MPL-2.0
# lib.sh - what the tests of the command line share. Sourced; the working directory is the test's own and empty.
# shellcheck shell=sh disable=SC2034
set -eu
bfork=${BFORK:-$BF_BUILD/cli/bfork}
unset BFORK_PROFILE BFORK_DIR
rm -rf ./* 2>/dev/null || true

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# expect STATUS COMMAND...: runs it with stdout and stderr in files "out" and "err"; its exit status must be STATUS.
expect() {
    wanted=$1
    shift
    status=0
    "$@" >out 2>err || status=$?
    if [ "$status" -ne "$wanted" ]; then
        cat out err >&2
        fail "exit status $status instead of $wanted: $*"
    fi
}

# out_is TEXT: stdout of the last expect, without its last newline.
out_is() {
    [ "$(cat out)" = "$1" ] || fail "stdout is '$(cat out)' instead of '$1'"
}

# err_has TEXT, out_has TEXT: a part of it.
err_has() {
    grep -qF -e "$1" err || fail "stderr has no '$1': $(cat err)"
}
out_has() {
    grep -qF -e "$1" out || fail "stdout has no '$1': $(cat out)"
}
