# SPDX-License-Identifier: MPL-2.0
"""The same contract as contest.h, for peers written in Python: "ready", then one number for each line "run" on stdin."""
import ctypes
import random
import signal
import statistics
import sys
import time

now = time.perf_counter
NOISE = random.Random(1).randbytes((1 << 20) + 4096)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


def skip(why):
    print("skip: " + why, flush=True)
    sys.exit(0)


def fail(why):
    print("failed: " + why, flush=True)
    sys.exit(1)


def loop(run):
    print("ready", flush=True)
    for _ in iter(sys.stdin.readline, ""):
        print("%.9g" % run(), flush=True)


def payload(size, number):
    """The number, and behind that bytes that follow from it."""
    place = number % 4096
    return number.to_bytes(8, "little") + NOISE[place:place + size - 8]


def p50(once, rounds):
    """The median of once(i) in microseconds."""
    times = []
    for i in range(rounds):
        t = now()
        once(i)
        times.append((now() - t) * 1e6)
    return statistics.median(times)


def rate(n, work):
    """work() does n things: how many a second."""
    t = now()
    work()
    return n / (now() - t)
