"""What settings may be: ranges, words, and which go together; each complaint names the key that is wrong."""

from __future__ import annotations

import math
import os
from typing import Any

from kdlab.config.files import flatten
from kdlab.config.schema import LOGGERS, PROFILES, RunConfig
from kdlab.data.domains import BOTH, DOMAINS, SOURCE, TARGET
from kdlab.data.selection import AUTO, parse_rule
from kdlab.data.unlabelled import REST
from kdlab.errors import KdlabError, nearest

_LARGEST = 2**31 - 1  # of any number: beyond it seeds and sizes overflow inside the libraries
_MOST_SEEDS = 1000
_MOST_WORKERS = 256


def check_values(plain: dict[str, Any], sections: set[str]) -> None:
    """What no setting may be, a method's own included."""
    for key, value in flatten(plain).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise KdlabError(f"{key}={value}: it must be a finite number.")
        if isinstance(value, int | float) and abs(value) > _LARGEST:
            raise KdlabError(f"{key}={value}: no number here goes beyond {_LARGEST}.")
        if value == "" and key.partition(".")[0] not in sections:
            raise KdlabError(f"'{key}' is empty: give it a value, or leave it out.")


def check_run(run: RunConfig) -> None:
    """Ranges and words, each with the key that is wrong."""
    _one_of("profile", run.profile, PROFILES)
    _one_of("data.selection", run.data.selection, ("holdout", "dev"))
    for name in run.logger:
        _one_of("logger", name, LOGGERS)
    if not 1 <= run.seeds <= _MOST_SEEDS:
        raise KdlabError(f"seeds={run.seeds}: it says how many, 1 to {_MOST_SEEDS}; --seed says which.")
    if run.seeds > 1 and "wandb" in run.logger and os.environ.get("WANDB_RUN_ID"):
        raise KdlabError(
            f"seeds={run.seeds}, but WANDB_RUN_ID (which a sweep's agent sets) names one W&B run: "
            "give one --seed a run, for instance as a parameter of the sweep."
        )
    for key, seed in (("seed", run.seed), ("teacher.seed", run.teacher.seed), ("data.split_seed", run.data.split_seed)):
        _at_least(key, seed, 0)
    if not 0 <= run.data.workers <= _MOST_WORKERS:
        raise KdlabError(f"data.workers={run.data.workers}: it says how many processes, 0 to {_MOST_WORKERS}.")
    _check_selection(run)
    _check_domains(run)
    _check_labels(run)
    if run.evaluation.ood_dir is not None and not run.evaluation.ood:
        raise KdlabError(
            f"--ood-dir {run.evaluation.ood_dir}: evaluation.ood names no set to read there; add "
            "evaluation.ood=[hans], say (--list ood has the others), or leave --ood-dir out."
        )
    if run.data.max_length is not None:
        _at_least("data.max_length", run.data.max_length, 8)
    for section, t in (("teacher", run.teacher), ("training", run.training)):
        for name in ("epochs", "batch_size", "accumulate", "log_every", "validate_every"):
            _at_least(f"{section}.{name}", getattr(t, name), 1)
        for name in ("eval_batch_size", "patience", "min_steps"):
            _at_least(f"{section}.{name}", getattr(t, name), 0)
        if t.max_steps == 0 or t.max_steps < -1:
            raise KdlabError(f"{section}.max_steps={t.max_steps}: a number of steps, or -1 for all epochs.")
        if t.max_steps >= 0 and t.validate_every > 1:
            raise KdlabError(
                f"{section}.max_steps={t.max_steps} may end a training before an epoch that {section}.validate_every="
                f"{t.validate_every} validates: say how many epochs instead."
            )
        if t.learning_rate <= 0:
            raise KdlabError(f"{section}.learning_rate={t.learning_rate}: it must be positive.")
        if t.batch_size % t.accumulate:
            raise KdlabError(f"{section}.batch_size={t.batch_size} must be a multiple of accumulate={t.accumulate}.")
        for name in ("weight_decay", "warmup", "clip", "checkpoint_every"):
            if getattr(t, name) < 0:
                raise KdlabError(f"{section}.{name}={getattr(t, name)}: it can't be negative.")
        if t.warmup > 1:
            raise KdlabError(f"{section}.warmup={t.warmup}: it is a fraction of the steps, at most 1.")


def _check_selection(run: RunConfig) -> None:
    """What chooses the checkpoint, and whether there is something to choose it on."""
    if not 0 <= run.data.holdout < 0.9:
        raise KdlabError(f"data.holdout={run.data.holdout}: it is the fraction of train held out, from 0 to 0.9.")
    if run.data.select_by == AUTO:
        return  # it is settled when the data is read, and checked again
    rule = parse_rule(run.data.select_by)
    if run.data.selection == "holdout" and run.data.holdout == 0 and rule.chooses:
        raise KdlabError(
            f"data.holdout=0 leaves nothing to choose a checkpoint on by {run.data.select_by}: add data.select_by=last "
            "or mean:3, or select on dev (data.selection=dev)."
        )
    for section, training in (("teacher", run.teacher), ("training", run.training)):
        if training.patience and not rule.chooses:
            raise KdlabError(
                f"{section}.patience={training.patience} ends a training behind its best epoch, and data.select_by="
                f"{run.data.select_by} knows no best one: leave one of them out."
            )
        if training.validate_every > 1 and rule.count:
            raise KdlabError(
                f"{section}.validate_every={training.validate_every}: data.select_by={run.data.select_by} averages the "
                "weights of the last epochs, and takes them where they are validated: leave one of them out."
            )
        if training.max_steps >= 0 and rule.count:
            raise KdlabError(
                f"{section}.max_steps={training.max_steps} may end a training before its last epochs, which data."
                f"select_by={run.data.select_by} averages: say how many epochs instead."
            )


def _check_domains(run: RunConfig) -> None:
    """What is said of a source domain, and how much of the target is taken."""
    data = run.data
    if data.target_per_class is not None:
        _at_least("data.target_per_class", data.target_per_class, 1)
        if data.limit_train is not None:
            raise KdlabError(
                f"--target-per-class {data.target_per_class} and --limit-train {data.limit_train} both say how much of "
                "the training data is taken: leave one of them out."
            )
    said = {
        "data.source_dir": (data.source_dir, None),
        "data.limit_source": (data.limit_source, None),
        "data.domains": (data.domains, BOTH),
        "teacher.domain": (run.teacher.domain, TARGET),
    }
    for key in ("data.domains", "teacher.domain"):
        _one_of(key, said[key][0], DOMAINS)  # type: ignore[arg-type]
    for key, (value, default) in said.items():
        if data.source is None and value != default:
            raise KdlabError(f"{key}={value}, but there is no source domain: name one by --source, or leave {key} out.")
    chooses = data.selection == "dev" and (data.select_by == AUTO or parse_rule(data.select_by).chooses)
    if run.teacher.domain == SOURCE and chooses and data.holdout == 0:
        raise KdlabError(
            f"teacher.domain={SOURCE}: the teacher's epoch is chosen on rows of the source, and data.holdout=0 holds "
            "none of them out: give a fraction such as data.holdout=0.1, or add data.select_by=last."
        )
    if run.augment is not None and data.domains == SOURCE:
        raise KdlabError(
            f"augment={run.augment} adds examples to the target's rows, and data.domains=source trains on none of "
            "them: leave one of the two out."
        )


def _check_labels(run: RunConfig) -> None:
    """Which training rows have labels."""
    data = run.data
    for key, fraction in (("data.labelled", data.labelled), ("teacher.labelled", run.teacher.labelled)):
        if fraction is None:
            continue
        if not 0 < fraction <= 1:
            raise KdlabError(f"{key}={fraction}: it is the part of train that keeps its labels, above 0 and at most 1.")
        if data.unlabelled is not None:
            raise KdlabError(
                f"{key}={fraction} and data.unlabelled={data.unlabelled} both say which rows have no label: leave one "
                "of them out."
            )
    if data.unlabelled == REST and data.amount is None:
        raise KdlabError(
            f"data.unlabelled={REST} takes what --limit-train leaves over, and all training rows are taken: add a "
            "limit such as --limit-train 10%, or give a file."
        )


def _one_of(key: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        raise nearest(value, words, f"{key} of the name")


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise KdlabError(f"{key}={value}: it must be {least} or more.")
