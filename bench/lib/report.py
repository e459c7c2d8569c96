# SPDX-License-Identifier: MPL-2.0
"""Results for people (a table on a terminal, a table in Markdown) and for machines (a line of JSON for each row)."""
import json
import statistics
import textwrap

KINDS = {"median": statistics.median, "minimum": min, "maximum": max}      # what the figure of a row is of its runs


class Result:
    """The runs of one row, their medians, and what they mean."""
    def __init__(self, row, ours, runs, notes):
        self.row, self.runs, self.notes, self.our_name = row, runs, notes, ours
        self.kind = "median" if not row.worst else "minimum" if row.more_is_better else "maximum"
        self.peers = {name: KINDS[self.kind](values) for name, values in runs.items()}
        self.ours = self.peers.pop(ours, None)
        self.floor = self.peers.pop(row.floor[0], None) if row.floor else None
        self.better = max if row.more_is_better else min
        self.peer_name = self.better(self.peers, key=self.peers.get) if self.peers else None
        self.notes += [self.apart(name, values) for name, values in runs.items() if min(values) * 2 < max(values)]

    def apart(self, name, values):
        """One figure of such runs says little: how the best of them compares."""
        best = self.better(values)
        compares = "" if name == self.our_name or not self.ours else "; ours is %s of its best run" % number(self.ours / best)
        return "runs of %s lie far apart, from %s to %s%s" % (name, number(min(values)), number(max(values)), compares)

    @property
    def spread(self):
        """How far our runs lie apart: (largest - smallest) / the figure; None of one run."""
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

    def as_json(self, origin):
        row = self.row
        return json.dumps({
            "row": row.name, "ours": self.ours, "kind": self.kind, "unit": row.unit, "peer": self.peer,
            "peer_name": self.peer_name, "floor": self.floor, "ratio_peer": self.ratio(self.peer_name),
            "ratio_floor": self.ratio("floor"), "target": words(row.target),
            "met": self.met(row.target), "final": words(row.final), "final_met": self.met(row.final), "peers": self.peers,
            "spread": self.spread, "runs": self.runs,
            "title": row.title, "notes": self.notes, **origin}, ensure_ascii=False)


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
        elif row.get("kind") not in KINDS:
            wrong.append("%s: ours is no figure of its runs: %r" % (name, row.get("kind")))
        elif row.get("ours") != KINDS[row["kind"]](values):
            wrong.append("%s: ours is %r, the %s of its runs %r" % (name, row.get("ours"), row["kind"], KINDS[row["kind"]](values)))
        for kind in ("peer", "floor"):
            other = row.get(kind)
            if other and abs(row["ratio_" + kind] - row["ours"] / other) > 1e-9 * abs(row["ratio_" + kind]):
                wrong.append("%s: the ratio to the %s is not ours / %s" % (name, kind, kind))
        wrong += ["%s: there is no %s" % (name, key) for key in ("unit", "title", "target", "met", "notes", "commit", "date") if key not in row]
        wrong += ["%s: %s" % (name, note) for note in row.get("notes", []) if " failed: " in note or " skipped: " in note]
    return wrong


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


def names(results, condition):
    return ", ".join(r.row.name for r in results if condition(r.row))


def how(results):
    """What a figure of the table is of its runs."""
    text = "Every figure is the median of the row's runs, in which ours, the peers and the floor took turns; all runs stand at the end"
    worst = {r.row.group or r.row.name for r in results if r.row.worst}
    text += "; of the %s rows the worst run." % ", ".join(sorted(worst)) if worst else "."
    once = names(results, lambda row: row.runs == 1)
    return text + (" There is one run only of " + once + "." if once else "")


def markdown(results, machine, origin):
    text = ["# Benchmarks", "",
            "Made by `./dev bench --markdown` of commit %s on %s," % (origin["commit"], origin["date"]),
            "on %s." % machine,
            textwrap.fill(how(results), 132),
            "\"±\" is how far our runs lie apart (largest less smallest, in parts of the figure). Client, broker and worker share the cores.",
            "Absolute figures move with the machine; the ratios are what counts. \"×\" is ours divided by theirs: for times and memory less is",
            "better.", "",
            "Every task has an argument of its own, and where data is moved all contenders return it: a payload is the task's number and bytes",
            "that follow from it, and every result is compared as a whole, ours and theirs. That is done within the time for single submits",
            "and round trips, as a memcpy and a memcmp of 100 bytes; after it for maps, echo, the CURVE floor of submit and Python's single",
            "submits. Of commands the status is looked at, of efficiency that the task has succeeded.", "",
            "The peers run two worker processes on the same cores, and one for round trips, as ours: Python's `multiprocessing.Pool` (Pool; a map with the best of several",
            "chunk sizes, single tasks by chunks of 1), `concurrent.futures.ProcessPoolExecutor` (Executor), joblib, gearmand and beanstalkd",
            "with clients and workers in C, `xargs -P2`. None of them encrypts. The floors are hand-made and do nothing else: a ping-pong",
            "over pipes in the same placement as ours (left to the scheduler, on one processor, on two), blocks of shared memory with the two",
            "copies that a map cannot do without, a chain of client, CURVE broker and worker with a forked child behind it, the same",
            "without the child for messages of as many tasks as ours carry, a bare fork and exec.", "",
            "The frame rows are processor time of the broker's core alone: without decoding, encoding, CURVE. The memory of forever and",
            "forever-local grows up to the first million tasks, because pages of the rings to and from the task processes are touched for the",
            "first time, and hardly after it: in a run of 100 million tasks on 2026-11-22 the broker went from 14.9 MB after the first million",
            "to 16.2 MB, the worker from 23.7 to 26.2 MB, and a task process kept its 188 KB of private memory.", "",
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
