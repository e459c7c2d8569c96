# SPDX-License-Identifier: MPL-2.0
# shellcheck shell=sh
# processes.sh - for tests: finds the processes a program started, by a word in their environment, and waits until they are gone.
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }

# marked_processes MARK: numbers of living processes with BF_MARK=MARK, without this shell and its own children.
marked_processes() {
    for marked_dir in /proc/[0-9]*; do
        marked_pid=${marked_dir#/proc/}
        [ "$marked_pid" != "$$" ] || continue
        tr '\000' '\n' 2>/dev/null <"$marked_dir/environ" | grep -qxF "BF_MARK=$1" || continue
        case $(ps -o ppid=,stat= -p "$marked_pid" 2>/dev/null) in
        '' | *Z*) ;;                                    # gone, or waiting for its parent to notice
        *) printf '%s\n' "$marked_pid" ;;
        esac
    done 2>/dev/null
}

# no_process_is_left MARK: 0 as soon as there is none; 1 and a list after ten seconds.
no_process_is_left() {
    left_until=$(($(date +%s) + 10))
    unset BF_MARK
    while left=$(marked_processes "$1") && [ -n "$left" ]; do
        if [ "$(date +%s)" -ge "$left_until" ]; then
            echo "these processes are left:" >&2
            # shellcheck disable=SC2046
            ps -o pid,ppid,stat,args -p $(printf '%s' "$left" | tr '\n' ' ') >&2
            return 1
        fi
    done
    return 0
}
