#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The lines of README.md that install into a folder of one's own, as they are printed, in a home that has nothing: the program that they
# build runs, without a word about where the library is.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }
work=$(mktemp -d)           # pkg-config's words cannot have blanks, a path of the build may
trap 'rm -rf "$work"' EXIT
sed -n '/^## Build and install/,/^## Read on/s/^    \$ //p' "$BF_SOURCE/README.md" | sed -n '/--prefix/,$p' >"$work/lines"
[ "$(wc -l <"$work/lines")" -ge 3 ] || { echo "README.md has no lines that install into a prefix"; exit 1; }
mkdir -p "$work/tree/build" "$work/bin"
ln -s "$BF_BUILD" "$work/tree/build/install"
ln -s "$BF_SOURCE/examples" "$work/tree/examples"
# The PATH is that of before: a compiler that is a link to ccache looks there for the one of its name, and would find this.
printf '#!/bin/sh\nPATH=${PATH#*:}\nexec %s %s "$@"\n' "$CC" "${BF_SANITIZE:+-fsanitize=$BF_SANITIZE}" >"$work/bin/cc"
chmod +x "$work/bin/cc"
cd "$work/tree"
status=0
env -u LD_LIBRARY_PATH -u PKG_CONFIG_PATH -u BFORK_PROFILE HOME="$work" PATH="$work/bin:$PATH" sh -eu "$work/lines" >"$work/output" 2>&1 || status=$?
printf '%s\n' 1 4 9 16 25 >"$work/expected"
tail -n 5 "$work/output" | cmp -s - "$work/expected" || status=1
[ "$status" -eq 0 ] || { echo "the lines of README.md, and what they print:"; cat "$work/lines" "$work/output"; exit 1; }
