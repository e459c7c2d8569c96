# SPDX-License-Identifier: MPL-2.0
"""The rows: what is measured, by whom, and what is to be reached.

A contender is (name, program, arguments, service it needs); "{port}" and "{pid}" in the arguments are the service's.
Ours is (where, arguments). A condition is (against, comparison, number): ours divided by a peer of that name, by the
floor, or ("value") ours itself."""
from dataclasses import dataclass, field


@dataclass
class Row:
    name: str
    title: str
    unit: str
    ours: tuple
    peers: list = field(default_factory=list)
    floor: tuple = None
    target: list = field(default_factory=list)      # of this version
    final: list = field(default_factory=list)
    more_is_better: bool = True
    runs: int = 5


def python(name, kind, *work):
    return (name, "python:pools.py", (kind,) + work, None)


def pool(*work):
    return python("Pool", "pool", *work)


def executor(*work):
    return python("Executor", "executor", *work)


def joblib(*work):
    return python("joblib", "joblib", *work)


def joblib_mp(*work):
    return python("joblib-mp", "joblib-mp", *work)


def gearmand(*work):
    return ("gearmand", "peer-gearman", ("{port}",) + work, "gearmand")


def beanstalkd(*work):
    return ("beanstalkd", "peer-beanstalk", ("{port}",) + work, "beanstalkd")


def curve(*work):
    return ("CURVE", "floor-curve", work, None)


FORK = ("fork", "floor-spawn", ("fork",), None)
FORK_EXEC = ("fork+exec", "floor-spawn", ("exec",), None)
PIPE = ("pipe", "floor-pipe", (), None)
XARGS = ("xargs -P2", "python:xargs.py", (), None)
SINGLES = [pool("single"), executor("single"), joblib("single")]
MAPS = [joblib("map", "100"), joblib_mp("map", "100")]


def efficiency(us, target, final):
    return Row("efficiency-%d" % us, "single tasks of %d µs, local: ideal time / real time" % us, "",
               ("local", ("efficiency", str(us))), [pool("efficiency", str(us))], None, target, final)


ROWS = [
    Row("submit", "single submits, encrypted, through broker and worker", "tasks/s", ("cluster", ("single", "100", "150000")),
        SINGLES + [gearmand("submits"), beanstalkd("submits")], curve("batch", "100", "100"),
        [("Pool", ">=", 8)], [("Pool", ">=", 15)]),
    Row("map-100", "map of 100-byte elements, encrypted", "tasks/s", ("cluster", ("map", "100", "500000")),
        [pool("map", "100"), executor("map", "100")], curve("batch", "4000", "100"), [("Pool", ">=", 1.0)], [("Pool", ">=", 1.4)]),
    Row("map-8", "map of 8-byte elements, encrypted", "tasks/s", ("cluster", ("map", "8", "4000000")),
        [pool("map", "8")], curve("batch", "32768", "8"), [("Pool", ">=", 1.5)], [("Pool", ">=", 2.5)]),
    Row("rtt", "round trip of one task, encrypted, p50", "µs", ("cluster", ("rtt",)), [gearmand("rtt"), beanstalkd("rtt")],
        curve("rtt"), [("floor", "<=", 1.25)], [("floor", "<=", 1.1), ("gearmand", "<=", 1.0)], more_is_better=False),
    Row("echo", "1 MiB argument and result, encrypted", "MB/s", ("cluster", ("echo",)), [beanstalkd("echo")], curve("echo"),
        [], [("floor", ">=", 1.0)]),
    Row("submit-local", "single submits, local", "tasks/s", ("local", ("single", "100", "200000")),
        SINGLES, None, [("Pool", ">=", 15)], [("Pool", ">=", 30)]),
    Row("map-100-local", "map of 100-byte elements, local", "tasks/s", ("local", ("map", "100", "2000000")),
        [pool("map", "100"), executor("map", "100")] + MAPS, None, [("Pool", ">=", 15)], [("Pool", ">=", 30)]),
    Row("map-8-local", "map of 8-byte elements, local", "tasks/s", ("local", ("map", "8", "20000000")), [pool("map", "8")]),
    Row("rtt-local", "round trip of one task, local, p50", "µs", ("local", ("rtt",)), [pool("rtt"), executor("rtt")], PIPE,
        [("floor", "<=", 1.3)], [("floor", "<=", 1.1)], more_is_better=False),
    efficiency(1, [], [("value", ">=", 0.90)]),
    efficiency(10, [("value", ">=", 0.85)], [("value", ">=", 0.95)]),
    efficiency(100, [], [("value", ">=", 0.98)]),
    efficiency(1000, [], [("value", ">=", 0.98)]),
    Row("echo-local", "1 MiB argument and result, local", "MB/s", ("local", ("echo",)), [executor("echo"), pool("echo")], None,
        [], [("Executor", ">=", 5)]),
    Row("commands", "commands that do nothing (fork and exec), encrypted", "commands/s",
        ("cluster", ("commands", "0", "1500")), [XARGS], None, [("xargs -P2", ">=", 0.8)], [("xargs -P2", ">=", 1.0)]),
    Row("commands-local", "the same, local", "commands/s",
        ("local", ("commands", "0", "1500")), [XARGS], None, [("xargs -P2", ">=", 0.8)], [("xargs -P2", ">=", 1.0)]),
    Row("template", "a new pool of one process until its first result", "ms", ("local", ("start",)),
        [pool("start"), executor("start")], FORK_EXEC, [], [("value", "<=", 1.0)], more_is_better=False, runs=9),
    Row("process", "a task in a new task process", "µs", ("local", ("process",)), [], FORK,
        [], [("value", "<=", 150)], more_is_better=False),
    Row("memory", "broker memory for each of 1,000,000 queued 100-byte tasks, single submits", "bytes",
        ("idle-cluster", ("queued", "100", "1000000", "{broker}")),
        [("beanstalkd", "peer-beanstalk", ("{port}", "memory", "{pid}"), "idle_beanstalkd"),
         ("gearmand", "peer-gearman", ("{port}", "memory", "{pid}"), "idle_gearmand")], None,
        [("value", "<=", 220)], [("value", "<=", 180)], more_is_better=False, runs=1),
    Row("memory-map", "the same, one map", "bytes", ("idle-cluster", ("queued-map", "100", "1000000", "{broker}")), [], None,
        [("value", "<=", 220)], [("value", "<=", 180)], more_is_better=False, runs=1),
    Row("memory-client", "broker and client memory for each of them, single submits", "bytes",
        ("idle-cluster", ("queued", "100", "1000000", "{broker}", "self")), [], None, more_is_better=False, runs=1),
    Row("depth", "cost of a task of 1,000,000 queued / of 1,000 queued, encrypted", "×", ("cluster", ("depth",)), [], None,
        [("value", "<=", 1.2)], [("value", "<=", 1.1)], more_is_better=False, runs=3),
    Row("depth-local", "the same, local", "×", ("local", ("depth",)), [], None,
        [("value", "<=", 1.2)], [("value", "<=", 1.1)], more_is_better=False, runs=3),
    Row("forever", "memory of broker, worker, client after 10,000,000 tasks / after 500,000: the worst", "×",
        ("cluster", ("forever", "100", "0", "{broker}", "{worker}", "self")), [], None,
        [("value", "<=", 1.1)], [("value", "<=", 1.1)], more_is_better=False, runs=1),
    Row("forever-local", "the same of a program with the local engine", "×", ("local", ("forever", "100", "0", "self")), [], None,
        [("value", "<=", 1.1)], [("value", "<=", 1.1)], more_is_better=False, runs=1),
]
