# SPDX-License-Identifier: MPL-2.0
"""Results for people (a table on a terminal, a table in Markdown) and for machines (a line of JSON for each row)."""
import json
import statistics


class Result:
    """The runs of one row, their medians, and what they mean."""
    def __init__(self, row, ours, runs, notes):
        self.row, self.runs, self.notes, self.our_name = row, runs, notes, ours
        self.peers = {name: median(values) for name, values in runs.items()}
        self.ours = self.peers.pop(ours, None)
        self.floor = self.peers.pop(row.floor[0], None) if row.floor else None
        self.better = max if row.more_is_better else min
        self.peer_name = self.better(self.peers, key=self.peers.get) if self.peers else None
        self.notes += [self.apart(name, values) for name, values in runs.items() if min(values) * 2 < max(values)]

    def apart(self, name, values):
        """A median of such runs says little: how the best of them compares."""
        best = self.better(values)
        compares = "" if name == self.our_name or not self.ours else "; ours is %s of its best run" % number(self.ours / best)
        return "runs of %s lie far apart, from %s to %s%s" % (name, number(min(values)), number(max(values)), compares)

    @property
    def spread(self):
        """How far our runs lie apart: (largest - smallest) / median; None of one run."""
        values = self.runs.get(self.our_name, [])
        return (max(values) - min(values)) / self.ours if len(values) > 1 and self.ours else None

    @property
    def peer(self):
        return self.peers.get(self.peer_name)

    def ratio(self, against):
        """Ours divided by what the name stands for; None if that was not measured."""
        other = {"value": 1.0, "floor": self.floor}.get(against, self.peers.get(against))
        return None if self.ours is None or not other else self.ours / other

    def met(self, conditions):
        """True, False, or None: there is nothing to reach, or it could not be measured."""
        if not conditions:
            return None
        if self.ours is None:
            return False
        ratios = [(self.ratio(against), comparison, number) for against, comparison, number in conditions]
        if any(r is None for r, _, _ in ratios):
            return None
        return all(r >= number if comparison == ">=" else r <= number for r, comparison, number in ratios)

    def as_json(self):
        row = self.row
        return json.dumps({
            "row": row.name, "ours": self.ours, "unit": row.unit, "peer": self.peer,
            "peer_name": self.peer_name, "floor": self.floor, "ratio_peer": self.ratio(self.peer_name),
            "ratio_floor": self.ratio("floor"), "target": words(row.target),
            "met": self.met(row.target), "final": words(row.final), "final_met": self.met(row.final), "peers": self.peers,
            "spread": self.spread, "runs": self.runs,
            "title": row.title, "notes": self.notes}, ensure_ascii=False)


def complaints(lines, names):
    """What is wrong with the output of a --json run that should have these rows: a list of texts, empty if nothing is."""
    found, wrong = {}, []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            found[row["row"]] = row
        except (ValueError, KeyError, TypeError) as e:
            wrong.append("line %d is no row: %s" % (number, e))
    wrong += ["there is no row " + name for name in names if name not in found]
    for name, row in found.items():
        values = row.get("runs", {}).get("ours") or []
        if not values or any(not isinstance(v, (int, float)) or not 0 < v < float("inf") for v in values):
            wrong.append("%s: ours was not measured" % name)
        elif row.get("ours") != median(values):
            wrong.append("%s: ours is %r, the median of its runs %r" % (name, row.get("ours"), median(values)))
        for kind in ("peer", "floor"):
            other = row.get(kind)
            if other and abs(row["ratio_" + kind] - row["ours"] / other) > 1e-9 * abs(row["ratio_" + kind]):
                wrong.append("%s: the ratio to the %s is not ours / %s" % (name, kind, kind))
        wrong += ["%s: there is no %s" % (name, key) for key in ("unit", "title", "target", "met", "notes") if key not in row]
        wrong += ["%s: %s" % (name, note) for note in row.get("notes", []) if " failed: " in note or " skipped: " in note]
    return wrong


def median(values):
    return statistics.median(values) if values else None


def words(conditions):
    sign = {">=": "≥", "<=": "≤"}
    return ", ".join("%s %g%s" % (sign[c], n, "" if a == "value" else " × " + a) for a, c, n in conditions) or None


def number(x):
    if x is None:
        return "–"
    if x >= 1e6:
        return "%.2f M" % (x / 1e6)
    if x >= 1000:
        return "{:,.0f}".format(x)
    return "%.3g" % x if x < 10 else "%.0f" % x


def percent(x):
    return "–" if x is None else "%.0f %%" % (100 * x)


def yes(met):
    return {True: "yes", False: "NO", None: "–"}[met]


HEAD = ["row", "ours", "±", "unit", "best peer", "", "× peer", "floor", "× floor", "target", "met", "final", "met"]


def cells(result):
    row = result.row
    return [row.name, number(result.ours), percent(result.spread), row.unit, number(result.peer), result.peer_name or "",
            number(result.ratio(result.peer_name)), number(result.floor), number(result.ratio("floor")),
            words(row.target) or "–", yes(result.met(row.target)), words(row.final) or "–", yes(result.met(row.final))]


RIGHT = {1, 2, 4, 6, 7, 8}     # columns of numbers


def table(results):
    lines = [HEAD] + [cells(r) for r in results]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    text = []
    for line in lines:
        text.append("  ".join(c.rjust(w) if i in RIGHT else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip())
    text.insert(1, "-" * max(map(len, text)))
    for r in results:
        text += ["%s: %s" % (r.row.name, note) for note in r.notes]
    return "\n".join(text)


def markdown(results, machine):
    text = ["# Benchmarks", "",
            "Made by `./dev bench --markdown` on %s." % machine,
            "Every figure is the median of several runs in which ours, the peers and the floor took turns; \"±\" is how far our runs lie apart",
            "(largest less smallest, in parts of the median), all runs stand at the end. Client, broker and worker share the cores; every task",
            "has an argument of its own, and where data is moved all contenders return it and all results are compared, ours and theirs.",
            "Absolute figures move with the machine; the ratios are what counts. \"×\" is ours divided by theirs: for times and memory less is",
            "better.", "",
            "The peers run two worker processes on the same cores, and one for round trips, as ours: Python's `multiprocessing.Pool` (Pool; a map with the best of several",
            "chunk sizes, single tasks by chunks of 1), `concurrent.futures.ProcessPoolExecutor` (Executor), joblib, gearmand and beanstalkd",
            "with clients and workers in C, `xargs -P2`. None of them encrypts. The floors are hand-made and do nothing else: a ping-pong",
            "over pipes in the same placement as ours (left to the scheduler, on one processor, on two), blocks of shared memory with the two",
            "copies that a map cannot do without, a chain of client, CURVE broker and worker with a forked child behind it, the same",
            "without the child for messages of as many tasks as ours carry, a bare fork and exec.", "",
            "| " + " | ".join(HEAD[:4] + ["best peer", "which"] + HEAD[6:]) + " |",
            "|" + "|".join("--:" if i in RIGHT else "---" for i in range(len(HEAD))) + "|"]
    text += ["| " + " | ".join(cells(r)) + " |" for r in results]
    text += ["", "What the rows are:", ""] + ["- **%s**: %s" % (r.row.name, r.row.title) for r in results]
    text += ["", "All runs, in the order in which they were made:", ""]
    for r in results:
        text += ["- %s: %s" % (r.row.name, "; ".join("%s %s" % (name, " ".join(number(v) for v in values)) for name, values in r.runs.items()))]
    notes = ["- %s: %s" % (r.row.name, note) for r in results for note in r.notes]
    if notes:
        text += ["", "Notes:", ""] + notes
    return "\n".join(text)
