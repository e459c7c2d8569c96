#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# names.sh - functions of the product: no two have the same name, as they are written, and what other files can call, as it was compiled,
# begins with the prefix of its part (ARCHITECTURE.md, Names). First it sees that planted faults of each kind are found.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
PARTS='broker worker libclient cli common'

# look SOURCE BUILD FUNCTIONS DEFINITIONS: 1, and says what is wrong. Fewer functions or definitions than so many are not believed.
look() {
    broken=0
    # FILE NAME of every function that other files can call. What a compiler adds has a dot or an underscore in front.
    # shellcheck disable=SC2086
    (cd "$2" && find $PARTS -name '*.c.o' -print0 | xargs -0 -r nm -A --defined-only) |
        sed -nE 's,^(.*\.c)\.o: ?[0-9a-f]+ T ([a-z][a-z0-9_]*)$,\1 \2,; t found; d; :found; s,CMakeFiles/[^/]*\.dir/,,; s,[^/ ]*/__/,,; / main$/d; p' |
        sort -u >functions
    [ "$(wc -l <functions)" -ge "$3" ] || { echo "only $(wc -l <functions) functions were found below $2" >&2; return 1; }
    # What is written: also static functions, and those of headers, which are inlined everywhere and in no object.
    # shellcheck disable=SC2086
    (cd "$1" && find $PARTS \( -name '*.c' -o -name '*.h' \) -exec awk -f "$BF_SOURCE/tests/lint/definitions.awk" {} +) >told 2>unread
    sort -u told >written
    if [ -s unread ]; then
        cat unread >&2
        broken=1
    fi
    [ "$(wc -l <written)" -ge "$4" ] || { echo "only $(wc -l <written) definitions were found below $1" >&2; return 1; }

    awk '{ print $2 }' written | sort | uniq -d >twice
    if [ -s twice ]; then
        echo "these functions have a namesake:" >&2
        awk 'NR == FNR { twice[$1] = 1; next } $2 in twice' twice written >&2
        broken=1
    fi
    awk '{
        part = $1
        sub("/[^/]*$", "", part)
        if (part ~ /^(broker|worker|libclient)\/core\//)
            sub("/core/.*", "/core", part)              # its floors: model, rules, in, out
        p["broker/core"] = "^(brk|broker)_"; p["worker/core"] = "^(wrk|worker)_"; p["libclient/core"] = "^(ses|session)_"
        p["broker"] = "^bsh_"; p["worker"] = "^(wsh|lanes)_"; p["libclient"] = "^(bfs|bfork)_"; p["libclient/local"] = p["libclient/remote"] = "^bfs_"
        p["libclient/task"] = "^(task|bfork)_"; p["cli"] = p["cli/core"] = "^cli_"
        p["common/exec"] = p["common/exec/keeper"] = p["common/exec/symbols"] = "^exec_"
        p["common/net"] = "^net_"; p["common/blob"] = "^blob_"
        # As the file, up to its first underscore: err.c has err_set, conf_help.c has conf_help.
        own = $1
        sub("^.*/", "", own)
        sub("[_.].*$", "", own)
        p["common/base"] = "^" own "_"; p["common/wire"] = "^(wire|" own ")_"
        if (!(part in p))
            print $1 ": " $2 " is in a part that has no prefix: tests/lint/names.sh has the table"
        else if ($2 !~ p[part])
            print $1 ": " $2 " does not begin as " part " says: " p[part]
    }' functions >prefixes
    if [ -s prefixes ]; then
        cat prefixes >&2
        broken=1
    fi
    return "$broken"
}

# planted TEXT FILE CODE...: a small tree in which this file has this code, a line a word, is refused with this text; "": it passes.
planted() {
    text=$1 file=$2
    shift 2
    rm -rf "a tree"
    # shellcheck disable=SC2086
    (mkdir "a tree" && cd "a tree" && mkdir -p $PARTS common/base "${file%/*}")
    echo 'void err_set(void) { }' >"a tree/common/base/err.c"
    echo 'static inline void list_init(void) { }' >"a tree/common/base/list.h"
    printf '%s\n' "$@" >"a tree/$file"
    # shellcheck disable=SC2086
    (cd "a tree" && find . -name '*.c' | while IFS= read -r f; do
        mkdir -p "made/${f%/*}/CMakeFiles/x.dir"
        "$CC" -c -w -fno-lto -o "made/${f%/*}/CMakeFiles/x.dir/${f##*/}.o" "$f" || exit 1
    done && cd made && mkdir -p $PARTS) || exit 1
    status=0
    (look "$PWD/a tree" "$PWD/a tree/made" 1 1) >said 2>&1 || status=$?
    if [ -z "$text" ] && [ "$status" -ne 0 ]; then
        echo "refused without a reason:"
    elif [ -n "$text" ] && { [ "$status" -ne 1 ] || ! grep -qF "$text" said; }; then
        echo "status $status, without \"$text\":"
    else
        return 0
    fi
    printf '%s\n' "$@"
    cat said
    exit 1
}
planted '' broker/turn.c 'void bsh_turn(void) { }' 'struct s { int (*f)(void); };' 'static const struct { int a; } t[] = { { 1 } };' \
    '/* void err_set(void) { } */' 'static const char *x = "void list_init(void) {";' '#define F(f) void err_set(void) { }'
namesake='these functions have a namesake'
planted "$namesake" broker/turn.c 'static void err_set(void) { }'
planted "$namesake" broker/turn.c 'static void list_init(void) { }'
planted "$namesake" broker/turn.h 'static inline void err_set(void) { }'
planted "$namesake" broker/turn.c 'enum e { A };' 'enum e err_set(void)' '{ return A; }'
planted "$namesake" broker/turn.c 'static struct t { int a; } *err_set (void) { return 0; }'
planted "$namesake" broker/turn.c 'static _Atomic int *' 'err_set(void)' '{' '    return 0;' '}'
planted "$namesake" broker/turn.c 'static _Atomic(int) *err_set(void) { return 0; }'
planted "$namesake" broker/turn.c 'static' 'void err_set' '(int a,' ' int b) { }'
planted "$namesake" broker/turn.c '__attribute__((format(printf, 1, 2))) static void err_set(const char *f, ...) { }'
planted "$namesake" broker/turn.c 'static void (*err_set(int a))(void) { return 0; }'
planted 'the braces do not end' broker/turn.h 'static inline void turn(void) {'
prefix='does not begin as'
planted "$prefix broker says" broker/turn.c 'void turn(void) { }'
planted "$prefix common/base says: ^err_" common/base/err.c 'void set_err(void) { }'
planted '' common/base/err_more.c 'void err_more(void) { }'
planted "$prefix common/wire says" common/wire/item.c 'void cursor_item(void) { }'
planted '' common/wire/item.c 'void wire_cut(void) { }' 'void item_cut(void) { }'
planted 'is in a part that has no prefix' common/store/store.c 'void store_open(void) { }'

look "$BF_SOURCE" "$BF_BUILD" 1000 1500
