#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""circles.py SOURCE COMMANDS WORK - files of the product that call each other in circles are told, and it ends with 1.

COMMANDS is a compile_commands.json of the tree SOURCE: each file is compiled as it says, as far as what is included and defined goes,
without optimisation, into the folder WORK. tools/house counts with the same code."""
import collections
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

FOLDERS = ("broker", "worker", "libclient", "cli", "common")


def product_files(source, suffixes):
    """Names of the product's source files, relative to the tree."""
    tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
    out = subprocess.run([tool, source], check=True, capture_output=True, text=True).stdout
    return [f for f in out.splitlines() if f.split("/")[0] in FOLDERS and f.endswith(suffixes)]


def relative(source, path):
    return os.path.relpath(path, source) if path.startswith(source + os.sep) else path


# ---- the graph of calls, from what the compiler wrote ------------------------------------------------------------------------------

class Graph:
    """defined: name -> {file that has it}; external: those that other files can call; calls: {(calling file, called name)}."""
    def __init__(self, source, build):
        self.defined = collections.defaultdict(set)         # every function of a .c file
        self.external = collections.defaultdict(set)        # those that other files can call
        self.calls = set()                                  # (calling .c file, called name)
        node = re.compile(r'node: \{ title: "([^"]*)" label: "([^\\"]*)\\n([^:"]*):\d+:\d+[^"]*"(.*)\}')
        edge = re.compile(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"')
        sources = set(product_files(source, (".c",)))
        found = 0
        for directory, _, names in os.walk(build):
            for name in names:
                if not name.endswith(".ci"):
                    continue
                with open(os.path.join(directory, name), encoding="utf-8") as f:
                    text = f.read()
                title = re.search(r'graph: \{ title: "([^"]*)"', text)
                unit = relative(source, title.group(1)) if title else ""
                if unit not in sources:
                    continue
                found += 1
                here = {}
                for t, label, where, rest in node.findall(text):
                    if "ellipse" in rest:                   # called here, defined elsewhere
                        continue
                    here[t] = relative(source, where)
                    if relative(source, where) == unit:
                        self.defined[label].add(unit)
                        if ":" not in t:
                            self.external[label].add(unit)
                for caller, target in edge.findall(text):
                    if caller in here and ":" not in target:         # what a header has inline belongs to who includes it
                        self.calls.add((unit, target))
        if not found:
            sys.exit("no .ci file of the product below %s: was it compiled with -fcallgraph-info?" % build)
        self.files = found

    def namesakes(self):
        return {name: files for name, files in self.defined.items() if len(files) > 1 and name != "main"}

    def edges(self):
        """(calling file, called file). A name that several files define means the one of the caller's folder."""
        result = set()
        for unit, name in self.calls:
            where = self.external.get(name, set())
            near = {f for f in where if os.path.dirname(f) == os.path.dirname(unit)}
            where = near or where
            if len(where) == 1 and unit not in where:
                result.add((unit, next(iter(where))))
        return result


def circles(edges):
    """Strongly connected components of more than one file (Tarjan's algorithm, without recursion)."""
    after = collections.defaultdict(list)
    for a, b in sorted(edges):
        after[a].append(b)
    number, low, on, stack, result = {}, {}, set(), [], []
    for root in sorted(after):
        if root in number:
            continue
        work = [(root, iter(after[root]))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            for n in rest:
                if n not in number:
                    number[n] = low[n] = len(number)
                    stack.append(n)
                    on.add(n)
                    work.append((n, iter(after[n])))
                    break
                if n in on:
                    low[node] = min(low[node], number[n])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    members = []
                    while True:
                        members.append(stack.pop())
                        on.discard(members[-1])
                        if members[-1] == node:
                            break
                    if len(members) > 1:
                        result.append(sorted(members))
    return sorted(result, key=lambda c: (-len(c), c))


# ---- the test ----------------------------------------------------------------------------------------------------------------------

def compile_all(source, commands, work):
    """The graph of calls of each product file, in WORK. A file that several targets have is compiled for one of them."""
    wanted = set(product_files(source, (".c",)))
    compiler = os.environ.get("CC") or "gcc"
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
    if "Free Software Foundation" not in version:
        compiler = "gcc"                                    # no other writes the graph
    environment = dict(os.environ, CCACHE_DISABLE="1")      # which does not know the graph

    jobs = []
    with open(commands, encoding="utf-8") as f:
        entries = json.load(f)
    for entry in entries:
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        name = relative(source, path)
        if name not in wanted:
            continue
        wanted.discard(name)
        words = entry.get("arguments") or shlex.split(entry["command"])
        flags = [w for i, w in enumerate(words) if re.match(r"-(I|D|U|isystem|std=)", w) or words[i - 1] in ("-I", "-D", "-isystem")]
        jobs.append((entry["directory"], [compiler, *flags, "-O0", "-w", "-fno-lto", "-fcallgraph-info", "-S", "-o",
                                          os.path.join(work, name.replace("/", "_") + ".s"), path]))
    if wanted:
        sys.exit("circles: %s says nothing of %s" % (commands, ", ".join(sorted(wanted))))

    def one(job):
        done = subprocess.run(job[1], cwd=job[0], capture_output=True, text=True, env=environment, check=False)
        return done.stderr if done.returncode else ""
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        failed = [text for text in pool.map(one, jobs) if text]
    if failed:
        sys.exit("circles: a file could not be compiled by %s with -fcallgraph-info:\n%s" % (compiler, failed[0]))


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: circles.py SOURCE COMMANDS WORK")
    source, commands, work = (os.path.abspath(a) for a in sys.argv[1:4])
    compile_all(source, commands, work)
    graph = Graph(source, work)
    found = circles(graph.edges())
    for circle in found:
        print("circles: these files call each other in a circle: %s" % " ".join(circle), file=sys.stderr)
        inside = set(circle)
        for caller, called in sorted(graph.edges()):
            if caller in inside and called in inside:
                names = sorted(n for u, n in graph.calls if u == caller and called in graph.external.get(n, ()))
                print("    %s calls %s: %s" % (caller, called, ", ".join(names)), file=sys.stderr)
    print("circles: %d files, %d of them in %d circles" % (graph.files, sum(map(len, found)), len(found)))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
