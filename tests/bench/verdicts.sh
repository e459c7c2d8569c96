#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# verdicts.sh - bench/run: medians, ratios, spread and runs as they are published, and the exit status: 0, 1 (ours failed), 2 (usage),
# 3 (--check, a target is missed or could not be measured). Contenders that say given numbers take the places of the real ones.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
failed=0
say() { echo "$*"; cat out err; failed=1; }
mkdir -p built/bench

# contender NAME WORD...: says these, one for each run, and the last one again; "failed: why" and "skip: why" as contest.h has them.
contender() {
    program=built/bench/$1
    shift
    {
        printf '#!/bin/sh\necho ready\nset --'
        printf " '%s'" "$@"
        printf '\nwhile read -r line; do echo "$1"; case $1 in [0-9]*) ;; *) exit 0 ;; esac; [ $# -eq 1 ] || shift; done\n'
    } >"$program"
    chmod +x "$program"
}
# ends STATUS ARGUMENT...: bench/run with these ends so.
ends() {
    expected=$1 status=0
    shift
    "$BF_SOURCE/bench/run" --build built "$@" >out 2>err || status=$?
    [ "$status" -eq "$expected" ] || say "bench/run $*: status $status, not $expected"
}
# has FILE PATTERN
has() { grep -qE -e "$2" "$1" || say "$1 has no line $2"; }

# The row: ours against the floor, at most 1.3 of it.
contender bfork-bench 14 10 12 11 13
contender floor-pipe 10
ends 0 --check rtt-local-same
contender bfork-bench 14 30 15 16 13
ends 3 --check rtt-local-same
has err 'missed, or could not be measured: rtt-local-same$'
ends 0 rtt-local-same
has out '^rtt-local-same +15 +113 % .* 10 +1\.5 .* NO '
has out 'runs of ours lie far apart, from 13 to 30$'
contender bfork-bench 10
contender floor-pipe 'failed: no pipe'
ends 3 --check rtt-local-same
has out 'pipe failed: no pipe$'
ends 0 rtt-local-same
rm built/bench/floor-pipe
ends 3 --check rtt-local-same
contender floor-pipe 10 40
contender bfork-bench 'failed: no broker'
ends 1 --check rtt-local-same
ends 1 rtt-local-same
contender bfork-bench 'skip: one processor'
ends 3 --check rtt-local-same
ends 0 rtt-local-same
rm built/bench/bfork-bench
ends 1 --check rtt-local-same
ends 1 rtt-local-same
has out 'ours failed: .*bfork-bench is not built$'
ends 1 rtt
ends 2 no-such-row

# What is published: the runs as they came, medians, the spread.
contender bfork-bench 3 1 2
contender floor-pipe 4 1 2
ends 0 --runs 3 --json rtt-local-same
cp out json
has json '"ours": 2\.0,.*"floor": 2\.0,.*"ratio_floor": 1\.0,.*"met": true,.*"spread": 1\.0, "runs": \{"ours": \[3\.0, 1\.0, 2\.0\], "pipe": \[4\.0, 1\.0, 2\.0\]\}'
has json 'runs of pipe lie far apart, from 1 to 4; ours is 2 of its best run'
ends 0 --runs 3 --markdown page.md rtt-local-same
has page.md '^- rtt-local-same: ours 3 1 2; pipe 4 1 2$'

# Which tree, and when; what a contender notes; a row of longest turns tells the worst of them.
has json '"commit": "[^"]+", "date": "2[0-9]{3}-[0-9]{2}-[0-9]{2}"'
has page.md '^Made by .* of commit [^ ]+ on 2[0-9]{3}-[0-9]{2}-[0-9]{2},$'
contender frame 1 3 2
ends 0 --json frame-status
has out '"ours": 3\.0, "kind": "maximum"'
cp out frame.json
ends 0 --verify frame.json frame-status
printf '#!/bin/sh\necho ready\nread -r line\necho note: half of it\necho 2\n' >built/bench/frame
ends 0 --runs 1 --json frame-status
has out '"runs": \{"ours": \[2\.0\]\},.*"notes": \["half of it"\]'

# A value counts also when its contender has ended by then.
mkfifo lives
printf '#!/bin/sh\necho ready\nread -r line\n(read -r line; echo 2) <lives &\nexec 3>lives\n' >built/bench/frame
ends 0 --runs 1 --json frame-status
has out '"runs": \{"ours": \[2\.0\]\}'
ends 1 --runs 2 --json frame-status
has out '"ours": null,.*"notes": \["ours failed: it ended with status 0"\]'

# --verify: what is not whole is told.
ends 0 --verify json rtt-local-same
ends 1 --verify json rtt-local-same rtt
has err 'there is no row rtt$'
for change in 's/"ours": 2\.0/"ours": 2.5/' 's/"ratio_floor": 1\.0/"ratio_floor": 0.5/' 's/\[3\.0, 1\.0, 2\.0\]/[]/' 's/"unit"/"tinu"/' 's/"notes": \[/&"pipe failed: no pipe", /' \
    's/"notes": \[/&"Pool skipped: not installed", /' 's/^{//'; do
    sed "$change" json >changed
    ! cmp -s json changed || say "$change changes nothing"
    ends 1 --verify changed rtt-local-same
done
exit $failed
