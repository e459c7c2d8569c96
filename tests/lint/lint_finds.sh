#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Plants one breach of each rule of tools/lint in a small tree of its own and sees that exactly that rule is named; a clean tree passes.
set -eu
[ "${BF_TEST_DIRECTORY-}" = "$PWD" ] || { echo "run me with ctest, or through tests/lib/in_directory: I write files" >&2; exit 2; }

failed=0
: >proven
# fresh: a tree without any breach.
fresh() {
    rm -rf tree
    mkdir -p tree/broker/core tree/common/base tree/common/wire tree/common/exec tree/common/blob tree/libclient/task tree/worker
    printf '/* SPDX-License-Identifier: MPL-2.0 */\n#include "core.h"\n\nint two(void)\n{\n    return 2;\n}\n' >tree/broker/core/core.c
    printf '/* SPDX-License-Identifier: MPL-2.0 */\n#ifndef CORE_H\n#define CORE_H\nint two(void);\n#endif\n' >tree/broker/core/core.h
    for f in common/base/base.c common/wire/wire.c common/exec/exec.c common/blob/blob.c libclient/task/task.c broker/main.c worker/main.c; do
        printf '/* SPDX-License-Identifier: MPL-2.0 */\nextern int nothing;\n' >"tree/$f"
    done
    printf '#!/bin/sh\n# SPDX-License-Identifier: MPL-2.0\ndo_help() {\n    echo help\n}\n"do_$1"\n' >tree/dev
    printf '# A title\n\n    ./dev help\n' >tree/README.md
}
# found RULE: lint fails and names this rule and no other.
found() {
    echo "$1" >>proven
    if "$BF_SOURCE/tools/lint" "$PWD/tree" >said 2>&1; then
        echo "not found: $1"
        failed=1
    elif ! grep -qF "lint: $1" said || ! grep -qF 'lint: 1 rules are broken' said; then
        echo "expected: $1"
        cat said
        failed=1
    fi
}

fresh
"$BF_SOURCE/tools/lint" "$PWD/tree" >said 2>&1 || { echo "a clean tree is refused:"; cat said; failed=1; }

fresh; sed -i 1d tree/broker/main.c
found "every source file names its licence"
for include in '<zmq.h>' '<unistd.h>' '<time.h>' '<pthread.h>' '<sys/socket.h>' '"exec/exec.h"'; do
    fresh; echo "#include $include" >>tree/broker/core/core.c
    case $include in
    '<zmq.h>') ;;       # breaks two rules at once
    *) found "a core and common/wire reach nothing" ;;
    esac
done
fresh; echo '#include <zmq.h>' >>tree/broker/main.c
found "ZeroMQ headers only in common/net"
fresh; echo '#include "wire/wire.h"' >>tree/common/base/base.c
found "common/base includes nothing above it"
fresh; echo '#include "worker/lanes.h"' >>tree/common/wire/wire.c
found "common/wire includes only common/base"
for include in '"net/net.h"' '"libclient/client.h"' '<openssl/evp.h>'; do
    fresh; echo "#include $include" >>tree/common/exec/exec.c
    found "common/exec includes only base and wire"
done
fresh; echo '#include "net/net.h"' >>tree/common/blob/blob.c
found "common/blob includes only base and wire"
fresh; echo '#include "broker/shell.h"' >>tree/worker/main.c
found "nobody includes the broker's shell"
fresh; echo '#include <openssl/evp.h>' >>tree/libclient/task/task.c
found "the task side carries neither ZeroMQ nor OpenSSL"
fresh; echo "/* TO""DO: more */" >>tree/broker/main.c
found "unfinished work is finished"
fresh; echo "/* see /ro""ot/notes */" >>tree/broker/main.c
found "no path of one machine"
fresh; printf '/* %0140d */\n' 0 >>tree/broker/main.c
found "lines of C end before column 133"
fresh; printf '\textern int tab;\n' >>tree/broker/main.c
found "no tabs in C"
fresh; printf 'extern int blank; \n' >>tree/broker/main.c
found "no spaces at line ends"
fresh; printf 'extern int last;' >>tree/broker/main.c
found "files end with a line end"
fresh; echo '/* the ma''ster sends it */' >>tree/broker/main.c
found "one word for one thing"
fresh; echo 'int f(char *s) { return atoi(s); }' >>tree/broker/main.c
found "banned calls"
fresh; echo 'long f(void) { return time(0); }' >>tree/broker/core/core.c
found "a core is given time and bytes"
fresh; sed -i '/^#ifndef/d' tree/broker/core/core.h
found "every header has an include guard"
fresh; echo '    ./dev fly' >>tree/README.md
found "documents name only commands of ./dev"
fresh; printf '#!/bin/sh\n# SPDX-License-Identifier: MPL-2.0\ncd $1\nrm -rf $UNSET/*\n' >tree/dev
printf '# A title\n' >tree/README.md
found "shellcheck"
# Every rule was seen to find something: one without a breach above could be deleted unnoticed.
grep -oE 'rule "[^"]+"' "$BF_SOURCE/tools/lint" | sed 's/^rule "//; s/"$//' >rules
[ -s rules ] || { echo "tools/lint has no rules"; failed=1; }
while IFS= read -r name; do
    while IFS= read -r seen; do
        case $name in "$seen"*) continue 2 ;; esac
    done <proven
    echo "no breach of this rule is planted here: $name"
    failed=1
done <rules

# A tree without git, as a tarball makes it, is looked at; one without C is refused rather than passed; what is built is left out.
fresh; mkdir tree/build; printf 'int tab;\t\n' >tree/build/made.c
"$BF_SOURCE/tools/lint" "$PWD/tree" >said 2>&1 || { echo "what is built is looked at:"; cat said; failed=1; }
grep -qE 'lint: [1-9][0-9]* files, nothing found' said || { echo "no count of files:"; cat said; failed=1; }
rm -rf tree; mkdir tree; echo text >tree/README.md
! "$BF_SOURCE/tools/lint" "$PWD/tree" >said 2>&1 || { echo "a tree without C passes"; failed=1; }
exit $failed
