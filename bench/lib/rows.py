# SPDX-License-Identifier: MPL-2.0
"""The rows: what is measured, by whom, and what is to be reached.

A contender is (name, program, arguments, service it needs); "{port}" and "{pid}" in the arguments are the service's.
Ours is (where, arguments). A condition is (against, comparison, number): ours divided by a peer of that name, by the
floor, or ("value") ours itself."""
from dataclasses import dataclass, field

from lib.contender import RUN_LIMIT


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
    worst: bool = False     # the figure is the worst of the runs, not their median
    limit: int = RUN_LIMIT  # seconds of one run
    group: str = None       # a name for several rows


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
FORK_EXEC = ("exec+2 forks", "floor-spawn", ("exec",), None)


def pipe(placement):
    return ("pipe", "floor-pipe", (placement,), None)


def ring(*work):
    return ("ring", "floor-ring", work, None)


XARGS = ("xargs -P2", "python:xargs.py", (), None)
SINGLES = [pool("single"), executor("single"), joblib("single")]
FOREVER = 300           # seconds that ten million tasks may take
MAPS = [joblib("map", "100"), joblib_mp("map", "100")]


def efficiency(us, target, final):
    return Row("efficiency-%d" % us, "single tasks of %d µs, local: ideal time / real time" % us, "",
               ("local", ("efficiency", str(us))), [pool("efficiency", str(us))], None, target, final)


def frame(name, what):
    return Row("frame-" + name, "longest turn of the broker, one-task ranges by the million: " + what, "ms", ("core", (name,)),
               target=[("value", "<=", 10)], final=[("value", "<=", 10)], more_is_better=False, runs=3, worst=True,
               group="frame")


def codec(name, what, unit):
    return Row("codec-" + name, what + ": decoded, checked and encoded again", unit, ("codec", (name,)),
               [("msgpack-c", "peer-msgpack", (name,), None)], group="codec")


CODECS = [
    codec("task", "arguments of a task: an integer, a text, a real, a truth value, 100 bytes", "tasks/s"),
    codec("tasks", "TASKS of 257 records, 100 bytes each", "frames/s"), codec("hello", "HELLO of 17 fields", "frames/s"),
]

FRAMES = [
    frame("tasks", "TASKS of 2,048 records"), frame("cancel", "CANCEL of 2,048 records"),
    frame("cancel-all", "CANCEL of everything"),
    frame("cancel-queued", "CANCEL of all that has not begun, of which a worker has thousands of attempts"),
    frame("recalled", "RECALLED of 2,048 of them"), frame("look", "TASKS_LOOK of 2,048 records"),
    frame("ack", "OUTCOMES_ACK of all that was sent"), frame("assigned", "ASSIGNED_OK of 2,048 attempts"),
    frame("results", "RESULTS of 2,048 attempts"), frame("job-close", "JOB_CLOSE"), frame("pool-close", "POOL_CLOSE"),
    frame("bye", "BYE of the client"), frame("worker-bye", "BYE of a worker with thousands of attempts"),
    frame("worker-cut", "the connection of such a worker is lost"), frame("client-cut", "the connection of the client is lost"),
    frame("lease-end", "the lease of such a worker ends"), frame("holding", "HOLDING of 2,048 attempts after a restart"),
    frame("holding-wide", "HOLDING of attempts of which each part waits by itself"),
    frame("job-open", "JOB_OPEN of a job with 65,536 attempts from before a restart"), frame("status", "STATUS_GET"),
    frame("pool-open", "POOL_OPEN beside half a million pools without work"),
    frame("worker-state", "WORKER_STATE with other slots, beside as many pools"),
]

ROWS = [
    Row("submit", "single submits, encrypted, through broker and worker", "tasks/s", ("cluster", ("single", "100", "150000")),
        SINGLES + [gearmand("submits"), beanstalkd("submits")], curve("batch", "2560", "100"),
        [("Pool", ">=", 8)], [("Pool", ">=", 15)]),
    Row("map-100", "map of 100-byte elements, encrypted", "tasks/s", ("cluster", ("map", "100", "500000")),
        [pool("map", "100"), executor("map", "100")], curve("batch", "4000", "100"), [("Pool", ">=", 1.0)], [("Pool", ">=", 1.4)]),
    Row("map-8", "map of 8-byte elements, encrypted", "tasks/s", ("cluster", ("map", "8", "4000000")),
        [pool("map", "8")], curve("batch", "32768", "8"), [("Pool", ">=", 1.5)], [("Pool", ">=", 2.5)]),
    Row("rtt", "round trip of one task, encrypted, p50", "µs", ("cluster", ("rtt",)), [gearmand("rtt"), beanstalkd("rtt")],
        curve("chain"), [("floor", "<=", 1.15)], [("floor", "<=", 1.05), ("gearmand", "<=", 1.0)], more_is_better=False),
    Row("echo", "64 values of 1 MiB there and back, encrypted", "MB/s", ("cluster", ("echo",)), [beanstalkd("echo")], curve("echo"),
        [], [("floor", ">=", 1.0)]),
    Row("submit-local", "single submits, local", "tasks/s", ("local", ("single", "100", "200000")),
        SINGLES, None, [("Pool", ">=", 15)], [("Pool", ">=", 30)]),
    Row("map-100-local", "map of 100-byte elements, local", "tasks/s", ("local", ("map", "100", "2000000")),
        [pool("map", "100"), executor("map", "100")] + MAPS, ring("map", "100", "2000000"), [("Pool", ">=", 15)], [("floor", ">=", 0.9)]),
    Row("map-8-local", "map of 8-byte elements, local", "tasks/s", ("local", ("map", "8", "20000000")), [pool("map", "8")], ring("map", "8", "20000000")),
    Row("rtt-local", "round trip of one task, local, p50", "µs", ("local", ("rtt", "free")), [pool("rtt"), executor("rtt")],
        pipe("free"), [("floor", "<=", 1.3)], [("floor", "<=", 1.1)], more_is_better=False),
    Row("rtt-local-same", "the same, client and task process on one processor", "µs", ("local", ("rtt", "same")), [],
        pipe("same"), [("floor", "<=", 1.3)], [("floor", "<=", 1.1)], more_is_better=False),
    Row("rtt-local-two", "the same, on two processors", "µs", ("local", ("rtt", "two")), [],
        pipe("two"), [("floor", "<=", 1.3)], [("floor", "<=", 1.1)], more_is_better=False),
    efficiency(1, [], [("value", ">=", 0.90)]),
    efficiency(10, [("value", ">=", 0.85)], [("value", ">=", 0.95)]),
    efficiency(100, [], [("value", ">=", 0.98)]),
    efficiency(1000, [], [("value", ">=", 0.98)]),
    Row("echo-local", "64 values of 1 MiB there and back, local", "MB/s", ("local", ("echo",)), [executor("echo"), pool("echo")], ring("echo"),
        [], [("Executor", ">=", 5), ("floor", ">=", 0.8)]),
    Row("commands", "commands that do nothing (fork and exec), encrypted", "commands/s",
        ("cluster", ("commands", "0", "1500")), [XARGS], None, [("xargs -P2", ">=", 0.8)], [("xargs -P2", ">=", 1.0)]),
    Row("commands-local", "the same, local", "commands/s",
        ("local", ("commands", "0", "1500")), [XARGS], None, [("xargs -P2", ">=", 0.8)], [("xargs -P2", ">=", 1.0)]),
    Row("template", "a new pool until each of its two processes has returned a result", "ms", ("local", ("start",)),
        [pool("start"), executor("start")], FORK_EXEC, [], [("value", "<=", 1.0)], more_is_better=False, runs=9),
    Row("process", "a task in a new task process", "µs", ("local", ("process",)), [], FORK,
        [], [("value", "<=", 150)], more_is_better=False),
    Row("memory", "broker memory for each queued 100-byte task, single submits: 1,000,000 of ours, 200,000 of beanstalkd's, 100,000 of gearmand's", "bytes",
        ("idle-cluster", ("queued", "100", "1000000", "broker={broker}")),
        [("beanstalkd", "peer-beanstalk", ("{port}", "memory", "{pid}"), "idle_beanstalkd"),
         ("gearmand", "peer-gearman", ("{port}", "memory", "{pid}"), "idle_gearmand")], None,
        [("value", "<=", 220)], [("value", "<=", 180)], more_is_better=False, runs=1),
    Row("memory-map", "the same of ours, one map of 1,000,000", "bytes", ("idle-cluster", ("queued-map", "100", "1000000", "broker={broker}")), [], None,
        [("value", "<=", 220)], [("value", "<=", 180)], more_is_better=False, runs=1),
    Row("memory-client", "broker and client memory for each of 1,000,000, single submits", "bytes",
        ("idle-cluster", ("queued", "100", "1000000", "broker={broker}", "client=self")), [], None, more_is_better=False, runs=1),
    Row("depth", "cost of a task of 1,000,000 queued / of 1,000 queued, encrypted", "×", ("cluster", ("depth",)), [], None,
        [("value", "<=", 1.2)], [("value", "<=", 1.1)], more_is_better=False, runs=3),
    Row("depth-local", "the same, local", "×", ("local", ("depth",)), [], None,
        [("value", "<=", 1.2)], [("value", "<=", 1.1)], more_is_better=False, runs=3),
    Row("forever", "memory of a fresh broker, worker, client after 10,000,000 tasks / after 10,000: the worst", "×",
        ("fresh-cluster", ("forever", "100", "0", "broker={broker}", "worker={worker}", "client=self")), [], None,
        [("value", "<=", 1.1)], [("value", "<=", 1.1)], more_is_better=False, runs=1, limit=FOREVER),
    Row("forever-local", "the same of a program with the local engine", "×", ("local", ("forever", "100", "0", "program=self")), [], None,
        [("value", "<=", 1.1)], [("value", "<=", 1.1)], more_is_better=False, runs=1, limit=FOREVER),
] + CODECS + FRAMES
