#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# sessions.sh DOCUMENT - types the console sessions of a document as they are printed, on hosts with the names they have there (network
# namespaces on one bridge, with one file system, as after mounting a shared one). Every command must end with 0, and print what is
# printed below it. Lines "a$" and "b$" are typed first, in their order, then lines "$" on host a.
#
# Left out, and why: see left_out below. Stand-ins: scp (copies into the home of the host), gdb (runs the program to its end, without
# questions), convert (copies; ImageMagick is not what is tested), seq (at most 200), cc (adds the flags of the sanitizers that
# the library was built with). Files that the document takes as given are made: pictures, seeds.txt, ./simulate, and square.c, which is
# the document's own first program.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
document=$1

# left_out SECTION COMMAND: prints why it is not typed; fails if it is.
left_out() {
    case $1:$2 in
    *:docker-compose\ *) echo 'needs a container engine: ./dev test-compose' ;;
    'Build and install':*) echo 'builds and installs, as root in part: tests/install' ;;
    'As services':*) echo 'needs systemd as the first process' ;;
    *:./dev\ demo* | *:./dev\ test*) echo 'installs packages and runs this test' ;;
    *) return 1 ;;
    esac
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}
tag=bs$$
shells=
finish() {
    finish_status=$?
    trap '' INT TERM
    for host in a b; do
        for pid in $(ip netns pids "$tag-$host" 2>/dev/null); do
            kill -KILL "$pid" 2>/dev/null || true
        done
    done
    # shellcheck disable=SC2086
    [ -z "$shells" ] || wait $shells 2>/dev/null || true
    for host in a b hub; do
        ip netns delete "$tag-$host" 2>/dev/null || true
    done
    [ "$finish_status" -eq 0 ] || tail -n 30 typed.* >&2 || true
    exit "$finish_status"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# ---- the hosts ------------------------------------------------------------------------------------------------------------------
ip netns add "$tag-hub" || fail 'network namespaces need root and iproute2'
ip -n "$tag-hub" link add hub type bridge
ip -n "$tag-hub" link set hub up
echo 127.0.0.1 localhost >hosts
number=1
for host in a b; do
    ip netns add "$tag-$host"
    ip -n "$tag-$host" link add eth0 type veth peer name "to-$host" netns "$tag-hub"
    ip -n "$tag-hub" link set "to-$host" master hub up
    ip -n "$tag-$host" addr add "10.78.0.$number/24" dev eth0
    ip -n "$tag-$host" link set eth0 up
    ip -n "$tag-$host" link set lo up
    echo "10.78.0.$number $host" >>hosts
    mkdir -p "home/$host"
    number=$((number + 1))
done

# ---- what the document takes as given ---------------------------------------------------------------------------------------------
cmake --install "$BF_BUILD" --prefix "$PWD/prefix" >install.log 2>&1 || { cat install.log >&2; fail 'cmake --install'; }
pc=$(find "$PWD/prefix" -name bfork.pc -exec dirname {} \;)
mkdir -p stand-in work
put() { cat >"$1" && chmod +x "$1"; }
put stand-in/scp <<EOF
#!/bin/sh
exec cp "\$1" "$PWD/home/\${2%:}/"
EOF
put stand-in/gdb <<'EOF'
#!/bin/sh
exec "$@"
EOF
put stand-in/convert <<'EOF'
#!/bin/sh
[ "$2" = -resize ] && exec cp "$1" "$4"
EOF
put stand-in/seq <<'EOF'
#!/bin/sh
[ "$1" -le 200 ] && exec /usr/bin/seq "$1"
exec /usr/bin/seq 200
EOF
# The PATH is that of before: a compiler that is a link to ccache looks there for the one of its name, and would find this.
put stand-in/cc <<EOF
#!/bin/sh
PATH='$PATH' exec $(command -v "${CC:-cc}") ${BF_SANITIZE:+-fsanitize=$BF_SANITIZE} "\$@"
EOF
put work/simulate <<'EOF'
#!/bin/sh
[ "$1" != --seed ] || shift
echo "seed $1: $(($1 * $1))"
EOF
printf '%s\n' 3 5 8 13 >work/seeds.txt
for picture in one two; do echo "$picture" >"work/$picture.jpg"; done
awk '/^```c$/ { code = ""; on = 1; next } /^```$/ { if (on && code ~ /int main/) { printf "%s", code; exit } on = 0 } on { code = code $0 "\n" }' \
    "$document" >work/square.c
[ -s work/square.c ] || fail "$document has no program"

# A user, not root: whose tasks would be root's.
chmod go+rx . "$PWD/home" "$PWD/prefix"
chown -R 61000:61000 home work

# ---- shells ---------------------------------------------------------------------------------------------------------------------
# shell NAME HOST DIRECTORY: a shell on that host; what is written to in.NAME is typed there.
shell() {
    mkfifo "in.$1"
    # shellcheck disable=SC2016
    env -u BFORK_PROFILE -u BFORK_DIR HOME="$PWD/home/$2" PATH="$PWD/stand-in:$PWD/prefix/bin:$PATH" PKG_CONFIG_PATH="$pc" \
        ip netns exec "$tag-$2" unshare --uts --mount bash -c 'hostname "$0" && mount --bind "$1" /etc/hosts && cd "$2" && exec setpriv --reuid 61000 --regid 61000 --clear-groups bash' \
        "$2" "$PWD/hosts" "$3" \
        <"in.$1" >"typed.$1" 2>"errors.$1" &
    shells="$shells $!"
}
shell a a "$PWD/home/a"
shell b b "$PWD/home/b"
shell here a "$PWD/work"
exec 5>in.a 6>in.b 7>in.here

# type NAME DESCRIPTOR COMMAND: types it, waits for its end, leaves its output in "output"; its status must be 0.
count=0
type_in() {
    count=$((count + 1))
    : >output
    printf '%s\n' "$3" "echo \"@end $count \$?\"" >&"$2"
    limit=$(($(date +%s) + 60))
    until grep -q "^@end $count " "typed.$1"; do
        [ "$(date +%s)" -lt "$limit" ] || { tail -n 20 "errors.$1" >&2; fail "this has not ended after 60 s: $3"; }
        sleep 0.02                                      # between two looks
    done
    status=$(sed -n "s/^@end $count //p" "typed.$1")
    awk -v last=$((count - 1)) -v end="@end $count " '$1 == "@end" { if (index($0, end) == 1) exit; text = ""; next } { text = text $0 "\n" } END { printf "%s", text }' \
        "typed.$1" >output
    [ "$status" -eq 0 ] || { cat output "errors.$1" >&2; fail "exit status $status: $3"; }
}

# ---- the sessions -----------------------------------------------------------------------------------------------------------------
# Lines: section, tab, host, tab, command; and section, tab, "=", tab, a line of output.
awk '/^```/ { code = !code } code { next }
    /^#+ / { section = $0; sub(/^#+ /, "", section); shown = 0; next }
    /^    [a-z]?[$#] / { line = substr($0, 5); host = substr(line, 1, index(line, " ") - 2); print section "\t" (host == "" ? "here" : host) "\t" substr(line, index(line, " ") + 1); shown = 1; next }
    /^    / { if (shown) print section "\t=\t" substr($0, 5); next }
    { shown = 0 }' "$document" >lines
grep -q . lines || fail "$document has no session"

typed=0
expected=
compare() {
    [ -n "$expected" ] || return 0
    [ "$(cat output)" = "$expected" ] || fail "$document prints
$expected
below \"$command\", which prints
$(cat output)"
    expected=
}
for hosts in 'a b' here; do
    with=
    while IFS=$(printf '\t') read -r section host text; do
        if [ "$host" = = ]; then
            case $text in '['*) continue ;; esac        # the progress bar: on terminals only
            [ -z "$with" ] || expected="${expected:+$expected
}$text"
            continue
        fi
        compare
        with=
        case " $hosts " in *" $host "*) ;; *) continue ;; esac
        if why=$(left_out "$section" "$text"); then
            echo "left out: $text ($why)"
            continue
        fi
        command=$text
        with=yes
        echo "$host\$ $text"
        case $host in a) type_in a 5 "$text" ;; b) type_in b 6 "$text" ;; here) type_in here 7 "$text" ;; esac
        typed=$((typed + 1))
    done <lines
    compare
done
[ "$typed" -ge 5 ] || fail "only $typed commands were found"
echo "$typed commands"

# What they leave running ends when asked to.
for host in b a; do
    for pid in $(ip netns pids "$tag-$host"); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in bfork-worker | bfork-broker) kill -TERM "$pid" ;; esac
    done
done
exec 5>&- 6>&- 7>&-
# shellcheck disable=SC2086
wait $shells || fail 'a shell ended badly'
limit=$(($(date +%s) + 20))
until [ -z "$(ip netns pids "$tag-a")$(ip netns pids "$tag-b")" ]; do
    [ "$(date +%s)" -lt "$limit" ] || fail 'processes are left'
    sleep 0.05
done
shells=
