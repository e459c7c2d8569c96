# SPDX-License-Identifier: MPL-2.0
"""Results for people (a table on a terminal, a table in Markdown) and for machines (a line of JSON for each row)."""
import json
import statistics


class Result:
    """The medians of one row, and what they mean."""
    def __init__(self, row, ours, peers, floor, notes):
        self.row, self.ours, self.peers, self.floor, self.notes = row, ours, peers, floor, notes
        better = max if row.more_is_better else min
        self.peer_name = better(peers, key=peers.get) if peers else None

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
            "title": row.title, "notes": self.notes}, ensure_ascii=False)


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


def yes(met):
    return {True: "yes", False: "NO", None: "–"}[met]


HEAD = ["row", "ours", "unit", "best peer", "", "× peer", "floor", "× floor", "target", "met", "final", "met"]


def cells(result):
    row = result.row
    return [row.name, number(result.ours), row.unit, number(result.peer), result.peer_name or "",
            number(result.ratio(result.peer_name)), number(result.floor), number(result.ratio("floor")),
            words(row.target) or "–", yes(result.met(row.target)), words(row.final) or "–", yes(result.met(row.final))]


RIGHT = {1, 3, 5, 6, 7}     # columns of numbers


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
            "Every figure is the median of several runs in which ours, the peers and the floor took turns; client, broker and worker share",
            "the cores; every task has an argument of its own, and where data is moved it returns it. Absolute figures move with the",
            "machine; the ratios are what counts. \"×\" is ours divided by theirs: for times and memory less is better.", "",
            "The peers run two worker processes on the same cores: Python's `multiprocessing.Pool` (Pool; a map with the best of several",
            "chunk sizes, single tasks by chunks of 1), `concurrent.futures.ProcessPoolExecutor` (Executor), joblib, gearmand and beanstalkd",
            "with clients and workers in C, `xargs -P2`. None of them encrypts. The floors are hand-made and do nothing else: a ping-pong",
            "over pipes between two processors, an echo through a bare CURVE broker, a bare fork and exec.", "",
            "| " + " | ".join(HEAD[:3] + ["best peer", "which"] + HEAD[5:]) + " |",
            "|" + "|".join("--:" if i in RIGHT else "---" for i in range(len(HEAD))) + "|"]
    text += ["| " + " | ".join(cells(r)) + " |" for r in results]
    text += ["", "What the rows are:", ""] + ["- **%s**: %s" % (r.row.name, r.row.title) for r in results]
    notes = ["- %s: %s" % (r.row.name, note) for r in results for note in r.notes]
    if notes:
        text += ["", "Notes:", ""] + notes
    return "\n".join(text)
