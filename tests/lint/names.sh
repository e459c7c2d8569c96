#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# names.sh - functions of the product: no two have the same name, as they are written, and what other files can call, as it was compiled,
# begins with the prefix of its part (ARCHITECTURE.md, Names).
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }

# FILE TYPE NAME of every function, T: others can call it, t: they cannot. Inline functions of headers, and what a compiler adds (a dot
# or an underscore in front), are left out.
(cd "$BF_SOURCE" && find broker worker libclient cli common -name '*.h' -exec sed -nE 's/^static inline .*[ *]([a-z][a-z0-9_]*)\(.*/\1/p' {} +) |
    sort -u >inline
for part in broker worker libclient cli common; do
    find "$BF_BUILD/$part" -name '*.c.o'
done | while IFS= read -r object; do
    relative=${object#"$BF_BUILD"/}
    file=$(printf '%s\n' "$relative" | sed -E 's,CMakeFiles/[^/]*\.dir/,,; s,\.o$,,; s,[^/]*/__/,,')
    nm --defined-only "$object" | awk -v file="$file" '($2 == "T" || $2 == "t") && $3 ~ /^[a-z][a-z0-9_]*$/ { print file, $2, $3 }'
done | sort -u >all
awk 'NR == FNR { inline[$1] = 1; next } !($3 in inline) && $3 != "main"' inline all >functions
[ "$(wc -l <functions)" -gt 1000 ] || { echo "only $(wc -l <functions) functions were found below $BF_BUILD" >&2; exit 1; }

broken=0
# A definition begins at the start of a line and has no semicolon at its end. What is inlined everywhere is in no object.
(cd "$BF_SOURCE" && find broker worker libclient cli common -name '*.c' -exec awk '
    /^[A-Za-z_]/ && !/;[ ]*$/ && !/^(typedef|enum|struct [a-z_]+ \{)/ {
        line = $0
        gsub(/__attribute__\(\([^()]*(\([^()]*\))?[^()]*\)\) */, "", line)
        if (match(line, /[a-z][a-z0-9_]*\(/) && substr(line, 1, RSTART - 1) ~ /[ *]$/)
            print FILENAME, substr(line, RSTART, RLENGTH - 1)
    }' {} +) | sort -u | awk '$2 != "main"' >written
[ "$(wc -l <written)" -gt 1500 ] || { echo "only $(wc -l <written) definitions were found below $BF_SOURCE" >&2; exit 1; }
awk '{ print $2 }' written | sort | uniq -d >twice
if [ -s twice ]; then
    echo "these functions have a namesake:" >&2
    awk 'NR == FNR { twice[$1] = 1; next } $2 in twice' twice written >&2
    broken=1
fi
awk '$2 == "T" {
        part = $1
        sub("/[^/]*$", "", part)
        p["broker/core"] = "^(brk|broker)_"; p["worker/core"] = "^(wrk|worker)_"; p["libclient/core"] = "^(ses|session)_"
        p["broker"] = "^bsh_"; p["worker"] = "^(wsh|slots)_"; p["libclient"] = "^(bfs|bfork)_"; p["libclient/local"] = p["libclient/remote"] = "^bfs_"
        p["libclient/task"] = "^(task|bfork)_"; p["cli"] = p["cli/core"] = "^cli_"
        p["common/exec"] = p["common/exec/keeper"] = p["common/exec/symbols"] = "^exec_"
        p["common/net"] = "^net_"; p["common/blob"] = "^blob_"
        if ((part in p) && $3 !~ p[part])
            print $1 ": " $3 " does not begin as " part " says: " p[part]
    }' functions >prefixes
if [ -s prefixes ]; then
    cat prefixes >&2
    broken=1
fi
exit "$broken"
