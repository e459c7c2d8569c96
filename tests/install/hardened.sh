#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# hardened.sh - r12_hardened: what is installed is position-independent, has stack protectors, read-only relocations and checked string
# functions; the services have users of their own, few rights, and the broker's is closed by systemd's own account.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
cmake --install "$BF_BUILD" --prefix "$PWD/prefix" >install.log
failed=0
fail() { echo "hardened.sh: $*" >&2; failed=1; }

# has FILE WHAT PATTERN: readelf's account of the file has it.
has() { grep -qE -e "$3" account || fail "$1 has no $2"; }

count=0
find prefix -type f ! -name '*.a' ! -name '*.o' >files
while read -r file; do
    LC_ALL=C readelf -hW "$file" >header 2>/dev/null || continue
    count=$((count + 1))
    LC_ALL=C readelf -hldW --dyn-syms "$file" >account
    has "$file" 'position independence' '^ *Type: *DYN'
    has "$file" 'read-only relocations' '^ *GNU_RELRO '
    has "$file" 'relocations before main' 'BIND_NOW|FLAGS.* NOW'
    has "$file" 'stack without execution' '^ *GNU_STACK .* RW +0x'
    case $file in
    */bin/* | */libbfork*.so*)
        has "$file" 'stack protector' '__stack_chk_fail'
        [ -n "$BF_SANITIZE" ] || has "$file" 'checked functions' ' __[a-z]+_chk@'
        ;;
    esac
done <files
[ "$count" -ge 7 ] || fail "only $count programs and libraries are installed: $(cat files)"
echo "$count programs and libraries"

units=$(find prefix -name '*.service')
broker=$(echo "$units" | grep broker) worker=$(echo "$units" | grep worker)
command -v systemd-analyze >/dev/null || fail 'systemd-analyze is missing (package systemd)'
for unit in $broker $worker; do
    grep -qE '^User=broadfork' "$unit" || fail "$unit has no user of its own"
    grep -qE '^NoNewPrivileges=yes' "$unit" || fail "$unit may gain privileges"
    user=$(sed -n 's/^User=//p' "$unit")
    grep -qE "^u $user +- " "$(find prefix -path '*sysusers.d/*')" || fail "nobody makes the user $user"
done
grep -qx 'CapabilityBoundingSet=' "$broker" || fail 'the broker has capabilities'
grep -qx 'CapabilityBoundingSet=CAP_SETUID CAP_SETGID' "$worker" || fail 'the worker has other capabilities than to become its user'
grep -qE '^ExecStart=!.* --user broadfork ' "$worker" || fail 'the worker does not begin as root and become its user'
# security UNIT LIMIT: systemd's measure, in tenths, is at most the limit.
security() {
    LC_ALL=C systemd-analyze security --offline=true --threshold="$2" --no-pager "$1" >security.out 2>&1 ||
        { cat security.out; fail "$1 is too open"; }
    tail -n 1 security.out
}
security "$broker" 30
security "$worker" 40
exit $failed
