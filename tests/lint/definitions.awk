# SPDX-License-Identifier: MPL-2.0
# FILE NAME of every function that C files define, however the definition is broken into lines: what stands before a brace outside of all
# others, and has a name with a bracket behind it. Of alternatives (#if) all are told.
BEGIN {
    n = split("void char short int long unsigned signed float double bool size_t defined typeof", words, " ")
    for (i = 1; i <= n; i++)
        type[words[i]] = 1
}

function end_file() {
    if (file != "" && depth != 0)
        print file ": the braces do not end" >"/dev/stderr"
}

function tell(head,    name) {
    gsub(/__attribute__ *\(\(([^()]|\([^()]*\))*\)\)/, " ", head)
    if (head ~ /=/)
        return
    while (match(head, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        name = substr(head, RSTART, RLENGTH - 1)
        sub(/[ \t]+$/, "", name)
        head = substr(head, RSTART + RLENGTH)
        if (name ~ /^[a-z]/ && !(name in type)) {
            if (name != "main")
                print file, name
            return
        }
    }
}

FNR == 1 {
    end_file()
    file = FILENAME
    depth = comment = directive = 0
    head = ""
}

{
    line = $0
    code = ""
    while (line != "") {
        if (comment) {
            at = index(line, "*/")
            line = at ? substr(line, at + 2) : ""
            comment = !at
        } else if (match(line, /"|'|\/\*|\/\//)) {
            what = substr(line, RSTART, RLENGTH)
            code = code substr(line, 1, RSTART - 1) " "
            line = substr(line, RSTART + RLENGTH)
            if (what == "/*")
                comment = 1
            else if (what == "//")
                line = ""
            else {
                if (what == "\"")
                    match(line, /^([^"\\]|\\.)*"/)
                else
                    match(line, /^([^'\\]|\\.)*'/)
                line = RLENGTH > 0 ? substr(line, RLENGTH + 1) : ""
            }
        } else {
            code = code line
            line = ""
        }
    }
    if (directive || code ~ /^[ \t]*#/) {
        directive = $0 ~ /\\$/
        next
    }
    while (match(code, /[{};]/)) {
        if (depth == 0)
            head = head " " substr(code, 1, RSTART - 1)
        what = substr(code, RSTART, 1)
        code = substr(code, RSTART + 1)
        if (what == "{") {
            if (depth == 0)
                tell(head)
            if (depth > 0 || head !~ /^ *extern *$/)        # extern "C" {
                depth++
        } else if (what == "}" && depth > 0)
            depth--
        if (depth == 0)
            head = ""
    }
    if (depth == 0)
        head = head " " code
}

END { end_file() }
