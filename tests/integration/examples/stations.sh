#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# stations computes what awk computes of the same file, in task processes and in this process; a file that is none, and a station without
# a temperature, are reported.
# shellcheck disable=SC1091,SC2154
. "$(dirname "$0")/lib.sh"

cd "$tmp" || exit
"$examples/stations" > made-up
[ "$(tail -n 1 made-up)" = '24 stations, 210240 measurements; every result is what this process computes, too' ] ||
    fail "the last line is: $(tail -n 1 made-up)"
"$examples/stations" --sample > year.csv
[ "$(wc -l < year.csv)" = 210240 ] || fail "$(wc -l < year.csv) lines"
"$examples/stations" year.csv > out
same 'the same measurements from a file' made-up out
BFORK_PROFILE=serial: "$examples/stations" year.csv > out
same 'in this process' made-up out

# Station, metres, hours, missing, extremes and rain; means are compared to a hundredth, which is rounded here as there.
awk -F, '
    !($1 in n) { order[++stations] = $1; height[$1] = $2; missing[$1] = rain[$1] = sum[$1] = 0 }
    { n[$1]++; rain[$1] += $5 }
    $4 == "" { missing[$1]++; next }
    { sum[$1] += $4; if (!($1 in low) || $4 + 0 < low[$1]) low[$1] = $4 + 0; if (!($1 in high) || $4 + 0 > high[$1]) high[$1] = $4 + 0 }
    END {
        for (i = 1; i <= stations; i++) {
            s = order[i]
            printf "%s %d %d %d %.1f %.1f %.1f %.2f\n", s, height[s], n[s], missing[s], low[s], high[s], rain[s], sum[s] / (n[s] - missing[s])
        }
    }' year.csv > expected
awk 'NR > 1 && NF == 10 { print $1, $2, $3, $4, $6, $7, $8, $5 }' made-up > ours
awk 'NR == FNR { mean[FNR] = $8; $8 = ""; line[FNR] = $0; next }
    { d = $8 - mean[FNR]; $8 = "" }
    $0 != line[FNR] || d > 0.0101 || d < -0.0101 { print "expected:", line[FNR], "printed:", $0; wrong = 1 }
    END { exit wrong || FNR != 24 }' expected ours || fail 'awk computes something else'

printf '%s\n' 'Brocken,1134,0,-3.5,' 'Brocken,1134,1,,0.2' 'Brocken,1134,8759,12.25,1' > few
"$examples/stations" few > out
awk 'NR == 2 && $2 == 1134 && $3 == 3 && $4 == 1 && $6 == -3.5 && $7 == 12.3 && $8 == 1.2 { good = 1 } END { exit !good }' out || fail "few: $(cat out)"
printf '%s\n' 'Brocken,1134,0,,' 'Berlin,40,0,1.5,0' > none
rc=0
"$examples/stations" none > out 2> errors || rc=$?
[ "$rc" = 1 ] || fail "a station without a temperature: exit status $rc instead of 1"
grep -q 'stations: Brocken: .*Brocken has measured no temperature' errors || fail "it is not reported: $(cat errors)"
grep -q '^Berlin ' out || fail 'the other station is missing'
printf '%s\n' 'Berlin,40,0,1.5,0' 'Berlin,40,zero,1.5,0' > bad
rc=0
"$examples/stations" bad > out 2> errors || rc=$?
[ "$rc" = 1 ] || fail "a bad line: exit status $rc instead of 1"
grep -q 'stations: bad:2: a line is STATION' errors || fail "a bad line is not reported: $(cat errors)"
rc=0
"$examples/stations" a b > out 2> errors || rc=$?
[ "$rc" = 2 ] || fail "too many words: exit status $rc instead of 2"
