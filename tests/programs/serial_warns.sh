#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# serial_warns.sh - "serial:" names the variables that tasks in processes of their own would not have, once, and is silent otherwise.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
program=$BF_BUILD/tests/programs/program-r23_changed
fail() { echo "$*: $(cat messages)" >&2; exit 1; }

BFORK_PROFILE=serial: "$program" set >output 2>messages || fail "status $?"
grep -q 'since bfork_init: scale\. ' messages || fail 'serial: does not name scale, or names others'
[ "$(wc -l <messages)" -eq 1 ] || fail 'it says more than one line'
BFORK_PROFILE=serial: "$program" library >output 2>messages || fail "status $?"
grep -q 'since bfork_init: factor (libr23_scale.so)\. ' messages || fail 'serial: does not name factor of the library, or names others'
BFORK_PROFILE=serial: "$program" >output 2>messages || fail "status $?"
[ ! -s messages ] || fail 'nothing was changed'
BFORK_PROFILE=local: "$program" set >output 2>messages || fail "status $?"
[ ! -s messages ] || fail 'tasks have processes of their own'
strip -o stripped "$program"
BFORK_PROFILE=serial: ./stripped set >output 2>messages || fail "stripped: status $?"
