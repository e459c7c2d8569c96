#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# stripped.sh - a crash in a function that has no name any more is told as a place in its file, never as a neighbour or a caller.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
program=$BF_BUILD/tests/programs/program-r24_stripped
fail() { echo "$*: $(cat output messages)" >&2; exit 1; }
crashes() { BFORK_PROFILE=local: "$1" >output 2>messages || fail "$1: status $?"; }
# The first line and the first frame name the place, and no line is about the program's functions.
nameless() {
    crashes "./$1"
    head -n 1 output | grep -q "^crashed: SIGSEGV at $1+0x[0-9a-f]* " || fail "$1: the place is not object+offset"
    sed -n 3p output | grep -Eq "^ *(\? in )?.*/$1\+0x[0-9a-f]+\$" || fail "$1: the frame is not object+offset"
    ! grep -Eq "(front|back|no_size|hidden)( |\+)|$1.*\.c:" output || fail "$1: a neighbour is named"
}

crashes "$program"
head -n 1 output | grep -q '^crashed: SIGSEGV in hidden at r24_stripped\.c:18 ' || fail 'as built: not the function and its line'
strip -g -o no_lines "$program"
crashes ./no_lines
head -n 1 output | grep -q '^crashed: SIGSEGV in hidden (' || fail 'without lines: not the function'
strip -o no_names "$program"
nameless no_names
objcopy -R .eh_frame -R .eh_frame_hdr no_names no_frames
nameless no_frames
