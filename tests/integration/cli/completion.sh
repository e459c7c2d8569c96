#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# completion.sh - the bash completion, driven as bash drives it.
# shellcheck disable=SC1090,SC1091,SC2154
. "$(dirname "$0")/lib.sh" </dev/null

mkdir bin
ln -s "$bfork" bin/bfork
PATH=$PWD/bin:$PATH
. "$BF_SOURCE/cli/completion/bfork"

# completes WORDS... : what bash would offer for the last word, one a line, in order.
completes() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _bfork
    printf '%s\n' "${COMPREPLY[@]}" | sort
}
is() {
    [ "$1" = "$2" ] || fail "completion offers '$1' instead of '$2'"
}

is "$(completes bfork ma)" map
is "$(completes bfork st)" status
is "$(completes bfork re)" revoke
is "$(completes bfork help wor)" workers
is "$(completes bfork --prof)" --profile
is "$(completes bfork map --keep)" --keep-order
is "$(completes bfork map --no)" --no-bar
is "$(completes bfork keygen w)" worker
is "$(completes bfork allow cl)" client
mkdir keys
touch keys/lab.conf keys/prod.conf keys/broker.conf
is "$(BFORK_DIR=$PWD/keys completes bfork --profile '' | tr '\n' ' ')" 'lab local: prod serial: '
is "$(BFORK_DIR=$PWD/keys completes bfork map -p pr)" prod
touch seeds.txt
is "$(completes bfork map -a see)" seeds.txt
is "$(completes bfork map echo see)" seeds.txt
is "$(completes bfork --profile lab keyg)" keygen
complete -p bfork | grep -q '_bfork' || fail 'the completion is not registered'
