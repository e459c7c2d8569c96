#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# help.sh - every subcommand explains itself; unknown words are told apart; the exit statuses are those documented.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh" </dev/null

expect 0 "$bfork" --help
cp out top
expect 0 "$bfork" help
cmp -s out top || fail 'help and --help differ'
expect 2 "$bfork"
err_has 'usage: bfork'

commands=$(sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' top)
[ "$(echo "$commands" | wc -l)" -ge 12 ] || fail "too few commands: $commands"
for command in $commands; do
    expect 0 "$bfork" "$command" --help
    head -n 1 out | grep -q "^usage: bfork $command" || fail "$command --help has no usage line"
    [ "$(awk 'length > 132' out | wc -l)" -eq 0 ] || fail "$command --help is too wide"
    case $command in
    version | help) ;;
    *) out_has 'exit status:' ;;
    esac
    cp out by-flag
    expect 0 "$bfork" help "$command"
    cmp -s out by-flag || fail "help $command and $command --help differ"
    wrong=2
    [ "$command" != map ] || wrong=255
    [ "$command" != run ] || wrong=125
    expect "$wrong" "$bfork" "$command" --no-such-option
    err_has "--no-such-option"
done

expect 2 "$bfork" mpa echo
err_has "did you mean 'map'"
expect 2 "$bfork" frobnicate
err_has 'bfork help'
expect 2 "$bfork" --frobnicate
expect 2 "$bfork" --profile status
err_has "there is no command behind the options: --profile took 'status' as its value"
expect 2 "$bfork" status extra
expect 2 "$bfork" ping -c 0
expect 2 "$bfork" help frobnicate

expect 0 "$bfork" version
grep -Eq '^bfork [0-9]+\.[0-9]+\.[0-9]+, library [0-9]+\.[0-9]+\.[0-9]+$' out || fail "version: $(cat out)"
expect 0 "$bfork" --version
expect 0 "$bfork" version --json
grep -q '^{"version":"' out || fail "version --json: $(cat out)"

# A full disk is not success.
if [ -e /dev/full ]; then
    status=0
    "$bfork" version >/dev/full 2>err || status=$?
    [ "$status" -eq 1 ] || fail "a full disk: exit status $status"
fi
