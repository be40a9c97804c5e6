"""How far the embedded corpus's domains are apart: a model of the source on the target, beside a model of the target.

    python -m experiments.embedded.domain_gap --seeds 3

The embedded encoder is fine-tuned (``kdlab run --method finetune``) on a source's and on a target's whole train part,
and both answer the target's test part. Labels are joined by name: of MNLI's, neutral and contradiction become
not_entailment. Reviews are limited to 5,000 of the source, as in L2A's experiments. Words ``key=value`` go to the runs.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from experiments.program import ended, settings_of, take_settings
from kdlab.data.encoding import encode
from kdlab.data.examples import Examples
from kdlab.data.label_map import merge_labels
from kdlab.data.tasks import TEST, TaskSpec, get_task
from kdlab.errors import KdlabError
from kdlab.evaluation.metrics import evaluate, trivial
from kdlab.evaluation.predict import predict
from kdlab.models.checkpoint import load_encoder
from kdlab.pipeline.finished import open_run
from kdlab.pipeline.run import run
from kdlab.planning.plan import Plan, make_plan
from kdlab.system.spelling import plain

PAIRS = (("mnli", "scitail"), ("qqp", "cikm"), ("sst2", "rt"), ("electronics", "watches"), ("home", "watches"))
LIMIT = {"electronics": 5000, "home": 5000}


def trained(task: str, seed: int, words: dict[str, Any]) -> Plan:
    """A finished run of the embedded encoder on a task, made unless it is there."""
    fixed = {"method": "finetune", "task": task, "profile": "embedded", "student.source": "embedded", "seed": seed}
    limit = {"data.limit_train": str(LIMIT[task])} if task in LIMIT else {}
    settings = {**fixed, **limit, **words}
    plan = make_plan(settings)
    run(settings)
    return plan


def merged(logits: torch.Tensor, source: TaskSpec, target: TaskSpec) -> torch.Tensor:
    """A source's logits ``(N, C)`` as answers ``(N, C')`` with the target's labels: one at the merged label, else 0."""
    if target.regression:
        return logits
    meaning = {plain(other): label for other, label in target.aliases.items()}
    meaning |= {plain(label): label for label in target.labels}
    label_map = merge_labels(target.labels, meaning, source.labels, source.aliases)
    if label_map is None:
        raise KdlabError(f"The labels of {source.name} can't be joined with those of {target.name}: name another pair.")
    answers = torch.tensor(label_map.to)[logits.argmax(1)]
    return torch.nn.functional.one_hot(answers, len(target.labels)).float()


def scores(plan: Plan, target: TaskSpec, test: Examples) -> dict[str, float]:
    """The metrics of a run's student on a target's test part."""
    finished = open_run(plan.folder(plan.seeds[0]))
    encoder = load_encoder(finished.student, finished.labels, finished.order, 0)
    text = finished.student
    split = encode(test, text.tokenizer, text.tokenizer_fingerprint, finished.record.max_length, plan.cache)
    logits = predict(encoder, split, 128, plan.hardware.device).logits
    return evaluate(
        merged(logits, plan.task.spec, target), torch.tensor(test.labels), target.metrics, target.regression
    )


def compare(source: str, target: str, seeds: int, words: dict[str, Any]) -> list[str]:
    """A row of the table for each metric: of a constant answer, of the source's models, of the target's models."""
    spec, found = get_task(target), {source: [], target: []}
    for seed in range(seeds):
        plans = {name: trained(name, seed, words) for name in (source, target)}
        test = plans[target].task.splits[TEST]
        for name, plan in plans.items():
            found[name].append(scores(plan, spec, test))
    gold = torch.tensor(test.labels)
    rows = []
    for metric in spec.metrics:
        cells = []
        for name in (source, target):
            values = [one[metric] for one in found[name]]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.3f} ± {spread:.3f}")
        gap = statistics.mean(two[metric] - one[metric] for one, two in zip(*found.values(), strict=True))
        constant = trivial(gold, metric, spec.regression)
        rows.append(f"| {source} → {target} | {metric} | {constant:.3f} | {' | '.join(cells)} | {100 * gap:.1f} |")
    return rows


def main() -> int:
    """Trains what is not there yet, then prints one table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.embedded.domain_gap", description=__doc__)
    parser.add_argument("--pairs", default=",".join(f"{one}:{two}" for one, two in PAIRS), help="SOURCE:TARGET,…")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    take_settings(parser)
    arguments = parser.parse_args()
    words = {"out": str(arguments.out), **settings_of(arguments)}
    return ended(lambda: table(arguments.pairs.split(","), arguments.seeds, words))


def table(pairs: Sequence[str], seeds: int, words: dict[str, Any]) -> int:
    """The rows of every pair."""
    lines = ["| pair | metric | constant | model of the source | model of the target | gap, points |", "|---" * 6 + "|"]
    for pair in pairs:
        source, _, target = pair.partition(":")
        lines += compare(source, target, seeds, words)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
