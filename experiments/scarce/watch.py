"""``python -m experiments.scarce.watch``: what each rule would have chosen in short and long trainings.

One training serves all rules: after each epoch the student is scored on the hold-out (metric, loss, divergence from the
teacher) and its weights are kept, and at the end those that a rule chooses are scored on dev, and so is the mean of the
weights of the last three and five epochs. Each training is a line of JSON in ``--out``; lines that are there are not
made again, so the command goes on where it was stopped.

Trainings of one seed differ in their length: ``--floors`` are least numbers of steps, reached by more epochs; the
schedule of the learning rate is each one's own. Words ``key=value`` go to the runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from experiments.program import ended, settings_of, take_settings
from kdlab.data.selection import DIVERGENCE, LAST, LOSS, METRIC, METRIC_LOSS, SelectBy

MEANS = (3, 5)
CHOOSING = (METRIC, METRIC_LOSS, LOSS, DIVERGENCE, LAST)
"""Rules that choose an epoch."""
SETTING = {
    "profile": "embedded",
    "accelerator": "cpu",
    "data.select_by": "metric",
    "training.min_steps": 0,
    "teacher.min_steps": 0,  # the floors are this program's own
}
"""What runs have unless the command line says otherwise; teachers' epochs are chosen by the metric."""

Scores = dict[str, float]


def chosen(rule: str, holdout: Sequence[Scores], metric: str) -> int | None:
    """The epoch that a rule chooses, from 0; None where there is no teacher for it.

    Args:
        rule: One of ``CHOOSING``.
        holdout: Each epoch's scores.
        metric: The task's first.
    """
    if rule == DIVERGENCE and DIVERGENCE not in holdout[0]:
        return None
    keys = [SelectBy(rule).key(scores[metric], scores, i) for i, scores in enumerate(holdout)]
    return keys.index(max(keys))


def watched(method: type, teacher_logits: dict[str, Any], kept: list[Any], holdout: list[Scores]) -> type:
    """The method, which besides keeps each epoch's weights and scores on the hold-out.

    Args:
        method: Its class.
        teacher_logits: Split to the teacher's logits ``(N, C)``; empty without a teacher.
        kept: Gets the weights of each epoch.
        holdout: Gets its scores.
    """
    from kdlab.evaluation.metrics import divergence, evaluate
    from kdlab.losses.soft_targets import supervised
    from kdlab.methods.shared.validation import answers_on, evaluating

    class Watched(method):  # type: ignore[misc]
        """The method itself, seen from outside."""

        def on_validation_epoch_end(self) -> None:
            super().on_validation_epoch_end()
            kept.append({k: v.detach().clone() for k, v in self.student.state_dict().items()})
            holdout.append(self.scores(self.context.data.select_on))

        @torch.no_grad()
        def scores(self, split: str) -> Scores:
            """Metrics, loss and divergence of the student as it is."""
            with evaluating(self):
                answers = answers_on(self.context.data, split, self.answer, self.device)
            index, logits, gold = (torch.cat(column) for column in zip(*answers, strict=True))
            order = index.argsort()
            logits, gold = logits[order], gold[order]
            found = evaluate(logits, gold, self.task.metrics, self.task.regression)
            found["loss"] = float(supervised(logits, gold, self.task.regression))
            if split in teacher_logits:
                found[DIVERGENCE] = divergence(logits, teacher_logits[split], False)["kl"]
            return found

        def scores_with(self, weights: dict[str, Any]) -> Scores:
            """The same on dev, with other weights."""
            self.student.load_state_dict(weights)
            return self.scores("dev")

    Watched.name = method.name
    return Watched


def mean_of(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of weights; what is no number with a fraction is the last one's."""
    last = states[-1]
    return {k: torch.stack([s[k] for s in states]).mean(0) if v.is_floating_point() else v for k, v in last.items()}


def train(settings: dict[str, Any], floor: int) -> dict[str, Any]:
    """One training, watched.

    Args:
        settings: Of the run.
        floor: Least number of steps.
    """
    from kdlab.pipeline.context import RunContext
    from kdlab.pipeline.execute import _build
    from kdlab.pipeline.run import open_reporter
    from kdlab.planning.plan import make_plan
    from kdlab.system.files import scratch_folder
    from kdlab.training.fit import TrainingRequest, fit

    gc.collect()  # a finished training's module and trainer refer to each other, and hold each epoch's weights
    reporter = open_reporter()
    plan = make_plan(settings)
    each = plan.steps() / plan.config.training.epochs
    epochs = max(plan.config.training.epochs, math.ceil(floor / each))
    teachers = max(plan.config.teacher.epochs, math.ceil(floor / each))
    plan = make_plan({**settings, "training.epochs": epochs, "teacher.epochs": teachers})
    reporter.quiet = reporter.out.quiet = True
    context = RunContext(plan, reporter)
    logits: dict[str, Any] = {}
    if plan.teacher is not None:
        data = context.teacher_data
        for split in (plan.task.select_on, "dev"):
            logits[split] = torch.from_numpy(context.cached_teacher(data.split(split)).copy())
    kept: list[Any] = []
    holdout: list[Scores] = []
    context.plan = replace(plan, method=watched(plan.method, logits, kept, holdout))
    module, data = _build(context, plan.seeds[0])
    with scratch_folder() as folder:
        request = TrainingRequest(plan.config.training, plan.hardware, folder, plan.seeds[0], [], reporter, "student")
        fitted = fit(module, data, request)
    metric = plan.task.spec.metrics[0]
    found = [chosen(rule, holdout, metric) for rule in CHOOSING]
    return {
        "steps": plan.steps(),
        "seconds": round(fitted.cost.seconds, 1),
        "holdout": holdout,
        "dev": {i: module.scores_with(kept[i]) for i in sorted({i for i in found if i is not None})},
        "mean": {k: module.scores_with(mean_of(kept[-k:])) for k in MEANS if len(kept) >= k},
    }


def wanted(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What tells one training from the others, in the order in which they are made."""
    for seed in range(arguments.seeds):
        for task in arguments.tasks.split(","):
            for size in arguments.sizes.split(","):
                for floor in map(int, arguments.floors.split(",")):
                    for method in arguments.methods.split(","):
                        yield {"task": task, "size": size, "floor": floor, "method": method, "seed": seed}


def main() -> int:
    """Makes what is missing."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scarce.watch", description=__doc__)
    parser.add_argument("--out", required=True, metavar="FILE", help="JSON lines, which are added to")
    parser.add_argument("--tasks", default="rte,mrpc,qnli")
    parser.add_argument("--sizes", default="100,500,all")
    parser.add_argument("--floors", default="0,150,300,600")
    parser.add_argument("--methods", default="finetune,kd")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--part", default="1/1", metavar="I/N", help="makes every N-th training, from the I-th")
    take_settings(parser)
    arguments = parser.parse_args()
    return ended(lambda: watch(arguments))


def watch(arguments: argparse.Namespace) -> int:
    """Trains what has no line in the file yet, and adds one."""
    words = settings_of(arguments)
    out = Path(arguments.out)
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    made = [json.loads(line)["what"] for line in lines]
    first, of = map(int, arguments.part.split("/"))
    for what in list(wanted(arguments))[first - 1 :: of]:
        if what in made:
            continue
        limit = {} if what["size"] == "all" else {"data.limit_train": what["size"]}
        own = {"task": what["task"], "method": what["method"], "seed": what["seed"], **limit}
        found = train({**SETTING, **words, **own}, what["floor"])
        with out.open("a", encoding="utf-8") as f:
            f.write(json.dumps({"what": what, **found}) + "\n")
        last = found["dev"][len(found["holdout"]) - 1]
        print(what, found["steps"], found["seconds"], {k: round(v, 4) for k, v in last.items()}, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
