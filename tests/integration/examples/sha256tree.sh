#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# sha256tree prints byte for byte what sha256sum prints: odd names, empty and large files, more files than are in flight.
# What cannot be read is reported.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

# reference DIRECTORY: what sha256sum says of every regular file below it
reference()
{
    find "$1" -type f -print0 | sort -z | xargs -0 -r sha256sum
}

cd "$tmp" || exit
mkdir -p tree/a/b 'tree/with space' tree/empty
: > tree/nothing
head -c 3000000 /dev/urandom > tree/a/large
printf x > tree/a/b/one
printf y > 'tree/with space/ two '
printf z > tree/$'new\nline'
printf w > tree/$'back\\slash'
printf v > tree/$'carriage\rreturn'
printf u > tree/$'latin1-\xe9'
ln -s nothing tree/link
mkfifo tree/fifo
mkdir tree/many
(cd tree/many && for ((i = 0; i < 5000; i++)); do echo "$i" > "$i"; done)

reference tree > expected
"$examples/sha256tree" tree > out
same 'a relative tree' expected out
reference "$tmp/tree" > expected
"$examples/sha256tree" "$tmp/tree" > out
same 'an absolute tree' expected out
"$examples/sha256tree" tree/empty > out
[ ! -s out ] || fail 'an empty directory printed something'

# A file and a directory that cannot be read: reported, status 1, all others hashed. Root can read everything and becomes nobody.
mkdir -p hidden/closed
echo 1 > hidden/open
echo 2 > hidden/secret
echo 3 > hidden/closed/inside
as_nobody=()
if [ "$(id -u)" = 0 ]; then
    as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chown -R 65534:65534 hidden
    chmod 755 "$tmp"
fi
chmod 000 hidden/secret hidden/closed
rc=0
"${as_nobody[@]}" "$examples/sha256tree" hidden > out 2> errors || rc=$?
[ "$rc" = 1 ] || fail "unreadable files: exit status $rc instead of 1: $(cat errors)"
sha256sum hidden/open > expected
same 'the readable file beside unreadable ones' expected out
grep -q 'hidden/secret: .*Permission denied' errors || fail "hidden/secret is not reported: $(cat errors)"
grep -q 'hidden/closed: .*Permission denied' errors || fail "hidden/closed is not reported: $(cat errors)"

rc=0
"$examples/sha256tree" "$tmp/absent" > out 2> errors || rc=$?
[ "$rc" = 1 ] || fail "a missing directory: exit status $rc instead of 1"
grep -q 'absent: No such file or directory' errors || fail 'a missing directory is not reported'
rc=0
"$examples/sha256tree" > out 2> errors || rc=$?
[ "$rc" = 2 ] || fail "no directory given: exit status $rc instead of 2"
