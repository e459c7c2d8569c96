#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# What README.md and docs/guide.md tell a user to type exists: every subcommand of bfork, every option of the three programs. What
# documents link to in the tree exists.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
failed=0
rm -f seen
say() { echo "$*"; failed=1; }
set -- "$BF_SOURCE/README.md" "$BF_SOURCE/docs/guide.md" "$BF_SOURCE/SECURITY.md" "$BF_SOURCE/CONTRIBUTING.md"
program() { find "$BF_BUILD" -path "$BF_BUILD/run" -prune -o -type f -name "$1" -perm -u+x -print | head -n 1; }

bfork=$(program bfork)
"$bfork" --help >bfork.help
# Indented or fenced lines that begin with a command, without prompt, variables and "sudo".
sed -n 's/^\(    \)\{0,1\}\$\{0,1\} *\(BFORK_[A-Z]*=[^ ]* \)*\(sudo \)\{0,1\}\(bfork\(-broker\|-worker\)\{0,1\}\) \(.*\)$/\4 \6/p' "$@" |
    sed 's/  *#.*//; s/&& *bfork/\n&/g' | sed 's/^&& *//' >commands
[ -s commands ] || { echo "no command was found in the documents"; exit 1; }

while read -r name rest; do
    help=$name.help
    "$(program "$name")" --help >"$help"
    if [ "$name" = bfork ]; then
        # shellcheck disable=SC2086
        set -- $rest
        while [ $# -gt 0 ]; do
            case $1 in
            --profile | -p) shift; [ $# -eq 0 ] || shift ;;
            -*) shift ;;
            *) break ;;
            esac
        done
        [ $# -gt 0 ] || continue
        grep -qE "^ +$1 " bfork.help || { say "there is no bfork $1: bfork $rest"; continue; }
        help=bfork-$1.help
        [ "$1" = help ] || [ "$1" = version ] || "$bfork" "$1" --help >"$help" 2>&1 || say "bfork $1 --help fails"
        [ -f "$help" ] || : >"$help"
        cat bfork.help >>"$help"
    fi
    for option in $(printf '%s\n' "$rest" | sed 's/ -- .*//; s/ ::: .*//' | grep -oE '(^| )--[a-z][a-z-]*'); do
        grep -qE -- "(^|[ ,])$option([ =,]|\$)" "$help" || say "$name $rest: its help does not know $option"
    done
done <commands

# Links to files: ](path), ](path#part); not to other sites, not inside fences.
find "$BF_SOURCE" \( -name .git -o -name 'build*' \) -prune -o -name '*.md' -print >pages
while read -r page; do
    sed '/^ *```/,/^ *```/d' "$page" | grep -oE '\]\([^() ]+\)' | sed 's/^](//; s/)$//; s/#.*//' | sort -u >links || true
    while read -r link; do
        case $link in '' | *://* | mailto:*) continue ;; esac
        echo "$link" >>seen
        [ -e "$(dirname "$page")/$link" ] || say "${page#"$BF_SOURCE"/}: there is no $link"
    done <links
done <pages
[ -s seen ] || say "no link was found in the documents"
exit $failed
