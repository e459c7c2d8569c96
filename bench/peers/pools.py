# SPDX-License-Identifier: MPL-2.0
"""Python's ways to use two cores, as warm as ours.

    pools.py pool|executor|joblib|joblib-mp WORK [PARAMETER]

WORK: map BYTES (all at once, the best of several chunk sizes), single (one task at a time), rtt, echo (1 MiB there and back,
four in flight), efficiency MICROSECONDS (busy tasks handed out one by one), start (a new pool until each of its processes has
returned a result).
Tasks of the first four return their argument; every task has an argument of its own."""
import collections
import concurrent.futures
import itertools
import multiprocessing
import os
import sys

import contest
from contest import now

PROCESSES = 1 if "rtt" in sys.argv[2:3] else 2      # ours has one for round trips, too
BIG = 1 << 20


def same(x):
    return x


def busy(job):
    until = now() + job[1]
    while now() < until:
        pass


def bodies(n, size):
    if size <= 8:
        return list(range(n))
    return [contest.payload(size, i) for i in range(n)]


class Pool:
    """multiprocessing.Pool"""
    def __init__(self):
        self.pool = multiprocessing.Pool(PROCESSES, contest.die_with_parent)

    def map(self, work, items, chunk):
        return self.pool.map(work, items, chunk)

    def submit(self, work, item):
        handle = self.pool.apply_async(work, (item,))
        handle.result = handle.get
        return handle

    def close(self):
        self.pool.terminate()
        self.pool.join()


class Executor:
    """concurrent.futures.ProcessPoolExecutor"""
    def __init__(self):
        self.pool = concurrent.futures.ProcessPoolExecutor(PROCESSES, initializer=contest.die_with_parent)

    def map(self, work, items, chunk):
        return list(self.pool.map(work, items, chunksize=chunk or 1000))

    def submit(self, work, item):
        return self.pool.submit(work, item)

    def close(self):
        self.pool.shutdown()


class Joblib:
    """joblib.Parallel with one of its backends"""
    def __init__(self, backend):
        try:
            import joblib
        except ImportError:
            contest.skip("joblib is not installed (python3-joblib)")
        self.joblib = joblib
        self.backend = backend
        self.parallel = joblib.Parallel(n_jobs=PROCESSES, backend=backend)
        self.parallel.__enter__()

    def map(self, work, items, chunk):
        self.parallel.batch_size = chunk or "auto"
        return self.parallel(self.joblib.delayed(work)(item) for item in items)

    def close(self):
        self.parallel.__exit__(None, None, None)


def make(kind):
    kinds = {"pool": Pool, "executor": Executor, "joblib": lambda: Joblib("loky"), "joblib-mp": lambda: Joblib("multiprocessing")}
    return kinds[kind]()


def checked(items, work):
    """How many a second; what comes back is compared with what was sent, after the time, as ours is."""
    results = []
    speed = contest.rate(len(items), lambda: results.append(work()))
    if results[0] != items:
        contest.fail("a result is wrong")
    return speed


def work_map(pool, size):
    items = bodies(400_000 if size > 8 else 1_500_000, size)
    chunks = [None, 1000, 4000, 20_000]
    speed = {c: max(checked(items, lambda: pool.map(same, items, c)) for _ in range(2)) for c in chunks}
    best = max(speed, key=speed.get)
    return lambda: checked(items, lambda: pool.map(same, items, best))


def work_map_joblib(pool, size):
    items = bodies(50_000, size)
    pool.map(same, items, None)
    return lambda: checked(items, lambda: pool.map(same, items, None))


def work_single(pool, n):
    items = bodies(n, 100)
    return lambda: checked(items, lambda: pool.map(same, items, 1))


def work_rtt(pool):
    items = bodies(1000, 100)

    def once(i):
        if pool.submit(same, items[i]).result() != items[i]:
            contest.fail("a result is wrong")
    return lambda: contest.p50(once, len(items))


def work_echo(pool):
    items = bodies(64, BIG)

    def all_of_them():
        flight, results = collections.deque(), []
        for item in items:
            if len(flight) == 4:
                results.append(flight.popleft().result())
            flight.append(pool.submit(same, item))
        return results + [f.result() for f in flight]
    return lambda: checked(items, all_of_them) * BIG / 1e6


def work_efficiency(pool, us):
    n = max(200, int(0.2e6 * PROCESSES / max(us, 10)))
    items = [(i, us * 1e-6) for i in range(n)]
    t = now()
    for item in items[:200]:
        busy(item)
    alone = (now() - t) / 200           # what one task costs without a pool

    def once():
        t = now()
        pool.map(busy, items, 1)
        return n * alone / PROCESSES / (now() - t)
    return once


def meet(job):
    """Done when the other of two tasks runs, so that each is in a process of its own."""
    path, i = job
    os.close(os.open("%s.%d" % (path, i), os.O_CREAT | os.O_WRONLY, 0o600))
    while not os.path.exists("%s.%d" % (path, 1 - i)):
        os.sched_yield()
    return i


def work_start(kind):
    numbers = itertools.count()

    def once():
        path = "/tmp/bfork-bench-%d-%d" % (os.getpid(), next(numbers))
        t = now()
        pool = make(kind)
        handles = [pool.submit(meet, (path, i)) for i in range(PROCESSES)]
        results = [h.result() for h in handles]
        t = now() - t
        if results != list(range(PROCESSES)):
            contest.fail("a result is wrong")
        for i in range(PROCESSES):
            os.unlink("%s.%d" % (path, i))
        pool.close()
        return t * 1e3
    return once


def main():
    kind, work = sys.argv[1:3]
    parameter = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    contest.die_with_parent()
    if work == "start":
        return contest.loop(work_start(kind))
    pool = make(kind)
    pool.map(same, range(100), 1)    # warm
    if work == "map":
        run = work_map_joblib(pool, parameter) if kind.startswith("joblib") else work_map(pool, parameter)
    elif work == "single":
        run = work_single(pool, 3_000 if kind != "pool" else 30_000)
    else:
        works = {"rtt": work_rtt, "echo": work_echo, "efficiency": lambda p: work_efficiency(p, parameter)}
        run = works[work](pool)
    contest.loop(run)
    pool.close()


if __name__ == "__main__":
    main()
