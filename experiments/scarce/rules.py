"""``python -m experiments.scarce.rules FILE …``: what each rule for choosing a checkpoint would have reached on dev.

Reads the lines that ``experiments.scarce.watch`` writes. A table for each method has a row for each rule and a column
for each task, size and floor of steps: the mean on dev in points. Below it stands each rule beside ``metric`` at the
same floor, and each floor beside the lowest with the same rule: the difference of the means over all tasks, sizes and
methods, seed by seed, with its verdict.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.scarce.watch import CHOOSING, MEANS, chosen
from kdlab.data.selection import AUTO, DIVERGENCE, FEW, LOSS, METRIC, settle_rule
from kdlab.data.tasks import get_task
from kdlab.methods import load_method
from kdlab.studies.pairs import Pairs
from kdlab.studies.verdicts import judge

RULES = (AUTO, *CHOOSING, *(f"mean:{k}" for k in MEANS))

Place = tuple[str, str, str, int]
"""Method, task, size and floor."""
Reached = dict[str, dict[Place, dict[int, float]]]
"""Rule and place to the metric on dev of each seed, in points."""


def dev_of(line: dict[str, Any], rule: str, metric: str) -> float | None:
    """What a rule would have reached on dev with one training; None where it can't choose there.

    Args:
        line: Of the training.
        rule: One of ``RULES``.
        metric: The task's first.
    """
    if rule == AUTO:
        size = line["what"]["size"]
        rule = settle_rule(AUTO, int(size) // 10 if size.isdigit() else 10 * FEW)  # a tenth is held out
    if rule == DIVERGENCE and not _is_taught(line["what"]["method"]):
        rule = LOSS  # as kdlab has it
    if rule in CHOOSING:
        epoch = chosen(rule, line["holdout"], metric)
        return None if epoch is None else float(line["dev"][str(epoch)][metric])
    scores = line["mean"].get(rule.partition(":")[2])
    return None if scores is None else float(scores[metric])


def _is_taught(method: str) -> bool:
    kind = load_method(method)
    return bool(kind.needs_of(kind.Config()))


def reached(lines: Sequence[dict[str, Any]]) -> Reached:
    """What each rule would have reached."""
    found: Reached = {}
    for line in lines:
        what = line["what"]
        metric = get_task(what["task"]).metrics[0]
        for rule in RULES:
            dev = dev_of(line, rule, metric)
            if dev is not None:
                place = (what["method"], what["task"], str(what["size"]), int(what["floor"]))
                found.setdefault(rule, {}).setdefault(place, {})[what["seed"]] = 100 * dev
    return found


def differences(better: dict[Any, dict[int, float]], than: dict[Any, dict[int, float]]) -> dict[int, float]:
    """For each seed that all common places have, the mean over them by how much the one is better."""
    places = [place for place in better if place in than]
    seeds = set.intersection(*(set(better[p]) & set(than[p]) for p in places)) if places else set()
    return {seed: statistics.fmean(better[p][seed] - than[p][seed] for p in places) for seed in sorted(seeds)}


def report(found: Reached) -> str:
    """Tables and verdicts in Markdown."""
    places = sorted({place for by_place in found.values() for place in by_place})
    parts = []
    for method in dict.fromkeys(place[0] for place in places):
        own = [place for place in places if place[0] == method]
        parts.append(f"\n{method}, mean on dev\n")
        parts.append("| rule | " + " | ".join(f"{t} {s}, {f}" for _, t, s, f in own) + " |")
        parts.append("|---" * (len(own) + 1) + "|")
        for rule, by_place in found.items():
            cells = [f"{statistics.fmean(by_place[p].values()):.1f}" if p in by_place else "" for p in own]
            parts.append(f"| {rule} | " + " | ".join(cells) + " |")
    asked = [(text, gains) for text, gains in _claims(found, places) if len(gains) > 1 and any(gains.values())]
    pairs = []
    for _, gains in asked:
        better = np.array([[gain / 100] for gain in gains.values()])
        pairs.append(Pairs(better, np.zeros_like(better), np.zeros(1), "mean"))
    parts += ["\n| claim | verdict | by (95 %) | p | seeds |", "|---|---|---|---|---|"]
    for (text, _), v in zip(asked, judge(pairs), strict=True):
        by = f"{100 * v.effect:+.2f} ({100 * v.low:+.2f} to {100 * v.high:+.2f})"
        parts.append(f"| {text} | {v.answer} | {by} | {v.p:.3f} | {v.seeds} |")
    return "\n".join(parts) + "\n"


def _claims(found: Reached, places: Sequence[Place]) -> Iterator[tuple[str, dict[int, float]]]:
    """Each sentence and the differences by seed that it is about."""
    floors = sorted({floor for *_, floor in places})
    judged = [rule for rule in found if rule != f"mean:{MEANS[-1]}"]  # the longer mean stands in the tables alone
    for floor in floors:
        here = {rule: {p: v for p, v in found[rule].items() if p[3] == floor} for rule in judged}
        yield from ((f"{floor} steps: {r} beats metric", differences(here[r], here[METRIC])) for r in judged)
    for rule in judged:
        low = {p[:3]: v for p, v in found[rule].items() if p[3] == floors[0]}
        for floor in floors[1:]:
            high = {p[:3]: v for p, v in found[rule].items() if p[3] == floor}
            yield f"{rule}: {floor} steps beat {floors[0]}", differences(high, low)


def main() -> int:
    """Prints the report."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scarce.rules", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    files = [Path(name) for name in parser.parse_args().files]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    sys.stdout.write(report(reached([json.loads(line) for line in lines])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
