#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# protocol_document.sh TABLES-PROGRAM [write]
# Every table that the program prints stands in docs/protocol.md as it is printed, and no other. "write" puts them there: each in the place
# of the table with its name.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
document=$BF_SOURCE/docs/protocol.md
"$1" >tables
# Tables of the document in the program's format, each followed by an empty line.
awk '/^<!-- table /{on=1} on{print} /^<!-- end -->/{if(on)print ""; on=0}' "$document" | sort >there.sorted
sort tables >printed.sorted
if [ "${2-}" = write ]; then
    awk 'NR == FNR { if (/^<!-- table /) name = $3; if (name) text[name] = text[name] $0 "\n"; if (/^<!-- end -->/) name = ""; next }
         /^<!-- table / && $3 in text { printf "%s", text[$3]; skip = 1 }
         !skip { print }
         /^<!-- end -->/ { skip = 0 }' tables "$document" >new
    cat new >"$document"
    exit 0
fi
awk '/^<!-- table /{name=$3; text=""; on=1} on{text=text $0 "\n"} /^<!-- end -->/{on=0; print name > "names"; f="printed." name; printf "%s", text > f; close(f)}' tables
failed=0
while read -r name; do
    awk -v name="$name" '$0 == "<!-- table " name " -->"{on=1} on{print} /^<!-- end -->/{on=0}' "$document" >"there.$name"
    if ! cmp -s "printed.$name" "there.$name"; then
        echo "docs/protocol.md: table $name differs from the field tables:"
        diff "there.$name" "printed.$name" || :
        failed=1
    fi
done <names
if ! cmp -s printed.sorted there.sorted; then
    echo "docs/protocol.md has tables that the field tables do not know, or one of them twice"
    failed=1
fi
[ $failed -eq 0 ] || echo "to bring them in: BF_SOURCE=$BF_SOURCE $0 $1 write"
exit $failed
