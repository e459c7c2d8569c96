#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# man.sh - the manual pages: every subcommand has one or is in one, every option of --help is there, mandoc has no warning.
# shellcheck disable=SC1091,SC2154,SC2013
. "$(dirname "$0")/lib.sh" </dev/null
man=$BF_SOURCE/docs/man

# page_of COMMAND: the page that describes it.
page_of() {
    other=$(sed -n '1s|^\.so man1/||p' "$man/bfork-$1.1")
    echo "$man/${other:-bfork-$1.1}"
}

"$bfork" help >top
for command in $(sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' top); do
    [ -f "$man/bfork-$command.1" ] || fail "$command has no page"
    page=$(page_of "$command")
    [ -f "$page" ] || fail "$command has no page $page"
    grep -q "$command" "$man/bfork.1" || fail "bfork.1 does not name $command"
    "$bfork" help "$command" >options
    for option in $(sed -n 's/^  \(-., \|    \)--\([a-z-]*\).*/\2/p' options); do
        [ "$option" = help ] || grep -Eq "Fl (. , )?Fl -$option|Fl -$option" "$page" || fail "$page does not have --$option"
    done
done

for daemon in broker worker; do
    program=$BF_BUILD/$daemon/bfork-$daemon
    [ -x "$program" ] || continue
    "$program" --help >options
    for option in $(sed -n 's/^  \(-., \|    \)--\([a-z-]*\).*/\2/p' options); do
        [ "$option" = help ] || grep -q "Fl -$option" "$man/bfork-$daemon.8" || fail "bfork-$daemon.8 does not have --$option"
    done
done

# A full stop that is a word of its own is taken for the end of a sentence; an example is typed in as it is read.
for page in "$man"/*.[1-8]; do
    ! grep -nE '^\.Dl .* \.( |$)|^\.Ql .*--cwd \.$' "$page" || fail "$page: a full stop that is a word is written \\&."
    ! grep -nE '^(Tcp|Ipc)://' "$page" || fail "$page: no endpoint begins with a capital letter"
    ! grep -nE '^\.Dl .*--profile .* -- \./' "$page" | grep -vF -e '--cwd' || fail "$page: ./ is not there on a cluster without --cwd"
done

if command -v mandoc >/dev/null 2>&1; then
    for page in "$man"/*.[1-8]; do
        ! head -n 1 "$page" | grep -q '^\.so ' || continue     # an alias: its target is checked above
        mandoc -Tlint -W warning "$page" || fail "$page has warnings"
    done
else
    echo 'mandoc is not installed: pages are not checked for syntax'
fi
