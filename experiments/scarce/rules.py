"""``python -m experiments.scarce.rules FILE``: what each rule for choosing a checkpoint would have reached on dev.

Reads the lines that ``experiments.scarce.watch`` writes. A table for each method has a row for each rule and a column
for each task, size and floor of steps: the mean on dev in points. Below it stands each rule beside ``metric`` at the
same floor, and each floor beside the lowest with the same rule: the mean difference over the columns, seed by seed,
with its verdict.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.scarce.watch import CHOOSING, MEANS, chosen
from kdlab.data.selection import METRIC
from kdlab.data.tasks import get_task
from kdlab.studies.verdicts import Pairs, judge

RULES = (*CHOOSING, *(f"mean:{k}" for k in MEANS))

Place = tuple[str, str, int]
"""Task, size and floor."""


def dev_of(line: dict[str, Any], rule: str, metric: str) -> float | None:
    """What a rule would have reached on dev with one training; None where it can't choose there.

    Args:
        line: Of the training.
        rule: One of ``RULES``.
        metric: The task's first.
    """
    if rule in CHOOSING:
        epoch = chosen(rule, line["holdout"], metric)
        return None if epoch is None else float(line["dev"][str(epoch)][metric])
    scores = line["mean"].get(rule.partition(":")[2])
    return None if scores is None else float(scores[metric])


def reached(lines: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[Place, dict[int, float]]]]:
    """Method, rule and place to the metric on dev of each seed, in points."""
    found: dict[str, dict[str, dict[Place, dict[int, float]]]] = {}
    for line in lines:
        what = line["what"]
        metric = get_task(what["task"]).metrics[0]
        for rule in RULES:
            dev = dev_of(line, rule, metric)
            if dev is not None:
                place = (what["task"], str(what["size"]), int(what["floor"]))
                by_place = found.setdefault(what["method"], {}).setdefault(rule, {})
                by_place.setdefault(place, {})[what["seed"]] = 100 * dev
    return found


def differences(better: dict[Any, dict[int, float]], than: dict[Any, dict[int, float]]) -> dict[int, float]:
    """For each seed that all common places have, the mean over them by how much the one is better."""
    places = [place for place in better if place in than]
    seeds = set.intersection(*(set(better[p]) & set(than[p]) for p in places)) if places else set()
    return {seed: statistics.fmean(better[p][seed] - than[p][seed] for p in places) for seed in sorted(seeds)}


def report(found: dict[str, dict[str, dict[Place, dict[int, float]]]]) -> str:
    """Tables and verdicts in Markdown."""
    parts, asked = [], []
    for method, by_rule in found.items():
        places = sorted({place for by_place in by_rule.values() for place in by_place})
        parts.append(f"\n{method}, mean on dev\n")
        parts.append("| rule | " + " | ".join(f"{t} {s}, {f}" for t, s, f in places) + " |")
        parts.append("|---" * (len(places) + 1) + "|")
        for rule, by_place in by_rule.items():
            cells = [f"{statistics.fmean(by_place[p].values()):.1f}" if p in by_place else "" for p in places]
            parts.append(f"| {rule} | " + " | ".join(cells) + " |")
        floors = sorted({floor for _, _, floor in places})
        for floor in floors:
            here = {rule: {p: v for p, v in by.items() if p[2] == floor} for rule, by in by_rule.items()}
            asked += [(f"{method}, {floor} steps: {r} beats metric", differences(here[r], here[METRIC])) for r in here]
        for rule, by_place in by_rule.items():
            low = {p[:2]: v for p, v in by_place.items() if p[2] == floors[0]}
            for floor in floors[1:]:
                high = {p[:2]: v for p, v in by_place.items() if p[2] == floor}
                asked.append((f"{method}, {rule}: {floor} steps beat {floors[0]}", differences(high, low)))
    asked = [(text, gains) for text, gains in asked if len(gains) > 1 and any(gains.values())]
    pairs = []
    for _, gains in asked:
        better = np.array([[gain / 100] for gain in gains.values()])
        pairs.append(Pairs(better, np.zeros_like(better), np.zeros(1), "mean"))
    parts += ["\n| claim | verdict | by (95 %) | p | seeds |", "|---|---|---|---|---|"]
    for (text, _), v in zip(asked, judge(pairs), strict=True):
        by = f"{100 * v.effect:+.2f} ({100 * v.low:+.2f} to {100 * v.high:+.2f})"
        parts.append(f"| {text} | {v.answer} | {by} | {v.p:.3f} | {v.seeds} |")
    return "\n".join(parts) + "\n"


def main() -> int:
    """Prints the report."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scarce.rules", description=__doc__)
    parser.add_argument("file", metavar="FILE")
    lines = Path(parser.parse_args().file).read_text(encoding="utf-8").splitlines()
    sys.stdout.write(report(reached([json.loads(line) for line in lines])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
